/** What containers and pods do when a test says so, in virtual time. */
import { expect, test } from "bun:test";
import { type Fields, fieldsOf, itemsOf } from "../../kube/json.ts";
import { statusOf, World } from "../testing/world.ts";

const core = "/api/v1/namespaces/default";

async function pod(world: World, annotations: Readonly<Record<string, string>>, spec: Fields = {}, image = "app:1"): Promise<void> {
  await world.create(`${core}/pods`, { metadata: { name: "p", annotations }, spec: { containers: [{ name: "main", image }], ...spec } });
}
const status = async (world: World) => statusOf(await world.get(`${core}/pods/p`));
const main = async (world: World) => fieldsOf(itemsOf((await status(world))["containerStatuses"])[0]);
const ready = async (world: World) => (await main(world))["ready"];

test("probes by script: ready, unready, and ready again; edited, at once", async () => {
  const world = await World.start();
  await pod(world, { "sandbox.kruise.io/probes": "unready@10,ready@20" });
  const seen: unknown[] = [];
  for (const ms of [5000, 10_000, 10_000]) {
    await world.pass(ms);
    seen.push(await ready(world));
  }
  expect(seen).toEqual([true, false, true]);
  expect((await main(world))["restartCount"]).toBe(0);
  await world.patch(`${core}/pods/p`, { metadata: { annotations: { "sandbox.kruise.io/probes": "unready@0" } } });
  await world.pass(100);
  expect(await ready(world)).toBe(false);
});

test("a container that is dead is restarted, and says why it ended", async () => {
  const world = await World.start();
  await pod(world, { "sandbox.kruise.io/probes": "main:dead@10,other:unready@0" });
  await world.pass(15_000);
  const { restartCount, lastState, ready: up } = await main(world);
  expect([restartCount, up]).toEqual([1, true]);
  expect(fieldsOf(fieldsOf(lastState)["terminated"])["exitCode"]).toBe(137);
  const reasons = (await world.list(`${core}/events`)).map(({ reason }) => reason);
  expect(reasons).toContain("Unhealthy");
});

test("the kubelet evicts", async () => {
  const world = await World.start();
  await pod(world, {});
  await world.pass(3000);
  await world.patch(`${core}/pods/p`, { metadata: { annotations: { "sandbox.kruise.io/evict": "memory" } } });
  await world.pass(3000);
  const told = await status(world);
  expect([told["phase"], told["reason"], told["message"]]).toEqual(["Failed", "Evicted", "The node was low on resource: memory. "]);
  const target = itemsOf(told["conditions"])
    .map(fieldsOf)
    .find(({ type }) => type === "DisruptionTarget");
  expect([target?.["status"], target?.["reason"]]).toEqual(["True", "TerminationByKubelet"]);
  expect(fieldsOf((await main(world))["state"])["terminated"]).toBeDefined();
});

test("a pod's own time may be over", async () => {
  const world = await World.start();
  await pod(world, {}, { activeDeadlineSeconds: 10 });
  await world.pass(9000);
  expect((await status(world))["phase"]).toBe("Running");
  await world.pass(5000);
  expect([(await status(world))["phase"], (await status(world))["reason"]]).toEqual(["Failed", "DeadlineExceeded"]);
});

test("images that a test says are bad", async () => {
  const world = await World.start({
    imageFaults: new Map([
      ["app:1", "broken"],
      ["registry/*", "bad"],
    ]),
  });
  await pod(world, {});
  await world.pass(3000);
  expect(fieldsOf(fieldsOf((await main(world))["state"])["waiting"])["reason"]).toBe("CrashLoopBackOff");
  const other = await World.start({ imageFaults: new Map([["registry/*", "bad"]]) });
  await pod(other, {}, {}, "registry/web:1");
  await other.pass(3000);
  expect(fieldsOf(fieldsOf((await main(other))["state"])["waiting"])["reason"]).toBe("ImagePullBackOff");
});

test("a resize is carried out", async () => {
  const world = await World.start();
  await pod(world, {}, { containers: [{ name: "main", image: "app:1", resources: { requests: { cpu: "1" } } }] });
  await world.pass(3000);
  await world.patch(
    `${core}/pods/p/resize`,
    { spec: { containers: [{ name: "main", resources: { requests: { cpu: "2" } } }] } },
    "strategic",
  );
  await world.pass(1000);
  const { resources, restartCount } = await main(world);
  expect([fieldsOf(resources)["requests"], restartCount]).toEqual([{ cpu: "2" }, 0]);
});
