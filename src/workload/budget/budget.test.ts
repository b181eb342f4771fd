import { describe, expect, test } from "bun:test";
import { type GateName, gatesWith } from "../../api/gates.ts";
import type { PodUnavailableBudget, PodUnavailableBudgetSpec, PodUnavailableBudgetStatus } from "../../api/podunavailablebudget.ts";
import { type Change, change, type WriteStep } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { Pod } from "../../kube/types.ts";
import { inService, nowMs, pod } from "../testing/pods.ts";
import { Charges, decide, freePass, inconsistency, protectedBy, relatedBudget, totalReplicasOverride } from "./index.ts";

const gates = gatesWith();
const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const annotated = (annotations: Record<string, string>, parts: Parameters<typeof pod>[0] = {}) =>
  pod({ conditions: inService, statuses: [{}], ...parts, annotations });

describe("consistent", () => {
  const sidecars = (state: string, image = "side:2", imageID = "id-1") =>
    annotated(
      { "kruise.io/sidecarset-injected-list": "a,b", "kruise.io/sidecarset-inplace-update-state": state },
      {
        containers: [
          { name: "c1", image: "nginx:1" },
          { name: "side", image, env: [{ name: "IS_INJECTED", value: "true" }] },
        ],
        statuses: [{}, { name: "side", image: "side:1", imageID }],
      },
    );
  const before = (id: string) => JSON.stringify({ b: { lastContainerStatuses: { side: { imageID: id } } } });
  test.each<[string, Pod, string | undefined]>([
    ["never updated", pod({ statuses: [{}] }), undefined],
    [
      "digest runs",
      pod({
        containers: [{ name: "c1", image: `nginx@${digest("a")}` }],
        statuses: [{ imageID: `docker-pullable://nginx@${digest("a")}` }],
      }),
      undefined,
    ],
    [
      "another digest runs",
      pod({ containers: [{ name: "c1", image: `nginx@${digest("a")}` }], statuses: [{ imageID: `nginx@${digest("b")}` }] }),
      "WaitingForContainer",
    ],
    [
      "another repository runs",
      pod({ containers: [{ name: "c1", image: `nginx@${digest("a")}` }], statuses: [{ imageID: `httpd@${digest("a")}` }] }),
      "WaitingForContainer",
    ],
    ["digest, no status", pod({ containers: [{ name: "c1", image: `nginx@${digest("a")}` }] }), "WaitingForContainer"],
    [
      "all digests: what was recorded says nothing",
      annotated(
        { "apps.kruise.io/inplace-update-grace": "{}" },
        { containers: [{ name: "c1", image: `nginx@${digest("a")}` }], statuses: [{ imageID: `nginx@${digest("a")}` }] },
      ),
      undefined,
    ],
    ["grace", annotated({ "apps.kruise.io/inplace-update-grace": "{}" }), "InPlaceUpdateGracePeriod"],
    ["grace, old name", annotated({ "inplace-update-grace": "{}" }), "InPlaceUpdateGracePeriod"],
    ["unreadable state", annotated({ "apps.kruise.io/inplace-update-state": "{" }), "InPlaceUpdateStateUnreadable"],
    [
      "a further batch",
      annotated({ "apps.kruise.io/inplace-update-state": '{"nextContainerImages":{"c1":"nginx:2"}}' }),
      "InPlaceUpdateNextBatch",
    ],
    [
      "the old image runs",
      annotated(
        { "apps.kruise.io/inplace-update-state": '{"lastContainerStatuses":{"c1":{"imageID":"sha256:one"}}}' },
        { containers: [{ name: "c1", image: "nginx:2" }], statuses: [{}] },
      ),
      "WaitingForContainer",
    ],
    ["sidecar: the old one runs", sidecars(before("id-1")), "WaitingForContainer"],
    ["sidecar: another one runs", sidecars(before("id-0")), undefined],
    ["sidecar: as its spec says", sidecars(before("id-1"), "side:1"), undefined],
    ["sidecar: unreadable", sidecars("{"), "SidecarUpdateStateUnreadable"],
    ["sidecar: of another set", sidecars(JSON.stringify({ c: { lastContainerStatuses: { side: { imageID: "id-1" } } } })), undefined],
  ])("%s", (_, subject, expected) => {
    expect(inconsistency(subject, gates)?.code).toBe(expected as string);
  });
});

describe("free pass", () => {
  test.each<[string, Pod, string | undefined]>([
    ["in service", annotated({}), undefined],
    ["not ready", pod({ statuses: [{}] }), "NotReady"],
    ["finished", annotated({}, { status: { phase: "Succeeded", conditions: [...inService] } }), "NotReady"],
    ["not consistent", annotated({ "inplace-update-grace": "{}" }), "NotConsistent"],
    ["taken out", annotated({}, { labels: { "unavailable-pod.kruise.io/debug": "" } }), "NotReady"],
    ["no protection wanted", annotated({ "pub.kruise.io/no-protect": "1" }), "NoProtect"],
  ])("%s", (_, subject, expected) => {
    expect(freePass(subject, gates)).toBe(expected as "NotReady");
  });
});

test("the newer mark leads, an empty one counts for none", () => {
  expect(relatedBudget(annotated({ "pub.kruise.io/related-pub": "a", "kruise.io/related-pub": "b" }))).toBe("a");
  expect(relatedBudget(annotated({ "pub.kruise.io/related-pub": "", "kruise.io/related-pub": "b" }))).toBe("b");
  expect(relatedBudget(annotated({}))).toBe("");
});

const budget = (
  spec: Partial<PodUnavailableBudgetSpec> = {},
  status?: PodUnavailableBudgetStatus,
  annotations?: Record<string, string>,
): PodUnavailableBudget => ({
  metadata: {
    name: "b",
    namespace: "default",
    uid: "u",
    resourceVersion: "1",
    creationTimestamp: "",
    ...(annotations ? { annotations } : {}),
  },
  spec,
  ...(status ? { status } : {}),
});

describe("4.1: effective options", () => {
  const operations = (spec: Partial<PodUnavailableBudgetSpec>, on: Partial<Record<GateName, boolean>>, text?: string) =>
    [...protectedBy(budget(spec, undefined, text === undefined ? undefined : { "kruise.io/pub-protect-operations": text }), gatesWith(on))]
      .sort()
      .join(",");
  test.each<[string[] | undefined, string | undefined, string, string]>([
    [undefined, undefined, "DELETE,EVICT,UPDATE", "DELETE,EVICT,RESIZE,UPDATE"],
    [["EVICT", "UPDATE"], undefined, "EVICT,UPDATE", "EVICT,RESIZE,UPDATE"],
    [["EVICT"], undefined, "EVICT", "EVICT"],
    [["RESIZE", "DELETE"], undefined, "DELETE,RESIZE", "DELETE,RESIZE"],
    [undefined, " EVICT, UPDATE ,,", "EVICT,UPDATE", "EVICT,RESIZE,UPDATE"],
    [["DELETE"], "EVICT", "DELETE", "DELETE"],
    [undefined, "BOGUS", "DELETE,EVICT,UPDATE", "DELETE,EVICT,RESIZE,UPDATE"],
  ])("%p, annotation %p", (listed, text, gateOn, gateOff) => {
    const spec = listed === undefined ? {} : { protectOperations: listed as never };
    expect([operations(spec, { InPlacePodVerticalScaling: true }, text), operations(spec, {}, text)]).toEqual([gateOn, gateOff]);
  });
  test("total replicas: the field, else the annotation", () => {
    const text = { "pub.kruise.io/protect-total-replicas": "15" };
    expect([
      totalReplicasOverride(budget({ protectTotalReplicas: 9 }, undefined, text)),
      totalReplicasOverride(budget({}, undefined, text)),
    ]).toEqual([9, 15]);
    expect([
      totalReplicasOverride(budget()),
      totalReplicasOverride(budget({}, undefined, { "pub.kruise.io/protect-total-replicas": "x" })),
    ]).toEqual([undefined, undefined]);
  });
});

const now: PodUnavailableBudgetStatus = { unavailableAllowed: 1, currentAvailable: 3, desiredAvailable: 2, totalReplicas: 3 };
const inUse = (name: string) => pod({ name, conditions: inService, statuses: [{}] });

test("a charge takes the pod out of the count at once", () => {
  expect(decide(budget({}, now), { pod: inUse("a"), operation: "EVICT", gates, nowMs })).toEqual({
    allowed: true,
    because: "Charged",
    status: { ...now, unavailableAllowed: 0, currentAvailable: 2, disruptedPods: { a: "2024-05-01T10:00:00Z" } },
  });
});

test("a recorded update that becomes a deletion counts for as long as a deletion", () => {
  const recorded = { ...now, unavailableAllowed: 0, unavailablePods: { a: "2024-05-01T09:59:55Z" } };
  expect(decide(budget({}, recorded), { pod: inUse("a"), operation: "DELETE", gates, nowMs })).toMatchObject({
    because: "Recorded",
    status: { unavailableAllowed: 0, unavailablePods: { a: "2024-05-01T09:59:55Z" }, disruptedPods: { a: "2024-05-01T10:00:00Z" } },
  });
});

test("an unreadable ignoredPodSelector is an error, not a pass", () => {
  const spec = { ignoredPodSelector: { matchExpressions: [{ key: "a", operator: "Like" }] } };
  expect(decide(budget(spec, now), { pod: inUse("a"), operation: "DELETE", gates, nowMs })).toMatchObject({
    allowed: false,
    because: "SelectorUnreadable",
  });
});

describe("a plan's charges", () => {
  const move = (name: string) => change<Pod>({ id: `move:${name}`, on: refOf(pods, inUse(name)), steps: [], after: ["revision"] });

  test("32: two of five, and the rest is told by whom it is refused", () => {
    const charges = new Charges(gates, nowMs);
    const subject = budget({}, { ...now, unavailableAllowed: 2, currentAvailable: 5, desiredAvailable: 3 });
    const asked = ["a", "b", "c", "d", "e"].map((name) => charges.pay(subject, inUse(name), "UPDATE", move(name)));
    expect(asked.map((paid) => ("refusedBy" in paid ? paid.refusedBy : paid.actions.map(({ id }) => id)))).toEqual([
      ["budget:a", "move:a"],
      ["budget:b", "move:b"],
      "b",
      "b",
      "b",
    ]);
    expect(asked[0]).toMatchObject({ actions: [{}, { after: ["revision", "budget:a"] }] });
    expect(asked[0]).not.toHaveProperty("actions.1.ofVersion");
  });

  test("the write is decided again on the budget as it is then", () => {
    const paid = new Charges(gates, nowMs).pay(budget({}, now), inUse("a"), "UPDATE", move("a"));
    if ("refusedBy" in paid) throw new Error("nothing was charged");
    const step = (paid.actions[0] as Change).steps[0] as unknown as WriteStep<PodUnavailableBudget>;
    expect(step.precondition).toBe("version");
    expect(step.write(budget({}, now))).toEqual({
      patch: "merge",
      body: { status: { unavailableAllowed: 0, currentAvailable: 2, unavailablePods: { a: "2024-05-01T10:00:00Z" } } },
    });
    expect(step.write(budget({}, { ...now, unavailableAllowed: 0 }))).toContain("no unavailable quota left");
    expect(step.write(budget({}, { ...now, desiredAvailable: 0 }))).toBeUndefined();
  });

  // By the time it is done the pod may have come up, or may be guarded.
  test("nobody to ask, nothing to pay: only of the pod as it was seen", () => {
    const charges = new Charges(gates, nowMs);
    const none = { ...now, unavailableAllowed: 0 };
    const leaving = budget({}, none);
    leaving.metadata.deletionTimestamp = "2024-05-01T10:00:00Z";
    for (const [guard, subject] of [
      [undefined, inUse("a")],
      [budget({}, none), pod({ name: "a", statuses: [{}] })],
      [budget({ protectOperations: ["DELETE"] }, none), inUse("a")],
      [leaving, inUse("a")],
    ] as const) {
      const { resourceVersion } = subject.metadata;
      expect(charges.pay(guard, subject, "UPDATE", move("a"))).toMatchObject({
        actions: [{ id: "move:a", after: ["revision"], ofVersion: resourceVersion }],
      });
    }
  });
});
