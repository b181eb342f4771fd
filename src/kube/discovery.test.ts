import { describe, expect, test } from "bun:test";
import { FakeEnv } from "../env/fake.ts";
import type { HttpResponse } from "../env/network.ts";
import { discover, serverInfo } from "./discovery.ts";
import { pods } from "./kinds.ts";
import { anonymousCredentials, createKube } from "./kube.ts";
import { json, status } from "./testing/fake-api.ts";
import { atLeast, parseServerVersion } from "./version.ts";

function clientOf(answers: Readonly<Record<string, unknown>>) {
  const asked: string[] = [];
  const fetch = async (url: string): Promise<HttpResponse> => {
    const path = url.replace("http://in-process", "");
    asked.push(path);
    const answer = answers[path];
    return answer === undefined ? status(503, "ServiceUnavailable", "down") : json(200, answer);
  };
  return { asked, client: createKube(new FakeEnv(), anonymousCredentials(), { userAgent: "t", fetch }).client };
}

const resource = (plural: string, kind: string, group: string, version: string, more: object = {}) => ({
  resource: plural,
  responseKind: { group, version, kind },
  scope: "Namespaced",
  singularResource: kind.toLowerCase(),
  verbs: ["get", "list", "watch"],
  ...more,
});

const aggregated = {
  "/api": {
    kind: "APIGroupDiscoveryList",
    items: [
      {
        metadata: {},
        versions: [
          {
            version: "v1",
            freshness: "Current",
            resources: [
              resource("pods", "Pod", "", "v1", {
                shortNames: ["po"],
                subresources: [{ subresource: "status" }, { subresource: "resize" }],
              }),
              resource("nodes", "Node", "", "v1", { scope: "Cluster" }),
            ],
          },
        ],
      },
    ],
  },
  "/apis": {
    kind: "APIGroupDiscoveryList",
    items: [
      {
        metadata: { name: "apps.kruise.io" },
        versions: [
          {
            version: "v1beta1",
            freshness: "Current",
            resources: [resource("statefulsets", "StatefulSet", "apps.kruise.io", "v1beta1", { shortNames: ["asts"] })],
          },
          {
            version: "v1alpha1",
            freshness: "Current",
            resources: [
              resource("statefulsets", "StatefulSet", "apps.kruise.io", "v1alpha1"),
              resource("clonesets", "CloneSet", "apps.kruise.io", "v1alpha1", {
                shortNames: ["clone"],
                subresources: [{ subresource: "scale" }],
              }),
            ],
          },
        ],
      },
      { metadata: { name: "metrics.k8s.io" }, versions: [{ version: "v1beta1", freshness: "Stale" }] },
      {
        metadata: { name: "apps" },
        versions: [
          {
            version: "v1",
            freshness: "Current",
            resources: [resource("statefulsets", "StatefulSet", "apps", "v1", { shortNames: ["sts"] })],
          },
        ],
      },
    ],
  },
};

const plain = {
  "/api": { kind: "APIVersions", versions: ["v1"] },
  "/apis": {
    kind: "APIGroupList",
    groups: [
      {
        name: "apps.kruise.io",
        versions: [{ groupVersion: "apps.kruise.io/v1alpha1" }, { groupVersion: "apps.kruise.io/v1beta1" }],
        preferredVersion: { groupVersion: "apps.kruise.io/v1beta1" },
      },
      {
        name: "metrics.k8s.io",
        versions: [{ groupVersion: "metrics.k8s.io/v1beta1" }],
        preferredVersion: { groupVersion: "metrics.k8s.io/v1beta1" },
      },
      { name: "apps", versions: [{ groupVersion: "apps/v1" }], preferredVersion: { groupVersion: "apps/v1" } },
    ],
  },
  "/api/v1": {
    resources: [
      { name: "pods", singularName: "pod", namespaced: true, kind: "Pod", verbs: ["get"], shortNames: ["po"] },
      { name: "pods/status", namespaced: true, kind: "Pod", verbs: ["get"] },
      { name: "pods/resize", namespaced: true, kind: "Pod", verbs: ["get"] },
      { name: "nodes", singularName: "node", namespaced: false, kind: "Node" },
    ],
  },
  "/apis/apps.kruise.io/v1beta1": {
    resources: [{ name: "statefulsets", singularName: "statefulset", namespaced: true, kind: "StatefulSet", shortNames: ["asts"] }],
  },
  "/apis/apps.kruise.io/v1alpha1": {
    resources: [
      { name: "statefulsets", singularName: "statefulset", namespaced: true, kind: "StatefulSet" },
      { name: "clonesets", singularName: "cloneset", namespaced: true, kind: "CloneSet", shortNames: ["clone"] },
      { name: "clonesets/scale", namespaced: true, kind: "Scale", group: "autoscaling", version: "v1" },
    ],
  },
  "/apis/apps/v1": {
    resources: [{ name: "statefulsets", singularName: "statefulset", namespaced: true, kind: "StatefulSet", shortNames: ["sts"] }],
  },
};

describe.each([
  ["aggregated", aggregated, 2],
  ["plain", plain, 7],
])("%s discovery", (_, answers, requests) => {
  test("knows kinds, versions, names and subresources", async () => {
    const { asked, client } = clientOf(answers);
    const found = await discover(client);
    if (!found.ok) throw new Error(found.message);
    const discovery = found.object;
    expect(asked).toHaveLength(requests);
    expect(discovery.serves("clonesets.apps.kruise.io")).toBe(true);
    expect(discovery.serves("pods")).toBe(true);
    expect(discovery.serves("sidecarsets.apps.kruise.io")).toBe(false);
    expect(discovery.servesVersion(pods)).toBe(true);
    expect(discovery.servesVersion({ ...pods, version: "v2" })).toBe(false);
    expect(discovery.silent).toEqual(["metrics.k8s.io/v1beta1"]);
    expect(discovery.resource("statefulsets.apps.kruise.io")?.kind.version).toBe("v1beta1");
    expect(discovery.byKind("apps.kruise.io", "StatefulSet", "v1alpha1")?.kind.version).toBe("v1alpha1");
    expect(discovery.byKind("apps.kruise.io", "StatefulSet", "v9")?.kind.version).toBe("v1beta1");
    expect(discovery.resource("clonesets.apps.kruise.io")?.subresources).toEqual(["scale"]);
    expect(discovery.resource("pods")?.subresources).toEqual(["status", "resize"]);
    expect(discovery.resource("nodes")?.kind.namespaced).toBe(false);
  });

  test.each([
    ["clone", "CloneSet.apps.kruise.io"],
    ["cloneset", "CloneSet.apps.kruise.io"],
    ["CloneSet", "CloneSet.apps.kruise.io"],
    ["po", "Pod."],
    ["statefulset.apps", "StatefulSet.apps"],
    ["statefulsets.apps.kruise.io", "StatefulSet.apps.kruise.io"],
    ["statefulsets.v1.apps", "StatefulSet.apps"],
    ["asts", "StatefulSet.apps.kruise.io"],
    ["nothing", undefined],
  ])("%s is %s", async (typed, expected) => {
    const found = await discover(clientOf(answers).client);
    const first = found.ok ? found.object.lookup(typed)[0] : undefined;
    expect(first && `${first.kind.kind}.${first.kind.group}`).toBe(expected);
  });
});

test("a server that does not answer is a failure", async () => {
  expect(await discover(clientOf({}).client)).toMatchObject({ ok: false, why: "unavailable" });
});

test.each([
  // gitVersion, read as, at least 1.32
  ["v1.32.0", [1, 32, 0], true],
  ["v1.33.0-gke.100", [1, 33, 0], true],
  ["v1.31.0", [1, 31, 0], false],
  ["v1.28+gke.1", [1, 28, 1], false],
  ["v1.32+gke.1", [1, 32, 1], true],
  ["v1.32.0.extra", [1, 32, 0], true],
  ["v2.0.0", [2, 0, 0], true],
  ["1.32", undefined, false],
  ["v1.31-eks", undefined, false],
  ["garbage", undefined, false],
  ["", undefined, false],
])("version %p", async (gitVersion, expected, resize) => {
  const version = parseServerVersion(gitVersion);
  expect(version && [version.major, version.minor, version.patch]).toEqual(expected);
  expect(atLeast(version, 1, 32)).toBe(resize);
  const info = await serverInfo(clientOf({ "/version": { gitVersion } }).client);
  expect(info.ok && info.object).toEqual({ gitVersion, version });
});
