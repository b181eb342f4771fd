/** The server itself: discovery, reviews, health. */
import { expect } from "bun:test";
import type { Case, Json } from "../bench.ts";

const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

export const serverCases: readonly Case[] = [
  {
    name: "it tells its version",
    async run(b) {
      const body = await b.must(b.get("/version"));
      expect([body.major, Number(body.minor.replace("+", "")) >= 32, body.gitVersion]).toEqual([
        "1",
        true,
        expect.stringMatching(/^v1\.\d+\.\d+/),
      ]);
    },
  },
  ...["/readyz", "/livez", "/healthz"].map(
    (path): Case => ({
      name: `${path} is ok`,
      async run(b) {
        const { status, text } = await b.get(path);
        expect([status, text]).toEqual([200, "ok"]);
      },
    }),
  ),
  {
    name: "discovery in one document",
    async run(b) {
      const body = await b.must(b.get("/apis", { accept: aggregated }));
      expect([body.kind, body.apiVersion]).toEqual(["APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"]);
      const apps = body.items.find((item: Json) => item.metadata.name === "apps");
      const deployments = apps.versions[0].resources.find((r: Json) => r.resource === "deployments");
      expect([
        deployments.responseKind.kind,
        deployments.scope,
        deployments.singularResource,
        deployments.shortNames,
        deployments.categories,
      ]).toEqual(["Deployment", "Namespaced", "deployment", ["deploy"], ["all"]]);
      expect(deployments.verbs).toEqual(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]);
      expect(deployments.subresources.map((s: Json) => s.subresource).sort()).toEqual(["scale", "status"]);
    },
  },
  {
    name: "core discovery in one document",
    async run(b) {
      const body = await b.must(b.get("/api", { accept: aggregated }));
      const pods = body.items[0].versions[0].resources.find((r: Json) => r.resource === "pods");
      expect(pods.subresources.map((s: Json) => s.subresource).sort()).toEqual([
        "attach",
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
        "resize",
        "status",
      ]);
    },
  },
  {
    name: "discovery, plain",
    async run(b) {
      const groups = await b.must(b.get("/apis"));
      expect([groups.kind, groups.groups.find((g: Json) => g.name === "apps").preferredVersion.groupVersion]).toEqual([
        "APIGroupList",
        "apps/v1",
      ]);
      const core = await b.must(b.get("/api/v1"));
      const names = core.resources.map((r: Json) => r.name);
      for (const name of ["pods", "pods/status", "pods/eviction", "nodes", "namespaces", "configmaps", "events"])
        expect(names).toContain(name);
      const pod = core.resources.find((r: Json) => r.name === "pods");
      expect([pod.kind, pod.singularName, pod.namespaced, pod.shortNames, pod.categories]).toEqual(["Pod", "pod", true, ["po"], ["all"]]);
    },
  },
  {
    name: "a group alone",
    async run(b) {
      const group = await b.must(b.get("/apis/apps"));
      expect([group.kind, group.name, group.versions.map((v: Json) => v.version)]).toEqual(["APIGroup", "apps", ["v1"]]);
    },
  },
  {
    name: "OpenAPI v3 has an index, and a document a group version",
    async run(b) {
      const { paths } = await b.must(b.get("/openapi/v3"));
      expect(paths["apis/apps/v1"].serverRelativeURL).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=/);
      const { components } = await b.must(b.get("/openapi/v3/apis/apps/v1"));
      const deployment = components.schemas["io.k8s.api.apps.v1.Deployment"];
      expect(deployment["x-kubernetes-group-version-kind"]).toEqual([{ group: "apps", kind: "Deployment", version: "v1" }]);
      const containers = components.schemas["io.k8s.api.core.v1.PodSpec"].properties.containers;
      expect([containers.type, containers["x-kubernetes-patch-merge-key"], containers["x-kubernetes-list-map-keys"]]).toEqual([
        "array",
        "name",
        ["name"],
      ]);
    },
  },
  {
    name: "an admin may do everything",
    async run(b) {
      const ask = { spec: { resourceAttributes: { verb: "create", resource: "pods", namespace: b.namespace } } };
      const { status, body } = await b.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ask);
      expect([status, body.kind, body.status.allowed]).toEqual([201, "SelfSubjectAccessReview", true]);
    },
  },
  {
    name: "one may ask who one is",
    async run(b) {
      const { status, body } = await b.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {});
      expect([status, body.kind]).toEqual([201, "SelfSubjectReview"]);
      expect(body.status.userInfo.groups).toContain("system:masters");
    },
  },
  {
    name: "a service account's token is known, others are not",
    async run(b) {
      const review = async (token: string) =>
        (await b.must(b.post("/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token } }))).status;
      const { status } = await b.must(b.post(b.core("serviceaccounts/default/token"), { spec: { expirationSeconds: 600 } }));
      const known = await review(status.token);
      expect([known.authenticated, known.user.username]).toEqual([true, `system:serviceaccount:${b.namespace}:default`]);
      expect(known.user.groups).toContain(`system:serviceaccounts:${b.namespace}`);
      const unknown = await review("nobody");
      expect([unknown.authenticated, unknown.error]).toEqual([undefined, expect.stringContaining("invalid bearer token")]);
    },
  },
  {
    name: "events of both groups are the same",
    async run(b) {
      const event = {
        metadata: { name: "e" },
        involvedObject: { kind: "ConfigMap", namespace: b.namespace, name: "a" },
        reason: "Tested",
        message: "m",
        type: "Normal",
        source: { component: "fidelity" },
        firstTimestamp: "2026-01-01T00:00:00Z",
        lastTimestamp: "2026-01-01T00:00:00Z",
        count: 1,
      };
      await b.must(b.post(b.core("events"), event));
      const other = await b.must(b.get(b.in("events.k8s.io/v1", "events/e")));
      expect([other.kind, other.apiVersion, other.note, other.regarding.name]).toEqual(["Event", "events.k8s.io/v1", "m", "a"]);
      const found = await b.must(b.get(b.core("events?fieldSelector=involvedObject.name%3Da,reason%3DTested")));
      expect(found.items).toHaveLength(1);
    },
  },
  {
    name: "a lease keeps its microseconds",
    async run(b) {
      const spec = { holderIdentity: "me", leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.123456Z" };
      const made = await b.must(b.post(b.in("coordination.k8s.io/v1", "leases"), { metadata: { name: "l" }, spec }));
      expect(made.spec).toEqual(spec);
    },
  },
  {
    name: "a path that leads nowhere is NotFound",
    async run(b) {
      expect((await b.get("/apis/none.example.com/v1/things")).status).toBe(404);
    },
  },
];
