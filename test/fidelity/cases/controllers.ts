/** Workloads: whose pods are made, replaced and updated by whom. */
import { expect } from "bun:test";
import type { Case, Json } from "../bench.ts";
import { apps, condition, isReady, labels, names, podsOf, ready, template, workload } from "../workload.ts";

export const controllerCases: readonly Case[] = [
  {
    name: "a Deployment has a ReplicaSet, which has pods",
    async run(b) {
      const made = await b.must(b.post(apps(b, "deployments"), workload({ replicas: 2 })));
      const pods = await ready(b, 2);
      const [set] = (await b.must(b.get(apps(b, "replicasets")))).items;
      const hash = set.metadata.labels["pod-template-hash"];
      expect([set.metadata.name, set.spec.selector.matchLabels]).toEqual([`w-${hash}`, { ...labels, "pod-template-hash": hash }]);
      expect(set.metadata.annotations).toEqual({
        "deployment.kubernetes.io/desired-replicas": "2",
        "deployment.kubernetes.io/max-replicas": "3",
        "deployment.kubernetes.io/revision": "1",
      });
      expect(set.metadata.ownerReferences).toEqual([
        { apiVersion: "apps/v1", kind: "Deployment", name: "w", uid: made.metadata.uid, controller: true, blockOwnerDeletion: true },
      ]);
      for (const pod of pods) {
        expect(pod.metadata.name).toStartWith(`w-${hash}-`);
        expect(pod.metadata.labels).toEqual({ ...labels, "pod-template-hash": hash });
        expect(pod.metadata.ownerReferences[0]).toMatchObject({ kind: "ReplicaSet", name: set.metadata.name, controller: true });
      }
      await b.eventually(async () => (await b.get(apps(b, "deployments/w"))).body.status?.availableReplicas === 2);
      const { status, metadata } = await b.must(b.get(apps(b, "deployments/w")));
      expect(status).toMatchObject({ observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 });
      expect(metadata.annotations["deployment.kubernetes.io/revision"]).toBe("1");
      expect((await condition(b, apps(b, "deployments/w"), "Available", "True")).reason).toBe("MinimumReplicasAvailable");
      expect((await condition(b, apps(b, "deployments/w"), "Progressing", "True")).reason).toBe("NewReplicaSetAvailable");
    },
  },
  {
    name: "a Deployment's new template rolls out, and back",
    async run(b) {
      await b.must(b.post(apps(b, "deployments"), workload({ replicas: 2 })));
      await ready(b, 2);
      const image = async (name: string, count = 2) => {
        await b.must(
          b.patch(apps(b, "deployments/w"), { spec: { template: { spec: { containers: [{ name: "c", image: name }] } } } }, "strategic"),
        );
        await b.eventually(async () => {
          const pods = await podsOf(b);
          return pods.length === count && pods.every((pod) => isReady(pod) && pod.spec.containers[0].image === name);
        });
      };
      await image("x:2");
      await image("x:1");
      const sets = (await b.must(b.get(apps(b, "replicasets")))).items;
      expect(sets.map((set: Json) => [set.spec.replicas, set.metadata.annotations["deployment.kubernetes.io/revision"]]).sort()).toEqual([
        [0, "2"],
        [2, "3"],
      ]);
    },
  },
  {
    name: "a paused Deployment scales, and rolls nothing out",
    async run(b) {
      await b.must(b.post(apps(b, "deployments"), workload({ replicas: 1 })));
      await ready(b, 1);
      await b.must(
        b.patch(
          apps(b, "deployments/w"),
          { spec: { paused: true, replicas: 2, template: { spec: { containers: [{ name: "c", image: "x:9" }] } } } },
          "strategic",
        ),
      );
      const pods = await ready(b, 2);
      expect(pods.map((pod) => pod.spec.containers[0].image)).toEqual(["x:1", "x:1"]);
    },
  },
  {
    name: "a ReplicaSet takes pods in that nobody has, and lets go of those that no longer match",
    async run(b) {
      await b.must(b.post(b.core("pods"), { ...template(), metadata: { name: "lonely", labels } }));
      const set = await b.must(b.post(apps(b, "replicasets"), workload({ replicas: 2 })));
      const pods = await ready(b, 2);
      expect(names(pods)).toContain("lonely");
      expect(pods.every((pod) => pod.metadata.ownerReferences?.[0].uid === set.metadata.uid)).toBe(true);
      await b.must(b.patch(b.core("pods/lonely"), { metadata: { labels: { app: "other" } } }));
      await ready(b, 2);
      await b.eventually(async () => (await b.get(b.core("pods/lonely"))).body.metadata.ownerReferences === undefined);
    },
  },
  {
    name: "a ReplicaSet replaces what is deleted, and shrinks when asked",
    async run(b) {
      await b.must(b.post(apps(b, "replicasets"), workload({ replicas: 3 })));
      const [first] = await ready(b, 3);
      await b.must(b.delete(b.core(`pods/${first.metadata.name}`)));
      await b.eventually(async () => !names(await podsOf(b)).includes(first.metadata.name));
      await ready(b, 3);
      await b.must(b.patch(apps(b, "replicasets/w/scale"), { spec: { replicas: 1 } }));
      await ready(b, 1);
      await b.eventually(async () => (await b.get(apps(b, "replicasets/w"))).body.status.replicas === 1);
    },
  },
  {
    name: "a StatefulSet: names in order, labels, claims that stay",
    async run(b) {
      const claim = { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } };
      await b.must(b.post(apps(b, "statefulsets"), workload({ replicas: 2, serviceName: "svc", volumeClaimTemplates: [claim] })));
      const pods = await ready(b, 2);
      expect(names(pods)).toEqual(["w-0", "w-1"]);
      const [zero] = pods;
      expect([zero.spec.hostname, zero.spec.subdomain, zero.metadata.labels["apps.kubernetes.io/pod-index"]]).toEqual(["w-0", "svc", "0"]);
      expect(zero.metadata.labels["statefulset.kubernetes.io/pod-name"]).toBe("w-0");
      expect(zero.spec.volumes[0]).toEqual({ name: "data", persistentVolumeClaim: { claimName: "data-w-0" } });
      const [revision] = (await b.must(b.get(apps(b, "controllerrevisions")))).items;
      expect([revision.revision, zero.metadata.labels["controller-revision-hash"]]).toEqual([1, revision.metadata.name]);
      await b.must(b.patch(apps(b, "statefulsets/w/scale"), { spec: { replicas: 1 } }));
      await ready(b, 1);
      const claims = (await b.must(b.get(b.core("persistentvolumeclaims")))).items;
      expect(claims.map((item: Json) => [item.metadata.name, item.status.phase, item.metadata.labels])).toEqual([
        ["data-w-0", "Bound", labels],
        ["data-w-1", "Bound", labels],
      ]);
    },
  },
  {
    name: "a StatefulSet updates from the end, down to its partition",
    async run(b) {
      await b.must(
        b.post(
          apps(b, "statefulsets"),
          workload({
            replicas: 3,
            serviceName: "svc",
            podManagementPolicy: "Parallel",
            updateStrategy: { rollingUpdate: { partition: 1 } },
          }),
        ),
      );
      await ready(b, 3);
      await b.must(
        b.patch(apps(b, "statefulsets/w"), { spec: { template: { spec: { containers: [{ name: "c", image: "x:2" }] } } } }, "strategic"),
      );
      await b.eventually(async () => {
        const { body } = await b.get(apps(b, "statefulsets/w"));
        return body.status.updatedReplicas === 2 && body.status.readyReplicas === 3;
      });
      expect((await ready(b, 3)).map((pod) => `${pod.metadata.name} ${pod.spec.containers[0].image}`).sort()).toEqual([
        "w-0 x:1",
        "w-1 x:2",
        "w-2 x:2",
      ]);
      const { status } = await b.must(b.get(apps(b, "statefulsets/w")));
      expect(status.currentRevision === status.updateRevision).toBe(false);
    },
  },
  {
    name: "a DaemonSet has a pod on each node",
    async run(b) {
      await b.must(b.post(apps(b, "daemonsets"), workload()));
      const nodes = names((await b.must(b.get("/api/v1/nodes"))).items);
      const pods = await ready(b, nodes.length);
      expect(pods.map((pod) => pod.spec.nodeName).sort()).toEqual(nodes);
      const [pod] = pods;
      expect(pod.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms).toEqual([
        { matchFields: [{ key: "metadata.name", operator: "In", values: [pod.spec.nodeName] }] },
      ]);
      expect(pod.spec.tolerations.map((t: Json) => t.key)).toContain("node.kubernetes.io/unschedulable");
      await b.eventually(async () => (await b.get(apps(b, "daemonsets/w"))).body.status.numberAvailable === nodes.length);
      const { status } = await b.must(b.get(apps(b, "daemonsets/w")));
      expect([status.desiredNumberScheduled, status.currentNumberScheduled, status.numberMisscheduled]).toEqual([
        nodes.length,
        nodes.length,
        0,
      ]);
      await b.must(b.delete(apps(b, "daemonsets/w")));
    },
  },
  {
    name: "a Job ends when its pods have done their work",
    async run(b) {
      const spec = {
        completions: 2,
        parallelism: 2,
        template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x:1" }] } },
      };
      await b.must(b.post(b.in("batch/v1", "jobs"), { metadata: { name: "j" }, spec }));
      const done = await condition(b, b.in("batch/v1", "jobs/j"), "Complete", "True");
      expect(done.reason).toBe("CompletionsReached");
      const { status } = await b.must(b.get(b.in("batch/v1", "jobs/j")));
      expect([status.succeeded, status.active ?? 0, typeof status.completionTime]).toEqual([2, 0, "string"]);
      const pods = await podsOf(b, "job-name%3Dj");
      expect(pods.map((pod) => pod.status.phase)).toEqual(["Succeeded", "Succeeded"]);
    },
  },
  {
    name: "an indexed Job tells each pod which part is its own",
    async run(b) {
      const spec = {
        completionMode: "Indexed",
        completions: 3,
        parallelism: 2,
        template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x:1" }] } },
      };
      await b.must(b.post(b.in("batch/v1", "jobs"), { metadata: { name: "j" }, spec }));
      await condition(b, b.in("batch/v1", "jobs/j"), "Complete", "True");
      const { status } = await b.must(b.get(b.in("batch/v1", "jobs/j")));
      expect([status.succeeded, status.completedIndexes]).toEqual([3, "0-2"]);
      const index = "batch.kubernetes.io/job-completion-index";
      const pods = (await podsOf(b, "job-name%3Dj")).sort((x, y) => x.metadata.labels[index] - y.metadata.labels[index]);
      expect(pods.map(({ metadata, spec: { hostname } }) => [metadata.labels[index], metadata.annotations[index], hostname])).toEqual([
        ["0", "0", "j-0"],
        ["1", "1", "j-1"],
        ["2", "2", "j-2"],
      ]);
      expect(pods[0].metadata.name).toMatch(/^j-0-[a-z0-9]{5}$/);
      expect(pods[0].spec.containers[0].env).toEqual([
        { name: "JOB_COMPLETION_INDEX", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: `metadata.labels['${index}']` } } },
      ]);
    },
  },
  {
    name: "a suspended Job has no pods until it is resumed",
    async run(b) {
      const spec = { suspend: true, template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x:1" }] } } };
      await b.must(b.post(b.in("batch/v1", "jobs"), { metadata: { name: "j" }, spec }));
      expect((await condition(b, b.in("batch/v1", "jobs/j"), "Suspended", "True")).reason).toBe("JobSuspended");
      expect(await podsOf(b, "job-name%3Dj")).toHaveLength(0);
      await b.must(b.patch(b.in("batch/v1", "jobs/j"), { spec: { suspend: false } }));
      await condition(b, b.in("batch/v1", "jobs/j"), "Complete", "True");
    },
  },
];
