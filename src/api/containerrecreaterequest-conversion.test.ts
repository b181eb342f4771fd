import { expect, test } from "bun:test";
import type { KubeObject } from "../kube/types.ts";
import { containerRecreateRequestConversion as conversion } from "./containerrecreaterequest-conversion.ts";

const request = (version: string, status: object | undefined, annotations?: Record<string, string>): KubeObject =>
  ({
    apiVersion: `apps.kruise.io/${version}`,
    kind: "ContainerRecreateRequest",
    metadata: { name: "restart", uid: "1", resourceVersion: "7", creationTimestamp: "2026-01-01T00:00:00Z", annotations },
    spec: { podName: "web-0", containers: [{ name: "app" }] },
    status,
  }) as KubeObject;

const snapshot = [
  { name: "app", ready: true, restartCount: 2, containerID: "containerd://1" },
  { name: "log", ready: false, restartCount: 0 },
];
const said = {
  "crr.apps.kruise.io/sync-container-statuses": JSON.stringify(snapshot),
  "crr.apps.kruise.io/unready-acquired": "2026-01-01T00:00:00Z",
};
const grace = {
  type: "PreRecreateGrace",
  status: "True",
  lastTransitionTime: "2026-01-01T00:00:00Z",
  reason: "PreRecreateGrace",
  message: expect.any(String),
};

test("annotations are promoted to the status, and stay", () => {
  const stored = conversion.toStorage(request("v1alpha1", { phase: "Recreating" }, said));
  expect(stored).toEqual({
    ...request("v1beta1", { phase: "Recreating", containerStatusSnapshot: snapshot, conditions: [grace] }, said),
  } as never);
});

test("the status is told in annotations", () => {
  const status = { phase: "Recreating", containerStatusSnapshot: snapshot, conditions: [{ ...grace, message: "held" }] };
  expect(conversion.fromStorage(request("v1beta1", status, { mine: "1" }))).toEqual(
    request("v1alpha1", { phase: "Recreating" }, { mine: "1", ...said }),
  );
});

test("the snapshot is told field by field as OpenKruise does, in whatever order the server keeps it", () => {
  const sorted = snapshot.map((entry) => Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1))));
  const told = conversion.fromStorage(request("v1beta1", { phase: "Recreating", containerStatusSnapshot: sorted }));
  expect(told.metadata.annotations?.["crr.apps.kruise.io/sync-container-statuses"]).toBe(JSON.stringify(snapshot));
});

test.each([
  ["crr.apps.kruise.io/sync-container-statuses", "[{"],
  ["crr.apps.kruise.io/sync-container-statuses", '{"name":"app"}'],
  ["crr.apps.kruise.io/unready-acquired", "yesterday"],
  ["crr.apps.kruise.io/unready-acquired", "2026-13-01T00:00:00Z"],
  ["crr.apps.kruise.io/unready-acquired", "2026-02-03"],
])("%s that says %p means nothing and stays", (key, value) => {
  const stored = conversion.toStorage(request("v1alpha1", { phase: "Pending" }, { [key]: value }));
  expect(stored).toEqual(request("v1beta1", { phase: "Pending" }, { [key]: value }));
});

test("times are told in whole seconds, UTC", () => {
  const stored = conversion.toStorage(
    request("v1alpha1", undefined, { "crr.apps.kruise.io/unready-acquired": "2026-01-01T02:00:00.75+02:00" }),
  );
  expect(stored).toHaveProperty("status.conditions", [grace]);
});

test("a grace that is over is not told", () => {
  const status = { phase: "Recreating", conditions: [{ ...grace, message: "over", status: "False" }] };
  expect(conversion.fromStorage(request("v1beta1", status))).toEqual(request("v1alpha1", { phase: "Recreating" }));
});

test("a snapshot that the annotation tells already leaves its text alone", () => {
  const annotations = { "crr.apps.kruise.io/sync-container-statuses": '[ {"restartCount":2,"ready":true,"name":"app"} ]' };
  const back = conversion.fromStorage(conversion.toStorage(request("v1alpha1", { phase: "Recreating" }, annotations)));
  expect(back.metadata.annotations).toEqual(annotations);
});
