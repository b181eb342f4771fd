/**
 * CloneSet on a real node: what happens to real containers. Numbers are those of the in-place list; "12.N" its edge cases.
 * Completion is judged with the node agent's report and, where the test stops the agent, without it.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { annotation } from "../../src/api/names.ts";
import {
  conditionOf,
  imageOf,
  isReady,
  type Loose,
  lifecycleOf,
  openShop,
  type Pod,
  restartsOf,
  type Shop,
  type ShopOptions,
} from "../lib/shop.ts";
import { busyboxLayer, scriptImage } from "../rig/images.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { type House, house, startTimeoutMs } from "./house.ts";

let home: House;
let rig: Rig;
beforeAll(async () => {
  home = await house();
  rig = home.rig;
}, startTimeoutMs);

const rolling = { podUpdatePolicy: "InPlaceIfPossible", maxUnavailable: "100%" };
const image = (tag: string): string => rig.registry.image("app", tag);
const container = (name: string, tag: string, port = 8080, more: Loose = {}): Loose & { env: Loose[] } => ({
  name,
  image: image(tag),
  imagePullPolicy: "IfNotPresent",
  ...more,
  env: [{ name: "PORT", value: String(port) }, ...((more["env"] as Loose[] | undefined) ?? [])],
});
const onNode = (...containers: Loose[]): Loose => ({ nodeSelector: { type: "real" }, terminationGracePeriodSeconds: 5, containers });
const open = (containers: readonly Loose[], options: ShopOptions = {}): Promise<Shop> =>
  openShop(rig, { rolling, pod: { ...onNode(...containers), ...options.pod }, ...withoutPod(options) });
const withoutPod = ({ pod: _pod, ...rest }: ShopOptions): ShopOptions => rest;
const fetched = async (pod: Pod, path = "/", port = 8080): Promise<string> =>
  (await fetch(`http://${pod.status?.podIP}:${port}${path}`, { signal: AbortSignal.timeout(1_000) })).text();
const answers = (pod: Pod, text: string, path = "/", port = 8080): Promise<string> =>
  waitFor(`${pod.metadata.name} to answer ${text.trim()}`, async () => {
    const answer = await fetched(pod, path, port);
    return answer.includes(text) ? answer : "";
  });
const statusOf = (pod: Pod, name = "main") => {
  const status = pod.status?.containerStatuses?.find((candidate) => candidate.name === name);
  if (status === undefined) throw new Error(`pod ${pod.metadata.name} shows no container ${name}`);
  return status;
};
const startedMs = (pod: Pod, name: string): number => Date.parse(statusOf(pod, name).state?.running?.startedAt ?? "");
const stateOf = (pod: Pod): Loose => JSON.parse(pod.metadata.annotations?.[annotation.inPlaceUpdateState] ?? "{}");
const only = (shop: Shop): Pod => {
  expect(shop.pods).toHaveLength(1);
  return shop.pods[0]!;
};
async function withoutAgent(run: () => Promise<void>): Promise<void> {
  await home.daemon.stop();
  try {
    await run();
  } finally {
    await home.daemon.restart();
  }
}

describe("an image", () => {
  test("1, 2, 3: another one restarts the container in the same pod, with the same address", async () => {
    const shop = await open([container("main", "v1")]);
    const before = only(shop);
    await answers(before, "v1\n");
    await shop.setTemplate({ spec: { containers: [container("main", "v2")] } });
    await shop.settled();
    const after = only(shop);
    await answers(after, "v2\n");
    expect([after.metadata.uid, after.status?.podIP, after.spec.nodeName]).toEqual([before.metadata.uid, before.status?.podIP, "node-0"]);
    expect(restartsOf(after)).toBe(1);
    expect(statusOf(after).imageID).not.toBe(statusOf(before).imageID);
    const previous = await rig.kubectl(["logs", "-n", shop.namespace, after.metadata.name, "--previous"]);
    expect(previous.stdout).toContain("app v1 stopping");
    // Out of service before the container was touched.
    const history = shop.historyOf(after.metadata.name);
    const changed = history.findIndex((pod) => imageOf(pod) === image("v2"));
    expect(isReady(history[changed - 1]!)).toBe(false);
    expect(statusOf(history[changed - 1]!).containerID).toBe(statusOf(before).containerID);
  }, 90_000);

  test("4: one that cannot be pulled leaves the pod out of service, and the next heals it", async () => {
    const shop = await open([container("main", "v1")]);
    const { uid } = only(shop).metadata;
    await shop.setTemplate({ spec: { containers: [container("main", "no-such-tag")] } });
    await shop.until("the pull to fail", () => /ErrImagePull|ImagePullBackOff/.test(statusOf(only(shop)).state?.waiting?.reason ?? ""));
    expect([lifecycleOf(only(shop)), conditionOf(only(shop), "InPlaceUpdateReady")?.status]).toEqual(["Updating", "False"]);
    await shop.setTemplate({ spec: { containers: [container("main", "v2")] } });
    await shop.settled(60_000);
    await answers(only(shop), "v2\n");
    expect(only(shop).metadata.uid).toBe(uid);
  }, 120_000);

  test("32, 12.5: another tag of the same digest, with and without the node agent", async () => {
    const shop = await open([container("main", "v1")]);
    const first = only(shop);
    // With the agent: by its report.
    await shop.setTemplate({ spec: { containers: [container("main", "v1-same")] } });
    await shop.settled();
    const second = only(shop);
    expect([second.metadata.uid, restartsOf(second), statusOf(second).imageID]).toEqual([first.metadata.uid, 1, statusOf(first).imageID]);
    expect(statusOf(second).containerID).not.toBe(statusOf(first).containerID);
    // Without: by the container, which is another one.
    await withoutAgent(async () => {
      await shop.setTemplate({ spec: { containers: [container("main", "v1")] } });
      await shop.settled();
      const third = only(shop);
      expect([third.metadata.uid, restartsOf(third), statusOf(third).imageID]).toEqual([first.metadata.uid, 2, statusOf(first).imageID]);
    });
  }, 120_000);

  test("12.3, 12.4: a reference without a tag, of a registry with a port, and the same digest, without the node agent", async () => {
    const script = 'echo ready\ntrap "exit 0" TERM INT\nwhile :; do sleep 3600 & wait $!; done\n';
    const same = scriptImage(await busyboxLayer(), script);
    for (const tag of ["v1", "latest"]) rig.registry.push("tagless", tag, same);
    const named = (reference: string) => [{ name: "main", image: reference, imagePullPolicy: "IfNotPresent" }];
    await withoutAgent(async () => {
      const shop = await open(named("registry.test:5000/tagless:v1"));
      const { uid } = only(shop).metadata;
      for (const reference of ["registry.test:5000/tagless", "registry.test:5000/tagless:v1"]) {
        await shop.setTemplate({ spec: { containers: named(reference) } });
        await shop.settled();
        expect([only(shop).metadata.uid, imageOf(only(shop))]).toEqual([uid, reference]);
      }
      expect(restartsOf(only(shop))).toBe(2);
    });
  }, 120_000);

  test("preStop of the old container runs; the new one starts after it", async () => {
    const volumes = [{ name: "shared", emptyDir: {} }];
    const volumeMounts = [{ name: "shared", mountPath: "/shared" }];
    const preStop = { exec: { command: ["sh", "-c", "echo stopped $(cat /www/index.html) >> /shared/log"] } };
    const main = (tag: string) => container("main", tag, 8080, { volumeMounts, lifecycle: { preStop } });
    const shop = await open([main("v1")], { pod: { volumes } });
    await answers(only(shop), "v1\n");
    await shop.setTemplate({ spec: { containers: [main("v2")] } });
    await shop.settled();
    const pod = only(shop);
    await answers(pod, "v2\n");
    const log = await rig.kubectl(["exec", "-n", shop.namespace, pod.metadata.name, "--", "cat", "/shared/log"]);
    expect(log.stdout).toBe("stopped v1\n");
    expect(restartsOf(pod)).toBe(1);
  }, 90_000);
});

describe("grace period", () => {
  const withGrace = { ...rolling, inPlaceUpdateStrategy: { gracePeriodSeconds: 4 } };

  test("10, 11, 12: out of service first, while the old container still answers; the last change wins; a label edited by hand drops it", async () => {
    const shop = await openShop(rig, { rolling: withGrace, pod: onNode(container("main", "v1")) });
    const { name, uid } = only(shop).metadata;
    const grace = () => only(shop).metadata.annotations?.[annotation.inPlaceUpdateGrace];
    await shop.setTemplate({ spec: { containers: [container("main", "v2")] } });
    await shop.until("the grace period", () => grace() !== undefined && !isReady(only(shop)));
    expect([imageOf(only(shop)), await fetched(only(shop))]).toEqual([image("v1"), "v1\n"]);
    await shop.setTemplate({ spec: { containers: [container("main", "v3")] } });
    await shop.settled();
    await answers(only(shop), "v3\n");
    expect([only(shop).metadata.uid, grace()]).toEqual([uid, undefined]);
    const since = Date.parse(String(stateOf(only(shop))["updateTimestamp"]));
    expect(startedMs(only(shop), "main") - since).toBeGreaterThanOrEqual(4_000);
    // 12
    const at = only(shop).metadata.labels!["controller-revision-hash"]!;
    await shop.setTemplate({ spec: { containers: [container("main", "v1")] } });
    await shop.until("the grace period", () => grace() !== undefined);
    await shop.updateRolling({ paused: true });
    await shop.labelPod(name, { "controller-revision-hash": at });
    await shop.until("it to be dropped", () => grace() === undefined);
    await shop.round();
    expect([imageOf(only(shop)), await fetched(only(shop))]).toEqual([image("v3"), "v3\n"]);
  }, 120_000);
});

describe("the order of containers", () => {
  const priority = (value: number) => ({ env: [{ name: "KRUISE_CONTAINER_PRIORITY", value: String(value) }] });
  const readinessProbe = (port: number) => ({ readinessProbe: { httpGet: { path: "/", port }, periodSeconds: 1, initialDelaySeconds: 1 } });

  test("13: the first starts first; in an update it changes first, and the other when it is ready", async () => {
    const both = (tag: string) => [
      container("c1", tag, 8080, { ...readinessProbe(8080), ...priority(10) }),
      container("c2", tag, 8081, priority(0)),
    ];
    const shop = await open(both("v1"));
    const created = only(shop);
    expect(startedMs(created, "c2")).toBeGreaterThanOrEqual(startedMs(created, "c1") + 1_000);
    const waited = shop
      .historyOf(created.metadata.name)
      .map(({ status }) => status?.containerStatuses?.find(({ name }) => name === "c2")?.state?.waiting?.reason);
    expect(waited).toContain("CreateContainerConfigError");
    await shop.setTemplate({ spec: { containers: both("v2") } });
    await shop.settled();
    const pod = only(shop);
    expect(pod.metadata.uid).toBe(created.metadata.uid);
    expect(startedMs(pod, "c2")).toBeGreaterThanOrEqual(startedMs(pod, "c1") + 1_000);
    const second = shop.historyOf(pod.metadata.name).find((version) => imageOf(version, 1) === image("v2"))!;
    expect(statusOf(second, "c1")).toMatchObject({ ready: true, restartCount: 1 });
    expect(stateOf(pod)["containerBatchesRecord"]).toMatchObject([{ containers: ["c1"] }, { containers: ["c2"] }]);
    await answers(pod, "v2\n", "/", 8081);
  }, 120_000);

  test("8, 14: containers that read one label change together, between those that do not", async () => {
    const reads = { name: "LEVEL", valueFrom: { fieldRef: { fieldPath: "metadata.labels['level']" } } };
    const withEnv = (value: number, ...env: Loose[]) => ({ env: [...priority(value).env, ...env] });
    const four = (tag: string) => [
      container("c1", tag, 8080, withEnv(20)),
      container("c2", tag, 8081, withEnv(10, reads)),
      container("c3", "v1", 8082, withEnv(0, reads)),
      container("c4", tag, 8083, withEnv(0)),
    ];
    const shop = await open(four("v1"), { labels: { level: "one" } });
    const before = only(shop);
    await answers(before, "LEVEL=one", "/env", 8082);
    await shop.setTemplate({ metadata: { labels: { level: "two" } }, spec: { containers: four("v2") } });
    await shop.settled(60_000);
    const pod = only(shop);
    expect(pod.metadata.uid).toBe(before.metadata.uid);
    expect(stateOf(pod)["containerBatchesRecord"]).toMatchObject([
      { containers: ["c1"] },
      { containers: ["c2", "c3"] },
      { containers: ["c4"] },
    ]);
    for (const port of [8081, 8082]) await answers(pod, "LEVEL=two", "/env", port);
    // The third kept its image: it was restarted for its environment alone, and once.
    expect([1, 2, 3].map((index) => restartsOf(pod, index))).toEqual([1, 1, 1]);
    expect(["c1", "c2", "c3", "c4"].map((name) => statusOf(pod, name).restartCount)).toEqual([1, 1, 1, 1]);
  }, 180_000);
});

test("22: a hook holds the update while the old container serves; then it goes on", async () => {
  const shop = await open([container("main", "v1")], {
    labels: { block: "true" },
    spec: { lifecycle: { inPlaceUpdate: { labelsHandler: { block: "true" }, markPodNotReady: true } } },
  });
  const { name } = only(shop).metadata;
  await shop.setTemplate({ spec: { containers: [container("main", "v2")] } });
  await shop.until("the pod to be prepared, out of service", () => lifecycleOf(only(shop)) === "PreparingUpdate" && !isReady(only(shop)));
  expect(await fetched(only(shop))).toBe("v1\n");
  await shop.labelPod(name, { block: "done" });
  await shop.until("Updated, and in service again", () => lifecycleOf(only(shop)) === "Updated" && isReady(only(shop)));
  await answers(only(shop), "v2\n");
  await shop.labelPod(name, { block: "true" });
  await shop.settled();
}, 90_000);

describe("resize", () => {
  const sized = (requests: Loose, limits: Loose, more: Loose = {}): Loose =>
    container("main", "v1", 8080, { resources: { requests, limits }, ...more });
  const memory = "64Mi";

  test("17, 18: cpu grows in the running container; with RestartContainer it is restarted, out of service", async () => {
    const small = sized({ cpu: "100m", memory }, { cpu: "400m", memory: "128Mi" });
    const shop = await open([small]);
    const before = only(shop);
    await shop.setTemplate({ spec: { containers: [sized({ cpu: "200m", memory }, { cpu: "400m", memory: "128Mi" })] } });
    await shop.settled(60_000);
    const after = only(shop);
    expect([after.metadata.uid, restartsOf(after), statusOf(after).containerID]).toEqual([
      before.metadata.uid,
      0,
      statusOf(before).containerID,
    ]);
    expect(statusOf(after).resources?.requests).toMatchObject({ cpu: "200m" });
    const history = shop.historyOf(after.metadata.name);
    expect(history.slice(history.findIndex(isReady)).every(isReady)).toBe(true);

    const restarting = (cpu: string) =>
      sized(
        { cpu, memory },
        { cpu: "400m", memory: "128Mi" },
        { resizePolicy: [{ resourceName: "cpu", restartPolicy: "RestartContainer" }] },
      );
    const other = await open([restarting("100m")]);
    const { uid } = only(other).metadata;
    await other.setTemplate({ spec: { containers: [restarting("200m")] } });
    await other.settled(60_000);
    expect([only(other).metadata.uid, restartsOf(only(other))]).toEqual([uid, 1]);
    expect(other.historyOf(only(other).metadata.name).some((pod) => conditionOf(pod, "InPlaceUpdateReady")?.status === "False")).toBe(true);
  }, 180_000);

  test("19: another QoS class recreates", async () => {
    const shop = await open([sized({ cpu: "100m", memory }, { cpu: "200m", memory })]);
    const { uid } = only(shop).metadata;
    await shop.setTemplate({ spec: { containers: [sized({ cpu: "200m", memory }, { cpu: "200m", memory })] } });
    await shop.settled(60_000);
    expect(only(shop).metadata.uid).not.toBe(uid);
  }, 120_000);

  test("a resize for which the node has no room is told", async () => {
    const shop = await open([sized({ cpu: "100m", memory }, { cpu: "2000", memory: "128Mi" })]);
    await shop.setTemplate({ spec: { containers: [sized({ cpu: "1900", memory }, { cpu: "2000", memory: "128Mi" })] } });
    const event = await waitFor(
      "an Event",
      async () => (await shop.events("ResizeInfeasible"))[0] ?? (await shop.events("ResizeDeferred"))[0],
    );
    expect([event.type, event.message]).toEqual(["Warning", expect.stringContaining(only(shop).metadata.name)]);
  }, 90_000);
});
