/** Server-side apply. */
import { expect } from "bun:test";
import type { Bench, Case, Json } from "../bench.ts";

const cm = (data: object, metadata: object = {}) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", ...metadata }, data });
const path = (b: Bench) => b.core("configmaps/a");
const owners = (object: Json): readonly string[] =>
  object.metadata.managedFields.map((entry: { manager: string; operation: string }) => `${entry.manager} ${entry.operation}`).sort();

const dep = (containers: object[], rest: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "d" },
  spec: {
    paused: true,
    selector: { matchLabels: { app: "d" } },
    template: { metadata: { labels: { app: "d" } }, spec: { containers } },
    ...rest,
  },
});
const deployment = (b: Bench) => b.in("apps/v1", "deployments/d");

export const applyCases: readonly Case[] = [
  {
    name: "what is not there is made, with 201",
    async run(b) {
      const { status, body } = await b.apply(path(b), "one", cm({ k: "v" }));
      expect([status, body.data]).toEqual([201, { k: "v" }]);
      expect(owners(body)).toEqual(["one Apply"]);
    },
  },
  {
    name: "a manager has to be named",
    async run(b) {
      const { status, body } = await b.patch(path(b), cm({ k: "v" }), "apply");
      expect([status, body.reason]).toEqual([422, "Invalid"]);
      expect(body.message).toContain("fieldManager: Required value: is required for apply patch");
    },
  },
  {
    name: "the same again changes nothing",
    async run(b) {
      const { body: first } = await b.apply(path(b), "one", cm({ k: "v" }));
      const { status, body } = await b.apply(path(b), "one", cm({ k: "v" }));
      expect([status, body.metadata.resourceVersion]).toEqual([200, first.metadata.resourceVersion]);
    },
  },
  {
    name: "what a manager no longer says goes",
    async run(b) {
      await b.apply(path(b), "one", cm({ k: "1", l: "2" }));
      const { body } = await b.apply(path(b), "one", cm({ k: "1" }));
      expect(body.data).toEqual({ k: "1" });
    },
  },
  {
    name: "what others said stays",
    async run(b) {
      await b.apply(path(b), "one", cm({ k: "1" }));
      await b.apply(path(b), "two", cm({ l: "2" }));
      const { body } = await b.apply(path(b), "one", cm({ m: "3" }));
      expect(body.data).toEqual({ l: "2", m: "3" });
      expect(owners(body)).toEqual(["one Apply", "two Apply"]);
    },
  },
  {
    name: "another value of what somebody else applied is a conflict",
    async run(b) {
      await b.apply(path(b), "one", cm({ k: "1" }));
      const { status, body } = await b.apply(path(b), "two", cm({ k: "2" }));
      expect([status, body.reason, body.message]).toEqual([409, "Conflict", 'Apply failed with 1 conflict: conflict with "one": .data.k']);
      expect(body.details.causes).toEqual([{ reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".data.k" }]);
    },
  },
  {
    name: "several conflicts are told together",
    async run(b) {
      await b.apply(path(b), "one", cm({ k: "1", l: "1" }));
      const { body } = await b.apply(path(b), "two", cm({ k: "2", l: "2" }));
      expect(body.message).toBe('Apply failed with 2 conflicts: conflicts with "one":\n- .data.k\n- .data.l');
    },
  },
  {
    name: "force takes the field over",
    async run(b) {
      await b.apply(path(b), "one", cm({ k: "1" }));
      const { status, body } = await b.apply(path(b), "two", cm({ k: "2" }), true);
      expect([status, body.data]).toEqual([200, { k: "2" }]);
      expect(owners(body)).toEqual(["two Apply"]);
    },
  },
  {
    name: "the same value is shared, and stays until nobody says it",
    async run(b) {
      await b.apply(path(b), "one", cm({ k: "1" }));
      await b.apply(path(b), "two", cm({ k: "1" }));
      const { body: kept } = await b.apply(path(b), "one", cm({}));
      expect(kept.data).toEqual({ k: "1" });
      const { body: gone } = await b.apply(path(b), "two", cm({}));
      expect(gone.data).toBeUndefined();
    },
  },
  {
    name: "what an update wrote conflicts with another's apply",
    async run(b) {
      await b.apply(path(b), "one", cm({ k: "1" }));
      await b.must(b.patch(`${path(b)}?fieldManager=editor`, { data: { k: "2" } }));
      const { status, body } = await b.apply(path(b), "one", cm({ k: "1" }));
      expect(status).toBe(409);
      expect(body.message).toBe('Apply failed with 1 conflict: conflict with "editor" using v1: .data.k');
    },
  },
  {
    name: "an update that changes nothing owns nothing",
    async run(b) {
      const { body } = await b.apply(path(b), "one", cm({ k: "1" }));
      const same = await b.must(b.put(`${path(b)}?fieldManager=editor`, body));
      expect(owners(same)).toEqual(["one Apply"]);
    },
  },
  {
    name: "a create is owned as an update",
    async run(b) {
      const made = await b.must(b.post(`${b.core("configmaps")}?fieldManager=maker`, cm({ k: "1" })));
      expect(made.metadata.managedFields).toEqual([
        {
          manager: "maker",
          operation: "Update",
          apiVersion: "v1",
          time: made.metadata.creationTimestamp,
          fieldsType: "FieldsV1",
          fieldsV1: { "f:data": { ".": {}, "f:k": {} } },
        },
      ]);
    },
  },
  {
    name: "without a name, the manager is the user agent's first word",
    async run(b) {
      const made = await b.must(b.ask("POST", b.core("configmaps"), cm({ k: "1" }), { userAgent: "mytool/v3 (linux)" }));
      expect(owners(made)).toEqual(["mytool Update"]);
    },
  },
  {
    name: "fields of an apply are listed without their parents",
    async run(b) {
      const { body } = await b.apply(path(b), "one", cm({ k: "1" }, { labels: { x: "y" } }));
      expect(body.metadata.managedFields[0].fieldsV1).toEqual({ "f:data": { "f:k": {} }, "f:metadata": { "f:labels": { "f:x": {} } } });
    },
  },
  {
    name: "items of a keyed list are owned by their keys",
    async run(b) {
      const { body } = await b.apply(
        deployment(b),
        "one",
        dep([{ name: "c", image: "x", ports: [{ containerPort: 80, protocol: "TCP" }] }]),
      );
      const containers = body.metadata.managedFields[0].fieldsV1["f:spec"]["f:template"]["f:spec"]["f:containers"];
      expect(containers).toEqual({
        'k:{"name":"c"}': {
          ".": {},
          "f:image": {},
          "f:name": {},
          "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {}, "f:protocol": {} } },
        },
      });
    },
  },
  {
    name: "two managers may each have their container",
    async run(b) {
      await b.must(b.apply(deployment(b), "one", dep([{ name: "c", image: "x" }])));
      const sidecar = {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "d" },
        spec: { template: { spec: { containers: [{ name: "s", image: "y" }] } } },
      };
      const both = await b.must(b.apply(deployment(b), "two", sidecar));
      expect(both.spec.template.spec.containers.map((c: { name: string }) => c.name)).toEqual(["c", "s"]);
      const one = await b.must(b.apply(deployment(b), "one", dep([{ name: "c", image: "z" }])));
      expect(one.spec.template.spec.containers.map((c: { name: string; image: string }) => [c.name, c.image])).toEqual([
        ["c", "z"],
        ["s", "y"],
      ]);
    },
  },
  {
    name: "a container that is no longer applied goes as a whole",
    async run(b) {
      await b.must(
        b.apply(
          deployment(b),
          "one",
          dep([
            { name: "c", image: "x" },
            { name: "s", image: "y" },
          ]),
        ),
      );
      const one = await b.must(b.apply(deployment(b), "one", dep([{ name: "c", image: "x" }])));
      expect(one.spec.template.spec.containers.map((c: { name: string }) => c.name)).toEqual(["c"]);
    },
  },
  {
    name: "a selector is owned as a whole",
    async run(b) {
      const { body } = await b.apply(deployment(b), "one", dep([{ name: "c", image: "x" }]));
      expect(body.metadata.managedFields[0].fieldsV1["f:spec"]["f:selector"]).toEqual({});
    },
  },
  {
    name: "replicas left to somebody else stay",
    async run(b) {
      await b.must(b.apply(deployment(b), "one", dep([{ name: "c", image: "x" }], { replicas: 0 })));
      await b.must(
        b.apply(deployment(b), "scaler", { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" }, spec: { replicas: 0 } }),
      );
      const one = await b.must(b.apply(deployment(b), "one", dep([{ name: "c", image: "x" }])));
      expect(one.spec.replicas).toBe(0);
    },
  },
  {
    name: "a scale conflicts with applied replicas",
    async run(b) {
      await b.must(b.apply(deployment(b), "one", dep([{ name: "c", image: "x" }], { replicas: 0 })));
      await b.must(b.patch(`${deployment(b)}/scale?fieldManager=scaler`, { spec: { replicas: 2 } }));
      const { status, body } = await b.apply(deployment(b), "one", dep([{ name: "c", image: "x" }], { replicas: 0 }));
      expect(status).toBe(409);
      expect(body.message).toMatch(/conflict with "scaler" with subresource "scale" using (apps|autoscaling)\/v1.*: \.spec\.replicas/);
    },
  },
  {
    name: "apply as YAML",
    async run(b) {
      const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n";
      const { status, body } = await b.ask("PATCH", `${path(b)}?fieldManager=one`, yaml, { type: "apply" });
      expect([status, body.data]).toEqual([201, { k: "v" }]);
    },
  },
  {
    name: "managedFields in an apply are refused",
    async run(b) {
      const { status, body } = await b.apply(path(b), "one", cm({}, { managedFields: [{ manager: "x", operation: "Apply" }] }));
      expect([status, body.message]).toEqual([400, "metadata.managedFields must be nil"]);
    },
  },
  {
    name: "the body needs its kind",
    async run(b) {
      const { status } = await b.apply(path(b), "one", { metadata: { name: "a" }, data: {} });
      expect(status).toBe(400);
    },
  },
  {
    name: "what nobody is known to have said counts as said before the first apply",
    async run(b) {
      await b.apply(path(b), "one", cm({ k: "1" }));
      const reset = await b.must(b.patch(path(b), [{ op: "replace", path: "/metadata/managedFields", value: [{}] }], "jsonPatch"));
      expect(reset.metadata.managedFields).toBeUndefined();
      const { status, body } = await b.apply(path(b), "two", cm({ k: "2" }));
      expect([status, body.message]).toEqual([409, 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k']);
    },
  },
  {
    name: "the status is not the main resource's to apply",
    async run(b) {
      const { body } = await b.apply(deployment(b), "one", { ...dep([{ name: "c", image: "x" }]), status: { replicas: 7 } });
      expect(body.metadata.managedFields[0].fieldsV1["f:status"]).toBeUndefined();
      expect(body.status.replicas).toBeUndefined();
    },
  },
  {
    name: "dry run of an apply makes nothing",
    async run(b) {
      expect((await b.apply(`${path(b)}?dryRun=All`, "one", cm({ k: "1" }))).status).toBe(201);
      expect((await b.get(path(b))).status).toBe(404);
    },
  },
];
