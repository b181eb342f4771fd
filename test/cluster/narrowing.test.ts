/**
 * Pod webhooks that are narrowed to what exists, before two managers: pods that nothing concerns do not come to us and do not wait for us,
 * and nothing that is promised is lost, whoever dies.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import type { WebhookConfiguration } from "../../src/admission/configuration.ts";
import { narrowingOf } from "../../src/admission/narrow-state.ts";
import type { Pod } from "../../src/kube/types.ts";
import { type Answer, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";
import { type Guarded, type Loose, startGuarded, Yard } from "./guards.ts";

let all: Guarded;
let yard: Yard;

const setPath = (name = "", version = "v1beta1") => `/apis/apps.kruise.io/${version}/sidecarsets${name && `/${name}`}`;
const asked = (path: "mutate" | "validate") => all.metric("controller_runtime_webhook_requests_total", `/${path}-pod`);
const narrowing = async (kind: "mutating" | "validating", name: string): Promise<string | undefined> => {
  const path = `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/kruise-${kind}-webhook-configuration`;
  const { webhooks = [] } = await all.rig.admin.must<WebhookConfiguration>("GET", path);
  const entry = webhooks.find((webhook) => webhook.name === name);
  if (entry === undefined) throw new Error(`no ${name}`);
  return narrowingOf(entry);
};
/** Longer than a request that was let through may last. */
const narrowedTimeoutMs = 150_000;

let serial = 0;
const pod = (labels: Record<string, string> = {}, spec: Loose = {}, metadata: Loose = {}): Loose => {
  serial += 1;
  return { metadata: { name: `pod-${serial}`, labels, ...metadata }, spec: { containers: [{ name: "main", image: "nginx:v1" }], ...spec } };
};
const post = (object: Loose): Promise<Answer<Pod & { message?: string }>> => all.rig.admin.request("POST", yard.pods(), object);
const make = async (object: Loose): Promise<Pod> => {
  const answer = await post(object);
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.body.message}`);
  return answer.body;
};
const isInjected = ({ spec }: Pod): boolean => spec.containers.some(({ name }) => name === "side");
/** A manager sees a new SidecarSet a moment after it was accepted, as without narrowing: a second is allowed, and none is needed as a rule. */
const untilInjected = (app: string) =>
  waitFor(`pods of ${app} to have the sidecar`, async () => isInjected(await make(pod({ app }))), { timeoutMs: 1_000 });
const set = (name: string, app: string, more: Loose = {}, version = "v1beta1"): Loose => ({
  apiVersion: `apps.kruise.io/${version}`,
  kind: "SidecarSet",
  metadata: { name },
  spec: { selector: { matchLabels: { app } }, containers: [{ name: "side", image: "side:v1" }], ...more },
});

beforeAll(async () => {
  all = await startGuarded(["--narrow-pod-webhooks"]);
  yard = await Yard.open(all.rig);
}, startTimeoutMs);

describe("where nothing exists", () => {
  test("creations and evictions do not come to us, once all managers know how to announce", async () => {
    expect(await narrowing("mutating", "mpod.kb.io")).toBeUndefined();
    await waitFor(
      "the entries to be narrowed",
      async () =>
        (await narrowing("mutating", "mpod.kb.io")) !== undefined && (await narrowing("validating", "vpodeviction.kb.io")) === "false",
      { timeoutMs: narrowedTimeoutMs },
    );
    await waitFor("the API server to go by it", async () => {
      const before = await asked("mutate");
      await make(pod({ app: "free" }));
      return (await asked("mutate")) === before;
    });
    const before = [await asked("mutate"), await asked("validate")];
    const made = await Promise.all(Array.from({ length: 5 }, () => make(pod({ app: "free" }))));
    for (const { metadata } of made) expect((await yard.evict(metadata.name)).status).toBe(201);
    expect([await asked("mutate"), await asked("validate")]).toEqual(before);
    expect(await all.metrics("kruiser_webhook_narrowed", "mpod.kb.io")).toEqual([1, 1]);
  }, 200_000);

  test("a pod that is none is refused as ever", async () => {
    const odd: readonly Loose[] = [{ containers: [] }, { containers: null }, { containers: [{}] }, {}];
    for (const spec of odd) {
      const answer = await post({ ...pod(), spec });
      expect([answer.status, answer.body.message]).toEqual([422, expect.stringContaining("Required value")]);
    }
    const owned = await post(pod({}, {}, { ownerReferences: [{}] }));
    expect([owned.status, owned.body.message]).toEqual([422, expect.stringContaining("ownerReferences")]);
  });

  test("pods that a feature always concerns come all the same", async () => {
    const owner = { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", name: "web", uid: crypto.randomUUID(), controller: true };
    const gated = await make(pod({}, {}, { ownerReferences: [owner] }));
    expect(gated.spec.readinessGates).toEqual([{ conditionType: "KruisePodReady" }]);
    const container = (name: string, env: Loose[] = []): Loose => ({ name, image: "nginx:v1", env });
    const byAnnotation = await make(
      pod({}, { containers: [container("a"), container("b")] }, { annotations: { "apps.kruise.io/container-launch-priority": "Ordered" } }),
    );
    const byVariable = await make(
      pod({}, { containers: [container("a"), container("b", [{ name: "KRUISE_CONTAINER_PRIORITY", value: "3" }])] }),
    );
    for (const { spec } of [byAnnotation, byVariable])
      expect(spec.containers.every(({ env }) => env?.some(({ name }) => name === "KRUISE_CONTAINER_BARRIER"))).toBe(true);
  });
});

describe("a SidecarSet", () => {
  test.each([
    ["v1beta1", {}],
    ["v1alpha1", {}],
    ["v1beta1 for a namespace", { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "" } } }],
  ])("%s: its next pods have the sidecar, others do not come to us", async (version, more: Loose) => {
    serial += 1;
    const name = `set-${serial}`;
    const spec =
      "namespaceSelector" in more ? { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": yard.namespace } } } : {};
    const [served = "v1beta1"] = version.split(" ");
    await all.rig.admin.create(setPath("", served), set(name, name, spec, served));
    await untilInjected(name);
    const before = await asked("mutate");
    expect(isInjected(await make(pod({ app: "free" })))).toBe(false);
    expect(await asked("mutate")).toBe(before);
  });

  test("another selector is known before the change is accepted", async () => {
    await all.rig.admin.create(setPath(), set("changing", "old"));
    await all.rig.admin.patch(setPath("changing"), { spec: { selector: { matchLabels: { app: "new" } } } });
    await untilInjected("new");
  });

  test("a dry run changes nothing", async () => {
    const before = await narrowing("mutating", "mpod.kb.io");
    expect((await all.rig.admin.request("POST", `${setPath()}?dryRun=All`, set("dry", "dry"))).status).toBe(201);
    expect(await narrowing("mutating", "mpod.kb.io")).toBe(before);
  });
});

test("a budget: evictions are asked about as soon as it is there", async () => {
  const guardedYard = await Yard.open(all.rig);
  await guardedYard.bare(2);
  await guardedYard.budget({ minAvailable: 2 });
  await guardedYard.untilCounts(0, 2, 2, 0);
  expect((await guardedYard.evict("p-0")).status).toBe(403);
  expect((await guardedYard.delete("p-0")).status).toBe(403);
}, 60_000);

test("managers that are killed: whatever was accepted has its sidecars, and what needs nothing does not wait", async () => {
  const accepted: string[] = [];
  let ended = false;
  const create = async (index: number) => {
    for (let round = 0; !ended; round += 1) {
      const name = `fault-${index}-${round}`;
      const answer = await all.rig.admin.request("POST", setPath(), set(name, name)).catch(() => undefined);
      if (answer?.status === 201) accepted.push(name);
    }
  };
  const creators = [create(0), create(1)];
  for (let round = 0; round < 4; round += 1) {
    const manager = all.managers[round % 2] ?? all.managers[0];
    const enough = accepted.length + 2;
    await waitFor("SidecarSets to be accepted", () => accepted.length >= enough, { timeoutMs: 60_000 });
    await manager.kill();
    await manager.restart();
  }
  ended = true;
  await Promise.all(creators);
  await Promise.all(all.managers.map((manager) => manager.kill()));
  expect(isInjected(await make(pod({ app: "free" })))).toBe(false);
  expect((await post(pod({ app: accepted[0] ?? "" }))).status).toBe(500);
  expect((await all.rig.admin.request("POST", setPath(), set("late", "late"))).status).toBe(500);
  await Promise.all(all.managers.map((manager) => manager.restart()));
  for (const name of accepted) expect([name, isInjected(await make(pod({ app: name })))]).toEqual([name, true]);
}, 300_000);

test("what is gone is forgotten", async () => {
  for (const { metadata } of await all.rig.admin.list(setPath())) await all.rig.admin.delete(setPath(metadata.name));
  await waitFor("the entries to be narrowed", async () => !(await narrowing("mutating", "mpod.kb.io"))?.includes("fault-"), {
    timeoutMs: narrowedTimeoutMs,
  });
  await waitFor("the API server to go by it", async () => {
    const before = await asked("mutate");
    await make(pod({ app: "fault-0-0" }));
    return (await asked("mutate")) === before;
  });
}, 200_000);
