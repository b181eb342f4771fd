/** Status, scale, eviction, binding, resize, ephemeral containers, finalize. */
import { expect } from "bun:test";
import type { Bench, Case, Json } from "../bench.ts";

const labels = { app: "a" };
const deployment = (spec: object = {}) => ({
  metadata: { name: "d" },
  spec: {
    paused: true,
    replicas: 0,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }] } },
    ...spec,
  },
});
const makeDeployment = (b: Bench, spec?: object): Promise<Json> => b.must(b.post(b.in("apps/v1", "deployments"), deployment(spec)));
const path = (b: Bench, sub = "") => b.in("apps/v1", `deployments/d${sub}`);

/** On a node that nobody looks after. */
const pod = (rest: object = {}) => ({
  metadata: { name: "p", labels },
  spec: { nodeName: "fidelity-none", containers: [{ name: "c", image: "x:1", resources: { requests: { cpu: "100m" } } }], ...rest },
});
const makePod = (b: Bench, rest?: object): Promise<Json> => b.must(b.post(b.core("pods"), pod(rest)));
const drop = (b: Bench) => b.delete(b.core("pods/p"), { gracePeriodSeconds: 0 });
const evict = (b: Bench, rest: object = {}) =>
  b.post(b.core("pods/p/eviction"), {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name: "p", namespace: b.namespace },
    ...rest,
  });

function resizeRefused(name: string, resources: object, says: string): Case {
  return {
    name: `resize: refused: ${name}`,
    async run(b) {
      await makePod(b);
      const { status, body } = await b.patch(b.core("pods/p/resize"), { spec: { containers: [{ name: "c", resources }] } }, "strategic");
      expect([status, body.message]).toEqual([422, expect.stringContaining(says)]);
      await drop(b);
    },
  };
}

export const subresourceCases: readonly Case[] = [
  {
    name: "status: an update of it leaves the spec alone",
    async run(b) {
      const made = await makePod(b);
      const next = await b.must(
        b.put(b.core("pods/p/status"), {
          ...made,
          spec: { ...made.spec, hostname: "other" },
          status: { ...made.status, phase: "Running", message: "m" },
        }),
      );
      expect([next.spec.hostname, next.status.phase, next.status.message]).toEqual([undefined, "Running", "m"]);
      await drop(b);
    },
  },
  {
    name: "status: an update of the object leaves it alone",
    async run(b) {
      await makePod(b);
      await b.must(b.patch(b.core("pods/p/status"), { status: { phase: "Running" } }));
      const next = await b.must(b.patch(b.core("pods/p"), { metadata: { labels: { x: "y" } }, status: { phase: "Failed" } }));
      expect([next.metadata.labels.x, next.status.phase]).toEqual(["y", "Running"]);
      await drop(b);
    },
  },
  {
    name: "status: does not count as a change of the spec",
    async run(b) {
      await makeDeployment(b);
      await b.eventually(async () => (await b.get(path(b))).body.status.observedGeneration === 1);
      const next = await b.must(b.patch(path(b, "/status"), { status: { collisionCount: 1 } }));
      expect([next.metadata.generation, next.status.collisionCount]).toEqual([1, 1]);
    },
  },
  {
    name: "status: a pod's labels may be changed along",
    async run(b) {
      await makePod(b);
      const next = await b.must(b.patch(b.core("pods/p/status"), { metadata: { labels: { x: "y" } } }));
      expect(next.metadata.labels.x).toBe("y");
      await drop(b);
    },
  },
  {
    name: "status: the object can be read there",
    async run(b) {
      await makePod(b);
      const { status, body } = await b.get(b.core("pods/p/status"));
      expect([status, body.kind, body.metadata.name]).toEqual([200, "Pod", "p"]);
      await drop(b);
    },
  },
  {
    name: "status: an older version is a Conflict",
    async run(b) {
      const made = await makePod(b);
      await b.must(b.patch(b.core("pods/p"), { metadata: { labels: { x: "y" } } }));
      expect((await b.put(b.core("pods/p/status"), { ...made, status: { phase: "Running" } })).status).toBe(409);
      await drop(b);
    },
  },
  {
    name: "status: kinds without one have none",
    async run(b) {
      await b.configMap("a");
      expect((await b.patch(b.core("configmaps/a/status"), {})).status).toBe(404);
    },
  },
  {
    name: "scale: shows replicas and the selector as text",
    async run(b) {
      const made = await makeDeployment(b);
      const scale = await b.must(b.get(path(b, "/scale")));
      expect([scale.kind, scale.apiVersion, scale.metadata.name, scale.metadata.uid]).toEqual([
        "Scale",
        "autoscaling/v1",
        "d",
        made.metadata.uid,
      ]);
      expect([scale.spec, scale.status]).toEqual([{}, { replicas: 0, selector: "app=a" }]);
    },
  },
  {
    name: "scale: PUT changes the replicas",
    async run(b) {
      await makeDeployment(b);
      await b.eventually(async () => (await b.get(path(b))).body.status.observedGeneration === 1);
      const scale = await b.must(b.get(path(b, "/scale")));
      const next = await b.must(b.put(path(b, "/scale"), { ...scale, spec: { replicas: 2 } }));
      expect(next.spec.replicas).toBe(2);
      expect((await b.must(b.get(path(b)))).spec.replicas).toBe(2);
    },
  },
  {
    name: "scale: a merge patch changes the replicas",
    async run(b) {
      await makeDeployment(b);
      const next = await b.must(b.patch(path(b, "/scale"), { spec: { replicas: 3 } }));
      expect([next.kind, next.spec.replicas]).toEqual(["Scale", 3]);
    },
  },
  {
    name: "scale: an older version is a Conflict",
    async run(b) {
      await makeDeployment(b);
      const scale = await b.must(b.get(path(b, "/scale")));
      await b.must(b.patch(path(b), { metadata: { labels: { x: "y" } } }));
      expect((await b.put(path(b, "/scale"), { ...scale, spec: { replicas: 2 } })).status).toBe(409);
    },
  },
  {
    name: "scale: fewer than none is refused",
    async run(b) {
      await makeDeployment(b);
      const { status, body } = await b.patch(path(b, "/scale"), { spec: { replicas: -1 } });
      expect([status, body.reason]).toEqual([422, "Invalid"]);
    },
  },
  {
    name: "scale: kinds without one have none",
    async run(b) {
      await b.configMap("a");
      expect((await b.get(b.core("configmaps/a/scale"))).status).toBe(404);
    },
  },
  {
    name: "eviction: without a budget the pod goes",
    async run(b) {
      await makePod(b);
      const { status, body } = await evict(b);
      expect([status, body.kind, body.status, body.code]).toEqual([201, "Status", "Success", 201]);
      expect((await b.must(b.get(b.core("pods/p")))).metadata.deletionTimestamp).toBeTruthy();
      await drop(b);
    },
  },
  {
    name: "eviction: a budget that is used up refuses with 429",
    async run(b) {
      await makePod(b);
      await b.must(b.patch(b.core("pods/p/status"), { status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] } }));
      await b.must(
        b.post(b.in("policy/v1", "poddisruptionbudgets"), {
          metadata: { name: "b" },
          spec: { minAvailable: 1, selector: { matchLabels: labels } },
        }),
      );
      await b.eventually(async () => (await b.get(b.in("policy/v1", "poddisruptionbudgets/b"))).body.status.currentHealthy === 1);
      const { status, body } = await evict(b);
      expect([status, body.reason, body.message]).toEqual([
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
      ]);
      expect(body.details.causes).toEqual([
        { reason: "DisruptionBudget", message: "The disruption budget b needs 1 healthy pods and has 1 currently" },
      ]);
      expect((await b.must(b.get(b.core("pods/p")))).metadata.deletionTimestamp).toBeUndefined();
      await drop(b);
    },
  },
  {
    name: "eviction: a pending pod goes whatever the budget",
    async run(b) {
      await makePod(b);
      await b.must(
        b.post(b.in("policy/v1", "poddisruptionbudgets"), {
          metadata: { name: "b" },
          spec: { minAvailable: 1, selector: { matchLabels: labels } },
        }),
      );
      expect((await evict(b)).status).toBe(201);
      await drop(b);
    },
  },
  {
    name: "eviction: dry run leaves the pod",
    async run(b) {
      await makePod(b);
      expect((await evict(b, { deleteOptions: { dryRun: ["All"] } })).status).toBe(201);
      expect((await b.must(b.get(b.core("pods/p")))).metadata.deletionTimestamp).toBeUndefined();
      await drop(b);
    },
  },
  {
    name: "eviction: another uid is a Conflict",
    async run(b) {
      await makePod(b);
      expect((await evict(b, { deleteOptions: { preconditions: { uid: "other" } } })).status).toBe(409);
      await drop(b);
    },
  },
  {
    name: "eviction: a pod that is not there is NotFound",
    async run(b) {
      // Where admission webhooks look at evictions, they are asked first.
      expect([404, 400]).toContain((await evict(b)).status);
    },
  },
  {
    name: "binding: gives the pod its node, once",
    async run(b) {
      await makePod(b, { nodeName: undefined, schedulerName: "nobody" });
      const bind = () => b.post(b.core("pods/p/binding"), { metadata: { name: "p" }, target: { kind: "Node", name: "fidelity-none" } });
      expect((await bind()).status).toBe(201);
      const bound = await b.must(b.get(b.core("pods/p")));
      expect([bound.spec.nodeName, bound.metadata.generation]).toEqual(["fidelity-none", 1]);
      expect(bound.status.conditions.map((c: Json) => [c.type, c.status])).toEqual([["PodScheduled", "True"]]);
      const again = await bind();
      expect([again.status, again.body.reason]).toEqual([409, "Conflict"]);
      expect(again.body.message).toContain('pod p is already assigned to node "fidelity-none"');
      await drop(b);
    },
  },
  {
    name: "binding: needs a node's name",
    async run(b) {
      await makePod(b, { nodeName: undefined, schedulerName: "nobody" });
      const { status } = await b.post(b.core("pods/p/binding"), { metadata: { name: "p" }, target: { kind: "Node", name: "" } });
      expect(status).toBeGreaterThanOrEqual(400);
      expect((await b.must(b.get(b.core("pods/p")))).spec.nodeName).toBeUndefined();
      await b.delete(b.core("pods/p"));
    },
  },
  {
    name: "ephemeral containers may be added, and nothing else",
    async run(b) {
      const made = await makePod(b);
      const debug = { name: "debug", image: "busybox", targetContainerName: "c" };
      const next = await b.must(b.patch(b.core("pods/p/ephemeralcontainers"), { spec: { ephemeralContainers: [debug] } }, "strategic"));
      expect(next.spec.ephemeralContainers.map((c: Json) => [c.name, c.terminationMessagePolicy])).toEqual([["debug", "File"]]);
      expect(next.metadata.generation).toBe(made.metadata.generation + 1);
      await drop(b);
    },
  },
  {
    name: "ephemeral containers stay",
    async run(b) {
      await makePod(b);
      await b.must(
        b.patch(
          b.core("pods/p/ephemeralcontainers"),
          { spec: { ephemeralContainers: [{ name: "debug", image: "busybox" }] } },
          "strategic",
        ),
      );
      const { status, body } = await b.patch(b.core("pods/p/ephemeralcontainers"), { spec: { ephemeralContainers: null } });
      expect([status, body.message]).toEqual([422, expect.stringContaining('existing ephemeral containers "debug" may not be removed')]);
      await drop(b);
    },
  },
  {
    name: "ephemeral containers are not for new pods",
    async run(b) {
      const { status, body } = await b.post(b.core("pods"), pod({ ephemeralContainers: [{ name: "debug", image: "busybox" }] }));
      expect([status, body.message]).toEqual([
        422,
        expect.stringContaining("spec.ephemeralContainers: Forbidden: cannot be set on create"),
      ]);
    },
  },
  {
    name: "resize changes amounts, and counts as a change of the spec",
    async run(b) {
      const made = await makePod(b);
      await b.must(
        b.patch(b.core("pods/p/status"), {
          status: { phase: "Running", containerStatuses: [{ name: "c", ready: true, restartCount: 0, image: "x", imageID: "x" }] },
        }),
      );
      const next = await b.must(
        b.patch(b.core("pods/p/resize"), { spec: { containers: [{ name: "c", resources: { requests: { cpu: "200m" } } }] } }, "strategic"),
      );
      expect([next.spec.containers[0].resources.requests.cpu, next.metadata.generation]).toEqual(["200m", made.metadata.generation + 1]);
      await drop(b);
    },
  },
  resizeRefused(
    "it cannot change what kind of pod it is",
    { limits: { cpu: "200m", memory: "1Gi" }, requests: { cpu: "200m", memory: "1Gi" } },
    'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing',
  ),
  resizeRefused(
    "other amounts",
    { requests: { "ephemeral-storage": "1Gi" } },
    "spec: Forbidden: only cpu and memory resources are mutable",
  ),
  resizeRefused("an amount taken away", { requests: { cpu: null } }, "resource requests cannot be removed"),
  resizeRefused("a request above its limit", { limits: { cpu: "50m" } }, "must be less than or equal to cpu limit"),
  {
    name: "amounts of a pod change by resize only",
    async run(b) {
      await makePod(b);
      const { status } = await b.patch(
        b.core("pods/p"),
        { spec: { containers: [{ name: "c", resources: { requests: { cpu: "200m" } } }] } },
        "strategic",
      );
      expect(status).toBe(422);
      await drop(b);
    },
  },
  {
    name: "an unknown subresource is NotFound",
    async run(b) {
      await makePod(b);
      expect((await b.get(b.core("pods/p/nothing"))).status).toBe(404);
      await drop(b);
    },
  },
];
