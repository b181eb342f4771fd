import { describe, expect, test } from "bun:test";
import type { AdmissionRequest } from "../../admission/webhook.ts";
import type { ContainerRecreateRequestSpec } from "../../api/containerrecreaterequest.ts";
import { gatesWith } from "../../api/gates.ts";
import { testSettings, World } from "../../engine/testing/harness.ts";
import { FakeEnv } from "../../env/fake.ts";
import { review } from "./admission.ts";
import { admit, admitted, furnish, type PodDraft, request, runningStatus } from "./testing/request.ts";

const worldWith = (draft: PodDraft = {}, nodeLabels: Record<string, string> = {}) => {
  const world = new World(new FakeEnv());
  furnish(world, draft, nodeLabels);
  return world;
};

test("1: what the pod says is filled in", async () => {
  const world = worldWith();
  const object = await admitted(world);
  const uid = (await world.live.get(
    { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true },
    { namespace: "shop", name: "p" },
  )) as {
    object: { metadata: { uid: string } };
  };
  expect(object.metadata.labels).toEqual({
    "crr.apps.kruise.io/active": "true",
    "crr.apps.kruise.io/node-name": "n1",
    "crr.apps.kruise.io/pod-uid": uid.object.metadata.uid,
  });
  expect(object.spec).toEqual({
    podName: "p",
    containers: [{ name: "app", statusContext: { containerID: "containerd://app-1", restartCount: 0 } }],
    strategy: { failurePolicy: "Fail", terminationGracePeriodSeconds: 17 },
  });
});

describe("2: what is refused", () => {
  test.each<[string, Partial<ContainerRecreateRequestSpec>, string]>([
    ["an unknown pod", { podName: "q" }, "spec.podName: pod q not found"],
    ["no pod", { podName: "" }, "spec.podName: Required value"],
    ["no containers", { containers: [] }, "spec.containers: Required value"],
    ["a container that is not in the pod", { containers: [{ name: "x" }] }, 'spec.containers[0].name: Not found: "x"'],
    ["a container twice", { containers: [{ name: "app" }, { name: "app" }] }, 'spec.containers[1].name: Duplicate value: "app"'],
    ["a deadline of two seconds", { activeDeadlineSeconds: 2 }, "spec.activeDeadlineSeconds: Invalid value: 2"],
    ["an unknown policy", { strategy: { failurePolicy: "Foo" as "Fail" } }, "spec.strategy.failurePolicy: Unsupported value"],
    [
      "an unready grace below zero",
      { strategy: { unreadyGracePeriodSeconds: -1 } },
      "spec.strategy.unreadyGracePeriodSeconds: Invalid value: -1",
    ],
    ["a grace below zero", { strategy: { terminationGracePeriodSeconds: -1 } }, "spec.strategy.terminationGracePeriodSeconds"],
  ])("%s", async (_, spec, message) => {
    expect(await admit(worldWith(), { spec })).toEqual({ allowed: false, code: 400, message: expect.stringContaining(message) });
  });
  test("three seconds are enough", async () => {
    expect(await admit(worldWith(), { spec: { activeDeadlineSeconds: 3 } })).toMatchObject({ allowed: true });
  });
});

describe("3: the pod has to be at work on a node", () => {
  const terminated = [{ type: "SidecarTerminated", status: "True" as const }];
  test.each<[string, PodDraft, boolean]>([
    ["not scheduled", { nodeName: "" }, false],
    ["finished", { phase: "Succeeded" }, false],
    ["failed", { phase: "Failed" }, false],
    ["finished, while its sidecars are being ended", { phase: "Succeeded", conditions: terminated }, true],
    ["on an unknown node", { nodeName: "n2" }, false],
  ])("%s", async (_, draft, allowed) => {
    const verdict = await admit(worldWith(draft));
    expect(verdict.allowed).toBe(allowed);
    if (!verdict.allowed) expect(verdict.code).toBe(400);
  });
});

describe("4: hooks and ports", () => {
  const ports = [{ name: "http", containerPort: 8080, protocol: "TCP" }];
  const httpGet = { path: "/stop", port: "http" };
  const exec = { command: ["stop"] };
  const pod = (preStop: object): PodDraft => ({ containers: [{ name: "app", ports, lifecycle: { preStop } }] });
  test.each<[string, object, object]>([
    ["an HTTP hook comes with the ports", { httpGet }, { preStop: { httpGet }, ports }],
    ["a command comes alone", { exec }, { preStop: { exec } }],
    ["a sleep has no room: the node agent reads it from the pod", { sleep: { seconds: 3 } }, {}],
  ])("%s", async (_, preStop, expected) => {
    const { spec } = await admitted(worldWith(pod(preStop)));
    const { name, statusContext, ...rest } = spec.containers[0]!;
    expect(rest).toEqual(expected);
  });
  test.each<[string, object, boolean]>([
    ["a status context is not the user's to give", { statusContext: { containerID: "x", restartCount: 0 } }, false],
    ["another hook", { preStop: { exec: { command: ["other"] } } }, false],
    ["other ports", { ports: [{ containerPort: 1 }] }, false],
    ["the pod's own, as kubectl-kruise sends them", { preStop: { exec }, ports }, true],
  ])("%s", async (_, given, allowed) => {
    const verdict = await admit(worldWith(pod({ exec })), { spec: { containers: [{ name: "app", ...given }] } });
    expect(verdict.allowed).toBe(allowed);
    if (verdict.allowed) expect((verdict.object as { spec: { containers: object[] } }).spec.containers[0]).not.toHaveProperty("ports");
  });
});

describe("which containers", () => {
  const draft: PodDraft = {
    initContainers: [{ name: "setup" }, { name: "mesh", restartPolicy: "Always" }],
    initStatuses: [runningStatus("setup"), runningStatus("mesh")],
    statuses: [{ ...runningStatus("app"), containerID: "" }],
  };
  test.each([
    ["mesh", true, "a sidecar that is an init container"],
    ["setup", false, "an init container has ended"],
    ["app", false, "it was never started"],
  ])("%s: %p, %s", async (name, allowed) => {
    expect((await admit(worldWith(draft), { spec: { containers: [{ name }] } })).allowed).toBe(allowed);
  });
});

describe("5: a request cannot be changed", () => {
  const labels = { "crr.apps.kruise.io/pod-uid": "u", "crr.apps.kruise.io/node-name": "n" };
  const old = {
    metadata: { name: "r", labels, annotations: { "crr.apps.kruise.io/unready-acquired": "t" } },
    spec: { podName: "p", containers: [] },
  };
  const update = (change: object, version = "v1beta1") => {
    const object = { ...old, ...change } as unknown as AdmissionRequest["object"];
    const oldObject = old as unknown as AdmissionRequest["object"];
    return review({ ...request("UPDATE", version), object, oldObject }, { read: worldWith(), settings: testSettings() });
  };
  test.each<[string, object, number | undefined, string?]>([
    ["its spec", { spec: { podName: "q", containers: [] } }, 403],
    ["the pod's uid", { metadata: { ...old.metadata, labels: { ...labels, "crr.apps.kruise.io/pod-uid": "v" } } }, 403],
    ["the node's name, taken away", { metadata: { ...old.metadata, labels: { "crr.apps.kruise.io/pod-uid": "u" } } }, 403],
    ["another label", { metadata: { ...old.metadata, labels: { ...labels, mine: "1" } } }, undefined],
    ["v1alpha1: the time it was taken out of service", { metadata: { ...old.metadata, annotations: {} } }, 403, "v1alpha1"],
    ["v1beta1 keeps that elsewhere", { metadata: { ...old.metadata, annotations: {} } }, undefined, "v1beta1"],
  ])("%s", async (_, change, code, version) => {
    const verdict = await update(change, version);
    expect(verdict.allowed ? undefined : verdict.code).toBe(code);
  });
});

test("6: without the gate KruiseDaemon nothing is let in", async () => {
  expect(await admit(worldWith(), {}, { gates: gatesWith({ KruiseDaemon: false }) })).toMatchObject({ allowed: false, code: 403 });
});

test("25: pods on virtual nodes are marked as such", async () => {
  const object = await admitted(worldWith({}, { type: "virtual-kubelet" }));
  expect(object.metadata.labels?.["type"]).toBe("virtual-kubelet");
});

test("a server that does not answer is no reason to say that there is no pod", async () => {
  const world = worldWith();
  world.fault = ({ kind }) =>
    kind === "Pod" ? { ok: false, why: "unavailable", mayHaveHappened: false, message: "connection refused" } : undefined;
  expect(await admit(world)).toMatchObject({ allowed: false, code: 500 });
});
