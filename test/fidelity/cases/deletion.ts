/** Deleting: finalizers, grace, preconditions, owners. */
import { expect } from "bun:test";
import type { Bench, Case, Json } from "../bench.ts";

const held = (name: string, finalizers = ["example.com/hold"]) => ({ metadata: { name, finalizers } });
const owned = (name: string, owner: Json, rest: object = {}) => ({
  metadata: {
    name,
    ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: owner.metadata.name, uid: owner.metadata.uid, ...rest }],
  },
});
const gone = (b: Bench, path: string) => b.eventually(async () => (await b.get(path)).status === 404);
const cms = (b: Bench, name = "") => b.core(`configmaps${name === "" ? "" : `/${name}`}`);
const release = (b: Bench, name: string) => b.patch(cms(b, name), { metadata: { finalizers: null } });
/** On a node that nobody looks after. */
const pod = (name: string, rest: object = {}) => ({
  metadata: { name },
  spec: { nodeName: "fidelity-none", terminationGracePeriodSeconds: 20, containers: [{ name: "c", image: "x:1" }], ...rest },
});

export const deletionCases: readonly Case[] = [
  {
    name: "a plain deletion answers with a Status and its details",
    async run(b) {
      const made = await b.configMap("a");
      const { status, body } = await b.delete(cms(b, "a"));
      expect([status, body.kind, body.status]).toEqual([200, "Status", "Success"]);
      expect(body.details).toEqual({ name: "a", kind: "configmaps", uid: made.metadata.uid });
      expect((await b.get(cms(b, "a"))).status).toBe(404);
    },
  },
  {
    name: "deleting what is not there is NotFound",
    async run(b) {
      expect((await b.delete(cms(b, "none"))).status).toBe(404);
    },
  },
  {
    name: "a finalizer keeps the object, with a deletionTimestamp",
    async run(b) {
      await b.must(b.post(cms(b), held("a")));
      const { status, body } = await b.delete(cms(b, "a"));
      expect([status, body.kind, body.metadata.deletionGracePeriodSeconds]).toEqual([200, "ConfigMap", 0]);
      expect(body.metadata.deletionTimestamp).toMatch(/Z$/);
      await release(b, "a");
      expect((await b.get(cms(b, "a"))).status).toBe(404);
    },
  },
  {
    name: "deleting again what is going changes nothing",
    async run(b) {
      await b.must(b.post(cms(b), held("a")));
      const first = await b.must(b.delete(cms(b, "a")));
      const again = await b.must(b.delete(cms(b, "a")));
      expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
      await release(b, "a");
    },
  },
  {
    name: "what is going takes no new finalizers",
    async run(b) {
      await b.must(b.post(cms(b), held("a")));
      await b.delete(cms(b, "a"));
      const { status, body } = await b.patch(cms(b, "a"), { metadata: { finalizers: ["example.com/hold", "example.com/more"] } });
      expect([status, body.reason]).toEqual([422, "Invalid"]);
      expect(body.message).toContain(
        'no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/more"}',
      );
      await release(b, "a");
    },
  },
  {
    name: "what is going can still be changed otherwise",
    async run(b) {
      await b.must(b.post(cms(b), held("a")));
      await b.delete(cms(b, "a"));
      expect((await b.patch(cms(b, "a"), { data: { k: "v" } })).status).toBe(200);
      await release(b, "a");
    },
  },
  {
    name: "removing the last finalizer of what is not going keeps it",
    async run(b) {
      await b.must(b.post(cms(b), held("a")));
      await release(b, "a");
      expect((await b.get(cms(b, "a"))).status).toBe(200);
    },
  },
  {
    name: "deletionTimestamp cannot be taken back",
    async run(b) {
      await b.must(b.post(cms(b), held("a")));
      await b.delete(cms(b, "a"));
      const next = await b.must(b.patch(cms(b, "a"), { metadata: { deletionTimestamp: null } }));
      expect(next.metadata.deletionTimestamp).toMatch(/Z$/);
      await release(b, "a");
    },
  },
  {
    name: "a uid of another object is a Conflict",
    async run(b) {
      const made = await b.configMap("a");
      const { status, body } = await b.delete(cms(b, "a"), { preconditions: { uid: "other" } });
      expect([status, body.reason]).toEqual([409, "Conflict"]);
      expect(body.message).toContain(
        `the UID in the precondition (other) does not match the UID in record (${made.metadata.uid}). The object might have been deleted and then recreated`,
      );
    },
  },
  {
    name: "the right uid passes",
    async run(b) {
      const made = await b.configMap("a");
      expect((await b.delete(cms(b, "a"), { preconditions: { uid: made.metadata.uid } })).status).toBe(200);
    },
  },
  {
    name: "an older version is a Conflict",
    async run(b) {
      const made = await b.configMap("a");
      await b.must(b.patch(cms(b, "a"), { data: { k: "v" } }));
      const { status, body } = await b.delete(cms(b, "a"), { preconditions: { resourceVersion: made.metadata.resourceVersion } });
      expect([status, body.reason]).toEqual([409, "Conflict"]);
      expect(body.message).toContain("The object might have been modified");
    },
  },
  {
    name: "an unknown propagation policy is refused",
    async run(b) {
      await b.configMap("a");
      const { status } = await b.delete(cms(b, "a"), { propagationPolicy: "Sideways" });
      expect(status).toBe(422);
    },
  },
  {
    name: "generation grows when a deletion begins",
    async run(b) {
      const spec = {
        replicas: 0,
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "x" }] } },
      };
      await b.must(b.post(b.in("apps/v1", "deployments"), { metadata: { name: "d", finalizers: ["example.com/hold"] }, spec }));
      const body = await b.must(b.delete(b.in("apps/v1", "deployments/d"), { propagationPolicy: "Background" }));
      expect(body.metadata.generation).toBe(2);
      await b.patch(b.in("apps/v1", "deployments/d"), { metadata: { finalizers: null } });
    },
  },
  {
    name: "deletecollection takes what the selector says",
    async run(b) {
      for (const [name, app] of [
        ["a", "x"],
        ["b", "x"],
        ["c", "y"],
      ] as const)
        await b.must(b.post(cms(b), { metadata: { name, labels: { app } } }));
      const { status, body } = await b.delete(`${cms(b)}?labelSelector=app%3Dx`);
      expect([status, body.kind]).toEqual([200, "ConfigMapList"]);
      const left = await b.must(b.get(`${cms(b)}?labelSelector=app`));
      expect(left.items.map((item: Json) => item.metadata.name)).toEqual(["c"]);
    },
  },
  {
    name: "a pod on a node is given time",
    async run(b) {
      await b.must(b.post(b.core("pods"), pod("p")));
      const body = await b.must(b.delete(b.core("pods/p")));
      expect([body.kind, body.metadata.deletionGracePeriodSeconds]).toEqual(["Pod", 20]);
      const lead = Date.parse(body.metadata.deletionTimestamp) - Date.now();
      expect(lead).toBeGreaterThan(15_000);
      expect((await b.get(b.core("pods/p"))).status).toBe(200);
      await b.delete(b.core("pods/p"), { gracePeriodSeconds: 0 });
      expect((await b.get(b.core("pods/p"))).status).toBe(404);
    },
  },
  {
    name: "the time may be shortened, not prolonged",
    async run(b) {
      await b.must(b.post(b.core("pods"), pod("p")));
      await b.must(b.delete(b.core("pods/p")));
      const longer = await b.must(b.delete(b.core("pods/p"), { gracePeriodSeconds: 100 }));
      expect(longer.metadata.deletionGracePeriodSeconds).toBe(20);
      const shorter = await b.must(b.delete(b.core("pods/p"), { gracePeriodSeconds: 5 }));
      expect(shorter.metadata.deletionGracePeriodSeconds).toBe(5);
      await b.delete(b.core("pods/p"), { gracePeriodSeconds: 0 });
    },
  },
  {
    name: "a pod without a node goes at once",
    async run(b) {
      await b.must(b.post(b.core("pods"), pod("p", { nodeName: undefined, schedulerName: "nobody" })));
      await b.must(b.delete(b.core("pods/p")));
      expect((await b.get(b.core("pods/p"))).status).toBe(404);
    },
  },
  {
    name: "a finished pod goes at once",
    async run(b) {
      await b.must(b.post(b.core("pods"), pod("p")));
      await b.must(b.patch(b.core("pods/p/status"), { status: { phase: "Succeeded" } }));
      await b.must(b.delete(b.core("pods/p")));
      expect((await b.get(b.core("pods/p"))).status).toBe(404);
    },
  },
  {
    name: "a pod with a finalizer outlives its time",
    async run(b) {
      await b.must(b.post(b.core("pods"), { ...pod("p"), metadata: { name: "p", finalizers: ["example.com/hold"] } }));
      const body = await b.must(b.delete(b.core("pods/p"), { gracePeriodSeconds: 0 }));
      expect([body.metadata.deletionGracePeriodSeconds, body.metadata.finalizers]).toEqual([0, ["example.com/hold"]]);
      await b.patch(b.core("pods/p"), { metadata: { finalizers: null } });
      expect((await b.get(b.core("pods/p"))).status).toBe(404);
    },
  },
  {
    name: "dependents go after their owner",
    async run(b) {
      const owner = await b.configMap("owner");
      await b.must(b.post(cms(b), owned("child", owner)));
      await b.must(b.delete(cms(b, "owner")));
      await gone(b, cms(b, "child"));
    },
  },
  {
    name: "foreground: the owner waits for dependents that block it",
    async run(b) {
      const owner = await b.configMap("owner");
      const child = owned("child", owner, { blockOwnerDeletion: true, controller: true });
      await b.must(b.post(cms(b), { metadata: { ...child.metadata, finalizers: ["example.com/hold"] } }));
      const body = await b.must(b.delete(cms(b, "owner"), { propagationPolicy: "Foreground" }));
      expect(body.metadata.finalizers).toEqual(["foregroundDeletion"]);
      await b.eventually(async () => (await b.get(cms(b, "child"))).body.metadata.deletionTimestamp !== undefined);
      expect((await b.get(cms(b, "owner"))).status).toBe(200);
      await release(b, "child");
      await gone(b, cms(b, "owner"));
      await gone(b, cms(b, "child"));
    },
  },
  {
    name: "orphan: dependents stay, without the owner",
    async run(b) {
      const owner = await b.configMap("owner");
      await b.must(b.post(cms(b), owned("child", owner)));
      const body = await b.must(b.delete(cms(b, "owner"), { propagationPolicy: "Orphan" }));
      expect(body.metadata.finalizers).toEqual(["orphan"]);
      await gone(b, cms(b, "owner"));
      expect((await b.must(b.get(cms(b, "child")))).metadata.ownerReferences).toBeUndefined();
    },
  },
  {
    name: "a dependent with another living owner stays",
    async run(b) {
      const one = await b.configMap("one");
      const two = await b.configMap("two");
      const references = [one, two].map((owner) => ({
        apiVersion: "v1",
        kind: "ConfigMap",
        name: owner.metadata.name,
        uid: owner.metadata.uid,
      }));
      await b.must(b.post(cms(b), { metadata: { name: "child", ownerReferences: references } }));
      await b.must(b.delete(cms(b, "one")));
      await b.eventually(async () => (await b.get(cms(b, "child"))).body.metadata.ownerReferences?.length === 1);
      expect((await b.must(b.get(cms(b, "child")))).metadata.ownerReferences[0].name).toBe("two");
    },
  },
  {
    name: "a dependent of an owner that never was goes",
    async run(b) {
      const ghost = { metadata: { name: "ghost", uid: "11111111-2222-3333-4444-555555555555" } };
      await b.must(b.post(cms(b), owned("child", ghost)));
      await gone(b, cms(b, "child"));
    },
  },
  {
    name: "a dependent of an older object of that name goes",
    async run(b) {
      const first = await b.configMap("owner");
      await b.must(b.delete(cms(b, "owner")));
      await b.configMap("owner");
      await b.must(b.post(cms(b), owned("child", first)));
      await gone(b, cms(b, "child"));
    },
  },
  {
    name: "two controllers are one too many",
    async run(b) {
      const owner = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", name, uid: `uid-${name}`, controller: true });
      const { status, body } = await b.post(cms(b), { metadata: { name: "a", ownerReferences: [owner("x"), owner("y")] } });
      expect([status, body.reason]).toEqual([422, "Invalid"]);
      expect(body.message).toContain(
        'Only one reference can have Controller set to true. Found "true" in references for ConfigMap/x and ConfigMap/y',
      );
    },
  },
  {
    name: "the default namespace stays",
    async run(b) {
      const { status, body } = await b.delete("/api/v1/namespaces/default");
      expect([status, body.message]).toEqual([403, 'namespaces "default" is forbidden: this namespace may not be deleted']);
    },
  },
  {
    name: "a namespace takes its objects along",
    async run(b) {
      const { body: made } = await b.post("/api/v1/namespaces", { metadata: { generateName: "fidelity-" } });
      const name = made.metadata.name;
      expect([made.spec.finalizers, made.status.phase, made.metadata.labels["kubernetes.io/metadata.name"]]).toEqual([
        ["kubernetes"],
        "Active",
        name,
      ]);
      await b.must(b.post(`/api/v1/namespaces/${name}/configmaps`, { metadata: { name: "a" } }));
      const going = await b.must(b.delete(`/api/v1/namespaces/${name}`));
      expect(going.status.phase).toBe("Terminating");
      await gone(b, `/api/v1/namespaces/${name}`);
    },
  },
];
