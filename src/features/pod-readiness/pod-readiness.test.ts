import { describe, expect, test } from "bun:test";
import type { AdmissionContext, AdmissionRequest } from "../../admission/webhook.ts";
import type { GateName } from "../../api/gates.ts";
import { startHouse, testSettings } from "../../engine/testing/harness.ts";
import { pods } from "../../kube/kinds.ts";
import type { OwnerReference, Pod } from "../../kube/types.ts";
import { settingsWith } from "../../workload/testing/pods.ts";
import { podReadinessController } from "./controller.ts";
import { addGate } from "./mutation.ts";

const owner = (apiVersion: string): OwnerReference => ({ apiVersion, kind: "CloneSet", name: "web", uid: "u", controller: true });
const draft = (references: OwnerReference[], gates: string[] = []): Pod => ({
  metadata: { name: "web-1", namespace: "shop", uid: "", resourceVersion: "", creationTimestamp: "", ownerReferences: references },
  spec: { containers: [], readinessGates: gates.map((conditionType) => ({ conditionType })) },
});
const mutate = (pod: Pod, gates: Partial<Record<GateName, boolean>> = {}) =>
  addGate(pod, {} as AdmissionRequest<Pod>, { settings: testSettings({ gates: settingsWith(gates).gates }) } as AdmissionContext) as Pod;

describe("29: the gate", () => {
  test.each<[string, Pod, Partial<Record<GateName, boolean>>, boolean]>([
    ["a pod of ours", draft([owner("apps.kruise.io/v1alpha1")]), {}, true],
    ["somebody else's pod", draft([owner("apps/v1")]), {}, false],
    ["owned, not controlled", draft([{ ...owner("apps.kruise.io/v1beta1"), controller: false }]), {}, false],
    ["a bare pod", draft([]), {}, false],
    ["a bare pod with the feature gate", draft([]), { KruisePodReadinessGate: true }, true],
  ])("%s", (_, pod, gates, added) => {
    expect(mutate(pod, gates).spec.readinessGates).toEqual(added ? [{ conditionType: "KruisePodReady" }] : []);
  });
  test("is added once, after the others", () => {
    const pod = draft([owner("apps.kruise.io/v1beta1")], ["KruisePodReady"]);
    expect(mutate(pod)).toBe(pod);
    expect(mutate(draft([owner("apps.kruise.io/v1beta1")], ["x"])).spec.readinessGates).toHaveLength(2);
  });
});

test("29: the condition is set once, on pods with the gate", async () => {
  const house = await startHouse([podReadinessController]);
  house.world.add(pods, { ...draft([], ["KruisePodReady"]), metadata: { name: "gated", namespace: "shop" } });
  house.world.add(pods, { ...draft([]), metadata: { name: "bare", namespace: "shop" } });
  await house.rest();
  expect(house.world.now(pods, { namespace: "shop", name: "gated" })?.status?.conditions).toMatchObject([
    { type: "KruisePodReady", status: "True" },
  ]);
  expect(house.world.writes().map(({ verb, subresource, key }) => [verb, subresource, key.name])).toEqual([["patch", "status", "gated"]]);
  house.world.edit<Pod>(pods, { namespace: "shop", name: "gated" }, (pod) => {
    pod.status = { conditions: [{ type: "KruisePodReady", status: "False" }] };
  });
  await house.rest();
  expect(house.world.writes()).toHaveLength(1);
  await house.stop();
});

test("a new pod of a workload that updates in place gets it from there; what the workload forgot is made good", async () => {
  const house = await startHouse([podReadinessController]);
  const gates = ["KruisePodReady", "InPlaceUpdateReady"];
  const add = (name: string, references: OwnerReference[], status: Pod["status"] = {}) =>
    house.world.add(pods, { ...draft(references, gates), metadata: { name, namespace: "shop", ownerReferences: references }, status });
  add("new", [owner("apps.kruise.io/v1beta1")]);
  add("somebody-elses", [owner("apps/v1")]);
  // Of our group, and of no workload that is at work here.
  add("stateful", [{ ...owner("apps.kruise.io/v1beta1"), kind: "StatefulSet" }]);
  add("older", [owner("apps.kruise.io/v1beta1")], { conditions: [{ type: "InPlaceUpdateReady", status: "True" }] });
  await house.rest();
  const written = house.world.writes().map(({ key }) => key.name);
  expect(written.sort()).toEqual(["older", "somebody-elses", "stateful"]);
  await house.stop();
});
