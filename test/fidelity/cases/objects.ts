/** Making, reading and changing objects: identity, versions, generations, conflicts. */
import { expect } from "bun:test";
import type { Case } from "../bench.ts";

const dep = (name: string, rest: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: {
    // Nobody has to run anything.
    replicas: 0,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "c", image: "x:1" }] } },
    ...rest,
  },
});

export const objectCases: readonly Case[] = [
  {
    name: "a new object gets uid, resourceVersion and creationTimestamp",
    async run(b) {
      const { metadata } = await b.configMap("a", { data: { k: "v" } });
      expect(metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
      expect(metadata.resourceVersion).toMatch(/^\d+$/);
      expect(metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(metadata.generation).toBeUndefined();
    },
  },
  {
    name: "creating twice is AlreadyExists",
    async run(b) {
      await b.configMap("a");
      const again = await b.post(b.core("configmaps"), { metadata: { name: "a" } });
      expect([again.status, again.body.reason, again.body.message]).toEqual([409, "AlreadyExists", 'configmaps "a" already exists']);
      expect(again.body.details).toEqual({ name: "a", kind: "configmaps" });
    },
  },
  {
    name: "a missing object is NotFound, with details",
    async run(b) {
      const { status, body } = await b.get(b.in("apps/v1", "deployments/none"));
      expect([status, body.reason, body.message]).toEqual([404, "NotFound", 'deployments.apps "none" not found']);
      expect(body.details).toEqual({ name: "none", group: "apps", kind: "deployments" });
    },
  },
  {
    name: "an unknown resource is NotFound of another kind",
    async run(b) {
      const { status, body } = await b.get(b.core("widgets"));
      expect([status, String(body.message ?? body)]).toEqual([
        404,
        expect.stringMatching(/could not find the requested resource|404 page not found/),
      ]);
    },
  },
  {
    name: "generateName makes a name of the prefix and five letters",
    async run(b) {
      const one = await b.must(b.post(b.core("configmaps"), { metadata: { generateName: "gen-" } }));
      const two = await b.must(b.post(b.core("configmaps"), { metadata: { generateName: "gen-" } }));
      expect(one.metadata.name).toMatch(/^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
      expect(two.metadata.name).not.toBe(one.metadata.name);
      expect(one.metadata.generateName).toBe("gen-");
    },
  },
  {
    name: "a name wins over generateName",
    async run(b) {
      const made = await b.must(b.post(b.core("configmaps"), { metadata: { generateName: "gen-", name: "fixed" } }));
      expect([made.metadata.name, made.metadata.generateName]).toEqual(["fixed", "gen-"]);
    },
  },
  {
    name: "uid, creationTimestamp, generation and deletionTimestamp of a new object are the server's",
    async run(b) {
      const given = { uid: "mine", creationTimestamp: "2001-01-01T00:00:00Z", generation: 99, deletionTimestamp: "2001-01-01T00:00:00Z" };
      const made = await b.must(b.post(b.in("apps/v1", "deployments"), { ...dep("a"), metadata: { name: "a", ...given } }));
      expect(made.metadata.uid).not.toBe("mine");
      expect(made.metadata.creationTimestamp).not.toBe("2001-01-01T00:00:00Z");
      expect([made.metadata.generation, made.metadata.deletionTimestamp]).toEqual([1, undefined]);
    },
  },
  {
    name: "a resourceVersion on a new object is refused",
    async run(b) {
      const { status, body } = await b.post(b.core("configmaps"), { metadata: { name: "a", resourceVersion: "5" } });
      expect([status, body.message]).toEqual([500, "resourceVersion should not be set on objects to be created"]);
    },
  },
  {
    name: "a namespace in the body must be that of the path",
    async run(b) {
      const { status, body } = await b.post(b.core("configmaps"), { metadata: { name: "a", namespace: "other" } });
      expect([status, body.message]).toEqual([
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
      ]);
    },
  },
  {
    name: "a namespace that is not there takes nothing",
    async run(b) {
      const { status, body } = await b.post("/api/v1/namespaces/fidelity-none/configmaps", { metadata: { name: "a" } });
      expect([status, body.message]).toEqual([404, 'namespaces "fidelity-none" not found']);
    },
  },
  {
    name: "a body of another kind is refused",
    async run(b) {
      const { status, body } = await b.post(b.core("configmaps"), { apiVersion: "v1", kind: "Secret", metadata: { name: "a" } });
      expect([status, body.reason]).toEqual([400, "BadRequest"]);
    },
  },
  {
    name: "a body of another version is refused",
    async run(b) {
      const { status, body } = await b.post(b.in("apps/v1", "deployments"), { ...dep("a"), apiVersion: "apps/v1beta1" });
      expect([status, body.reason]).toEqual([400, "BadRequest"]);
    },
  },
  {
    name: "kind and apiVersion may be left out for built-in kinds",
    async run(b) {
      const made = await b.must(b.post(b.core("configmaps"), { metadata: { name: "a" } }));
      expect([made.kind, made.apiVersion]).toEqual(["ConfigMap", "v1"]);
    },
  },
  {
    name: "a body that is no JSON is refused",
    async run(b) {
      expect((await b.ask("POST", b.core("configmaps"), "{not json")).status).toBe(400);
    },
  },
  {
    name: "an update with the version that is there succeeds and gets a later one",
    async run(b) {
      const made = await b.configMap("a", { data: { k: "1" } });
      const next = await b.must(b.put(b.core("configmaps/a"), { ...made, data: { k: "2" } }));
      expect(next.data).toEqual({ k: "2" });
      expect(Number(next.metadata.resourceVersion)).toBeGreaterThan(Number(made.metadata.resourceVersion));
      expect([next.metadata.uid, next.metadata.creationTimestamp]).toEqual([made.metadata.uid, made.metadata.creationTimestamp]);
    },
  },
  {
    name: "an update with an older version is a Conflict",
    async run(b) {
      const made = await b.configMap("a");
      await b.must(b.put(b.core("configmaps/a"), { ...made, data: { k: "2" } }));
      const { status, body } = await b.put(b.core("configmaps/a"), { ...made, data: { k: "3" } });
      expect([status, body.reason]).toEqual([409, "Conflict"]);
      expect(body.message).toBe(
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
      );
      expect(body.details).toEqual({ name: "a", kind: "configmaps" });
    },
  },
  {
    name: "an update without a version overwrites",
    async run(b) {
      await b.configMap("a", { data: { k: "1" } });
      const next = await b.must(b.put(b.core("configmaps/a"), { metadata: { name: "a" }, data: { other: "2" } }));
      expect(next.data).toEqual({ other: "2" });
    },
  },
  {
    name: "an update that changes nothing keeps the version",
    async run(b) {
      const made = await b.configMap("a", { data: { k: "1" } });
      const same = await b.must(b.put(b.core("configmaps/a"), made));
      expect(same.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    },
  },
  {
    name: "an update of another uid is a Conflict",
    async run(b) {
      const made = await b.configMap("a");
      const other = { ...made, metadata: { ...made.metadata, uid: "00000000-0000-0000-0000-000000000000", resourceVersion: "" } };
      const { status, body } = await b.put(b.core("configmaps/a"), other);
      expect([status, body.reason]).toEqual([409, "Conflict"]);
      expect(body.message).toContain("Precondition failed: UID in precondition: 00000000-0000-0000-0000-000000000000");
    },
  },
  {
    name: "a name in the body must be that of the path",
    async run(b) {
      await b.configMap("a");
      const { status, body } = await b.put(b.core("configmaps/a"), { metadata: { name: "b" } });
      expect([status, body.message]).toEqual([400, "the name of the object (b) does not match the name on the URL (a)"]);
    },
  },
  {
    name: "an update of what is not there is NotFound",
    async run(b) {
      const { status, body } = await b.put(b.core("configmaps/none"), { metadata: { name: "none" } });
      expect([status, body.reason]).toEqual([404, "NotFound"]);
    },
  },
  {
    name: "an update cannot change creationTimestamp or uid",
    async run(b) {
      const made = await b.configMap("a");
      const next = await b.must(
        b.put(b.core("configmaps/a"), {
          ...made,
          data: { k: "v" },
          metadata: { ...made.metadata, creationTimestamp: "2001-01-01T00:00:00Z" },
        }),
      );
      expect(next.metadata.creationTimestamp).toBe(made.metadata.creationTimestamp);
    },
  },
  {
    name: "generation counts changes of the spec",
    async run(b) {
      const path = b.in("apps/v1", "deployments/a");
      const made = await b.must(b.post(b.in("apps/v1", "deployments"), dep("a", { paused: true })));
      const labelled = await b.must(b.patch(path, { metadata: { labels: { x: "y" } } }));
      const scaled = await b.must(b.patch(path, { spec: { minReadySeconds: 5 } }));
      expect([made.metadata.generation, labelled.metadata.generation, scaled.metadata.generation]).toEqual([1, 1, 2]);
    },
  },
  {
    name: "generation in an update is ignored",
    async run(b) {
      const path = b.in("apps/v1", "deployments/a");
      await b.must(b.post(b.in("apps/v1", "deployments"), dep("a", { paused: true })));
      const now = await b.must(b.get(path));
      const next = await b.must(
        b.put(path, { ...now, metadata: { ...now.metadata, generation: 77, labels: { a: "b" }, resourceVersion: "" } }),
      );
      expect(next.metadata.generation).toBe(now.metadata.generation);
    },
  },
  {
    name: "dry run of a create leaves nothing",
    async run(b) {
      const { status, body } = await b.post(`${b.core("configmaps")}?dryRun=All`, { metadata: { name: "a" }, data: { k: "v" } });
      expect([status, body.metadata.name, typeof body.metadata.uid, body.metadata.resourceVersion]).toEqual([
        201,
        "a",
        "string",
        undefined,
      ]);
      expect((await b.get(b.core("configmaps/a"))).status).toBe(404);
    },
  },
  {
    name: "dry run of an update shows the result and changes nothing",
    async run(b) {
      const made = await b.configMap("a", { data: { k: "1" } });
      const shown = await b.must(b.put(`${b.core("configmaps/a")}?dryRun=All`, { ...made, data: { k: "2" } }));
      expect(shown.data).toEqual({ k: "2" });
      expect((await b.must(b.get(b.core("configmaps/a")))).data).toEqual({ k: "1" });
    },
  },
  {
    name: "dry run of a deletion deletes nothing",
    async run(b) {
      await b.configMap("a");
      expect((await b.delete(`${b.core("configmaps/a")}?dryRun=All`)).status).toBe(200);
      expect((await b.get(b.core("configmaps/a"))).status).toBe(200);
    },
  },
  {
    name: "dry run of a conflict is still a Conflict",
    async run(b) {
      const made = await b.configMap("a");
      await b.must(b.patch(b.core("configmaps/a"), { data: { k: "v" } }));
      expect((await b.put(`${b.core("configmaps/a")}?dryRun=All`, { ...made, data: { k: "3" } })).status).toBe(409);
    },
  },
  {
    name: "another word than All for dryRun is refused",
    async run(b) {
      const { status } = await b.post(`${b.core("configmaps")}?dryRun=Some`, { metadata: { name: "a" } });
      expect([400, 422]).toContain(status);
      expect((await b.get(b.core("configmaps/a"))).status).toBe(404);
    },
  },
  {
    name: "unknown fields are dropped with a warning",
    async run(b) {
      const { status, body, warnings } = await b.post(b.core("configmaps"), { metadata: { name: "a" }, datum: { k: "v" } });
      expect([status, body.datum, warnings]).toEqual([201, undefined, ['unknown field "datum"']]);
    },
  },
  {
    name: "unknown fields are refused where that is asked",
    async run(b) {
      const { status, body } = await b.post(`${b.in("apps/v1", "deployments")}?fieldValidation=Strict`, dep("a", { replicaz: 3 }));
      expect([status, body.reason]).toEqual([400, "BadRequest"]);
      expect(body.message).toBe(
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replicaz"',
      );
    },
  },
  {
    name: "unknown fields are dropped silently where that is asked",
    async run(b) {
      const { status, warnings } = await b.post(`${b.core("configmaps")}?fieldValidation=Ignore`, { metadata: { name: "a" }, datum: 1 });
      expect([status, warnings]).toEqual([201, []]);
    },
  },
  {
    name: "a value of the wrong type is refused",
    async run(b) {
      const { status, body } = await b.post(b.in("apps/v1", "deployments"), dep("a", { replicas: "three" }));
      expect([status, body.reason]).toEqual([400, "BadRequest"]);
      expect(body.message).toContain(
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field',
      );
      expect(body.message).toContain("spec.replicas of type int32");
    },
  },
  {
    name: "null is absent",
    async run(b) {
      const made = await b.must(b.post(b.core("configmaps"), { metadata: { name: "a", labels: null }, data: null }));
      expect([made.metadata.labels, made.data]).toEqual([undefined, undefined]);
    },
  },
  {
    name: "zeros of fields that are no pointers are not shown, those of pointers are",
    async run(b) {
      const made = await b.must(b.post(b.in("apps/v1", "deployments"), dep("a", { replicas: 0, paused: false, minReadySeconds: 0 })));
      expect([made.spec.replicas, made.spec.paused, made.spec.minReadySeconds]).toEqual([0, undefined, undefined]);
    },
  },
  {
    name: "a new Deployment has an empty status",
    async run(b) {
      const made = await b.must(b.post(b.in("apps/v1", "deployments"), { ...dep("a"), status: { replicas: 9 } }));
      expect(made.status).toEqual({});
    },
  },
  {
    name: "POST to a name is not allowed",
    async run(b) {
      expect((await b.post(b.core("configmaps/a"), { metadata: { name: "a" } })).status).toBe(405);
    },
  },
  {
    name: "PUT to a collection is not allowed",
    async run(b) {
      expect((await b.put(b.core("configmaps"), { metadata: { name: "a" } })).status).toBe(405);
    },
  },
];
