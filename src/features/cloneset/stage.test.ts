import { expect, test } from "bun:test";
import type { KubeObject } from "../../kube/types.ts";
import { rolloutStage } from "./stage.ts";

const stage = (spec: object, status: object | undefined, generation = 2) =>
  rolloutStage({
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { namespace: "shop", name: "web", uid: "u", resourceVersion: "1", generation },
    spec: { replicas: 10, selector: {}, template: {}, ...spec },
    ...(status && { status: { observedGeneration: 2, currentRevision: "web-a", updateRevision: "web-b", replicas: 10, ...status } }),
  } as unknown as KubeObject)?.at;
const paused = { updateStrategy: { rollingUpdate: { paused: true } } };
const overdue = { conditions: [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" }] };

test.each<[string, object, object | undefined, string | undefined]>([
  ["no status yet", {}, undefined, undefined],
  ["of an older spec", {}, { observedGeneration: 1 }, undefined],
  ["on its way", {}, { updatedAvailableReplicas: 3, expectedUpdatedReplicas: 10 }, "moving"],
  ["all updated, not all available", {}, { currentRevision: "web-b", updatedAvailableReplicas: 9, expectedUpdatedReplicas: 10 }, "moving"],
  ["all there", {}, { currentRevision: "web-b", updatedAvailableReplicas: 10, expectedUpdatedReplicas: 10 }, "there"],
  ["scaled since", { replicas: 12 }, { currentRevision: "web-b", updatedAvailableReplicas: 10, expectedUpdatedReplicas: 12 }, "moving"],
  ["paused", paused, { updatedAvailableReplicas: 3, expectedUpdatedReplicas: 10 }, "resting"],
  ["paused, and all there", paused, { currentRevision: "web-b", updatedAvailableReplicas: 10, expectedUpdatedReplicas: 10 }, "there"],
  ["as far as the partition lets it", {}, { updatedAvailableReplicas: 3, expectedUpdatedReplicas: 3 }, "resting"],
  ["not yet as far as that", {}, { updatedAvailableReplicas: 2, expectedUpdatedReplicas: 3 }, "moving"],
  ["beyond its deadline", {}, { updatedAvailableReplicas: 2, expectedUpdatedReplicas: 10, ...overdue }, "overdue"],
])("%s", (_, spec, status, expected) => {
  expect(stage(spec, status)).toBe(expected as ReturnType<typeof stage>);
});
