/** OpenKruise's kinds that Kruiser reads or protects without defining them. */
import type { Kind } from "../kube/kind.ts";
import type { Condition, KubeObject, LabelSelector, WorkloadObject } from "../kube/types.ts";

const apps = <T extends KubeObject>(kind: string, plural: string, version = "v1beta1", namespaced = true): Kind<T> => ({
  group: "apps.kruise.io",
  version,
  kind,
  plural,
  namespaced,
});

export interface WorkloadSpread extends KubeObject {
  spec?: {
    targetRef?: { apiVersion?: string; kind?: string; name?: string };
    subsets?: { name: string; maxReplicas?: number | string; [field: string]: unknown }[];
    [field: string]: unknown;
  };
  status?: { [field: string]: unknown };
}
export interface PersistentPodState extends KubeObject {
  spec?: { targetRef?: { apiVersion?: string; kind?: string; name?: string }; [field: string]: unknown };
  status?: { [field: string]: unknown };
}
export interface UnitedDeployment extends KubeObject {
  spec?: { replicas?: number; selector?: LabelSelector; [field: string]: unknown };
  status?: { replicas?: number; observedGeneration?: number; conditions?: Condition[]; [field: string]: unknown };
}
/** A kind of which nothing but its metadata is read. */
export interface Opaque extends KubeObject {
  spec?: { [field: string]: unknown };
  status?: { [field: string]: unknown };
}

export const advancedStatefulSets: Kind<WorkloadObject> = apps("StatefulSet", "statefulsets");
export const advancedDaemonSets: Kind<WorkloadObject> = apps("DaemonSet", "daemonsets");
export const broadcastJobs: Kind<WorkloadObject> = apps("BroadcastJob", "broadcastjobs");
export const advancedCronJobs: Kind<Opaque> = apps("AdvancedCronJob", "advancedcronjobs");
export const unitedDeployments: Kind<UnitedDeployment> = apps("UnitedDeployment", "uniteddeployments");
export const workloadSpreads: Kind<WorkloadSpread> = apps("WorkloadSpread", "workloadspreads");
export const persistentPodStates: Kind<PersistentPodState> = apps("PersistentPodState", "persistentpodstates");
export const resourceDistributions: Kind<Opaque> = apps("ResourceDistribution", "resourcedistributions", "v1beta1", false);
export const podProbeMarkers: Kind<Opaque> = apps("PodProbeMarker", "podprobemarkers", "v1alpha1");
export const nodePodProbes: Kind<Opaque> = apps("NodePodProbe", "nodepodprobes", "v1alpha1", false);
export const ephemeralJobs: Kind<Opaque> = apps("EphemeralJob", "ephemeraljobs", "v1alpha1");
