/** The controllers of a cluster beside scheduler, kubelets and garbage collection: the one list of them. */
import { autoscalers } from "./autoscaler.ts";
import { budgets } from "./budgets.ts";
import { claims } from "./claims.ts";
import { cronJobs } from "./cronjob.ts";
import { daemonSets } from "./daemonset.ts";
import { deployments } from "./deployment.ts";
import { events } from "./events.ts";
import { jobs } from "./job.ts";
import { nodeLifecycle } from "./node-lifecycle.ts";
import { quotas } from "./quotas.ts";
import { replicaSets, replicationControllers } from "./replicaset.ts";
import { services } from "./services.ts";
import { statefulSets } from "./statefulset.ts";
import type { MakeController } from "./worker.ts";

export const workloadControllers: readonly (readonly [string, MakeController])[] = [
  ["deployment-controller", deployments],
  ["replicaset-controller", replicaSets],
  ["replication-controller", replicationControllers],
  ["statefulset-controller", statefulSets],
  ["daemon-set-controller", daemonSets],
  ["job-controller", jobs],
  ["cronjob-controller", cronJobs],
  ["horizontal-pod-autoscaler", autoscalers],
  ["persistent-volume-binder", claims],
  ["disruption-controller", budgets],
  ["node-controller", nodeLifecycle],
  ["endpointslice-controller", services],
  ["resourcequota-controller", quotas],
  ["event-expiry", events],
];
