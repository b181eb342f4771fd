/** Kubernetes' own kinds that Kruiser watches, reads or writes, and the indexes over them. */
import type { Index, Kind } from "./kind.ts";
import type {
  ConfigMap,
  ControllerRevision,
  Job,
  KubeObject,
  Lease,
  Namespace,
  Node,
  PersistentVolumeClaim,
  Pod,
  Secret,
  WorkloadObject,
} from "./types.ts";

const core = <T extends KubeObject>(kind: string, plural: string, namespaced = true): Kind<T> => ({
  group: "",
  version: "v1",
  kind,
  plural,
  namespaced,
});
const apps = <T extends KubeObject>(kind: string, plural: string): Kind<T> => ({
  group: "apps",
  version: "v1",
  kind,
  plural,
  namespaced: true,
});

export const pods: Kind<Pod> = core("Pod", "pods");
export const nodes: Kind<Node> = core("Node", "nodes", false);
export const namespaces: Kind<Namespace> = core("Namespace", "namespaces", false);
export const configMaps: Kind<ConfigMap> = core("ConfigMap", "configmaps");
export const secrets: Kind<Secret> = core("Secret", "secrets");
export const services: Kind<KubeObject> = core("Service", "services");
export const serviceAccounts: Kind<KubeObject> = core("ServiceAccount", "serviceaccounts");
export const events: Kind<KubeObject> = core("Event", "events");
export const persistentVolumeClaims: Kind<PersistentVolumeClaim> = core("PersistentVolumeClaim", "persistentvolumeclaims");
export const replicationControllers: Kind<WorkloadObject> = core("ReplicationController", "replicationcontrollers");

export const controllerRevisions: Kind<ControllerRevision> = apps("ControllerRevision", "controllerrevisions");
export const deployments: Kind<WorkloadObject> = apps("Deployment", "deployments");
export const replicaSets: Kind<WorkloadObject> = apps("ReplicaSet", "replicasets");
export const statefulSets: Kind<WorkloadObject> = apps("StatefulSet", "statefulsets");
export const daemonSets: Kind<WorkloadObject> = apps("DaemonSet", "daemonsets");
export const jobs: Kind<Job> = { group: "batch", version: "v1", kind: "Job", plural: "jobs", namespaced: true };
export const leases: Kind<Lease> = { group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases", namespaced: true };

const ownerUids = (object: KubeObject): readonly string[] => object.metadata.ownerReferences?.map((reference) => reference.uid) ?? [];

export const podsByOwner: Index<Pod> = { name: "ownerUID", of: pods, keys: ownerUids };
export const podsByNode: Index<Pod> = { name: "nodeName", of: pods, keys: (pod) => (pod.spec.nodeName ? [pod.spec.nodeName] : []) };
export const claimsByOwner: Index<PersistentVolumeClaim> = { name: "ownerUID", of: persistentVolumeClaims, keys: ownerUids };
export const replicaSetsByOwner: Index<WorkloadObject> = { name: "ownerUID", of: replicaSets, keys: ownerUids };
export const revisionsByOwner: Index<ControllerRevision> = { name: "ownerUID", of: controllerRevisions, keys: ownerUids };
