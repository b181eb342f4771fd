import { expect, test } from "bun:test";
import { pods } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/types.ts";
import { engineLimits } from "./limits.ts";
import { MemoryMetrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import { Reasons } from "./reasons.ts";
import { changedByUser } from "./routing.ts";

const web = { namespace: "shop", name: "web" };
const held = (on: string, code: string, figures = {}) => ({ on, code, figures });

test("a reason that persists keeps its first time, one that comes back begins anew", () => {
  const metrics = new MemoryMetrics();
  const reasons = new Reasons(metrics);
  expect(reasons.put("c", pods, web, [held("a", "Partition"), held("b", "Partition")], 100)).toBe(true);
  expect(reasons.put("c", pods, web, [held("a", "Partition", { kept: 2 }), held("b", "Partition")], 200)).toBe(false);
  expect(reasons.of("c", web)).toEqual([
    { on: "a", code: "Partition", figures: { kept: 2 }, sinceMs: 100 },
    { on: "b", code: "Partition", figures: {}, sinceMs: 100 },
  ]);
  expect(reasons.put("c", pods, web, [held("a", "Hook")], 300)).toBe(true);
  expect(reasons.put("c", pods, web, [held("a", "Partition")], 400)).toBe(true);
  expect(reasons.of("c", web)[0]?.sinceMs).toBe(400);
  expect(metrics.value(names.blockedTotal, { kind: "Pod", reason: "Partition" })).toBe(3);
  expect(reasons.put("c", pods, web, [], 500)).toBe(true);
  expect(reasons.put("c", pods, web, undefined, 600)).toBe(false);
  expect(reasons.of("c", web)).toEqual([]);
});

test("by code: how many, the first few, since the earliest", () => {
  const reasons = new Reasons();
  reasons.put("c", pods, web, [held("p0", "Partition")], 50);
  reasons.put("c", pods, web, [...Array.from({ length: 100 }, (_, index) => held(`p${index}`, "Partition")), held("", "Paused")], 100);
  const [partition, paused] = reasons.holds("c", web);
  expect(partition).toMatchObject({ code: "Partition", count: 100, sinceMs: 50 });
  expect(partition?.names).toHaveLength(engineLimits.reasonNamesMax);
  expect(paused).toMatchObject({ code: "Paused", count: 1, names: [""] });
});

test("is bounded in keys and in reasons a key", () => {
  const reasons = new Reasons();
  for (let index = 0; index <= engineLimits.reasonKeysMax; index += 1)
    reasons.put("c", pods, { namespace: "", name: `k${index}` }, [held("a", "X")], 1);
  expect(reasons.of("c", { namespace: "", name: "k0" })).toHaveLength(0);
  expect(reasons.of("c", { namespace: "", name: "k1" })).toHaveLength(1);
  reasons.put(
    "c",
    pods,
    web,
    Array.from({ length: engineLimits.reasonsPerKeyMax + 5 }, (_, index) => held(`p${index}`, "X")),
    1,
  );
  expect(reasons.of("c", web)).toHaveLength(engineLimits.reasonsPerKeyMax);
});

const object = (metadata: object = {}, more: object = {}) =>
  ({
    metadata: { name: "a", uid: "u", resourceVersion: "1", generation: 1, labels: { a: "b" }, ...metadata },
    ...more,
  }) as unknown as KubeObject;

test.each([
  [undefined, object(), true, "created"],
  [object(), undefined, true, "gone"],
  [object(), object({ generation: 2 }), true, "its spec"],
  [object(), object({ deletionTimestamp: "2025-01-01T00:00:00Z" }), true, "being deleted"],
  [object(), object({ labels: { a: "c" } }), true, "a label"],
  [object(), object({ annotations: { a: "c" } }), true, "an annotation"],
  [object(), object({ uid: "v" }), true, "another object"],
  [object(), object({ resourceVersion: "2" }, { status: { ready: 1 } }), false, "only its status"],
])("change %#", (before, after, expected) => {
  expect(changedByUser(before, after)).toBe(expected);
});
