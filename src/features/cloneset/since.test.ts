import { describe, expect, test } from "bun:test";
import { annotation, label } from "../../api/names.ts";
import type { Pod } from "../../kube/types.ts";
import { pod } from "../../workload/testing/pods.ts";
import type { Code } from "./reasons.ts";
import { sinceMsOf } from "./since.ts";
import type { Observed } from "./world.ts";

const at = (minute: number): string => `2024-05-01T10:${String(minute).padStart(2, "0")}:00Z`;
const revision = (name: string, minute: number) => ({ name, object: { metadata: { name, creationTimestamp: at(minute) } } });

function since(code: Code, own: Pod | undefined, update = 5): string | undefined {
  const revisions = { update: revision("new", update), history: [revision("old", 1).object, revision("other", 4).object] };
  const observed = { pods: own === undefined ? [] : [own], podNamed: () => undefined, revisions } as unknown as Observed;
  const ms = sinceMsOf({ on: "web-1", code }, observed);
  return ms === undefined ? undefined : new Date(ms).toISOString().replace(".000", "");
}

describe("since when", () => {
  const updating = pod({
    name: "web-1",
    labels: { [label.lifecycleState]: "Updating" },
    annotations: {
      [annotation.lifecycleTimestamp]: at(20),
      [annotation.inPlaceUpdateState]: JSON.stringify({ revision: "new", updateTimestamp: at(21), lastContainerStatuses: null }),
    },
    conditions: [{ type: "Ready", status: "False", lastTransitionTime: at(22) }],
    metadata: { deletionTimestamp: at(23) },
  });
  test.each<[Code, string]>([
    ["HeldByPartition", at(5)],
    ["Paused", at(5)],
    ["HeldByUpdateHook", at(20)],
    ["WaitingForNormalHook", at(20)],
    ["WaitingForContainer", at(21)],
    ["InPlaceUpdateGracePeriod", at(21)],
    ["WaitingForReady", at(22)],
    ["ReplacementWaits", at(23)],
  ])("%s", (code, expected) => expect(since(code, updating)).toBe(expected));

  test("a pod without conditions waits from its creation", () => {
    expect(since("WaitingForReady", pod({ name: "web-1", conditions: [], metadata: { creationTimestamp: at(7) } }))).toBe(at(7));
  });
  test.each<[string, Code, Pod | undefined, number]>([
    ["a revision that came back", "HeldByPartition", updating, 2],
    ["a pod that is gone", "WaitingForReady", undefined, 5],
    ["a pod that never said", "WaitingForContainer", pod({ name: "web-1" }), 5],
    ["what is about the whole", "ScaleUpLimited", undefined, 5],
  ])("nobody can say: %s", (_, code, own, update) => expect(since(code, own, update)).toBeUndefined());
});
