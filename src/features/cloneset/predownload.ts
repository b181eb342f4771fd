/**
 * Pulls the images of an in-place update on the nodes of the pods that wait for it (gate PreDownloadImageForInPlaceUpdate). A controller
 * of its own: without the gate nothing of it runs, and nothing that goes wrong here holds up the update.
 */
import { type CloneSet, cloneSets } from "../../api/cloneset.ts";
import type { Gates } from "../../api/gates.ts";
import { type ImagePullJob, imagePullJobs } from "../../api/imagepulljob.ts";
import { label } from "../../api/names.ts";
import { type Context, controller } from "../../engine/controller.ts";
import type { Plan } from "../../engine/plan.ts";
import { partitionCount, scaledCount, scaledCountOr } from "../../kube/int-or-percent.ts";
import type { Key } from "../../kube/kind.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import type { ControllerRevision } from "../../kube/types.ts";
import { jobsByController } from "../../workload/images/jobs.ts";
import { whyNotInPlace } from "../../workload/inplace/index.ts";
import { endPreDownload, planPreDownload, preDownloadLimits } from "../../workload/predownload/index.ts";
import { shortHash, templateOf } from "../../workload/revision/index.ts";

export interface PreDownloadObserved {
  readonly cloneSet: Readonly<CloneSet>;
  readonly gates: Gates;
  readonly current: Readonly<ControllerRevision> | undefined;
  readonly update: Readonly<ControllerRevision> | undefined;
  /** The ImagePullJobs it controls. */
  readonly jobs: readonly Readonly<ImagePullJob>[];
}

export const cloneSetPreDownloader = controller<PreDownloadObserved, never>({
  name: "cloneset-image-predownload",
  component: "cloneset-controller",
  of: cloneSets,
  workers: { count: 1 },
  enabled: ({ gates }) => gates.enabled("KruiseDaemon") && gates.enabled("PreDownloadImageForInPlaceUpdate"),
  watches: [],
  reads: [controllerRevisions, imagePullJobs],
  observe: observePreDownload,
  plan: planCloneSetPreDownload,
});

const revisionAwaitedMs = 1_000; // ms until a revision is looked for again that the status names already

export function observePreDownload({ read, settings }: Context, key: Key): PreDownloadObserved | undefined {
  const cloneSet = read.get(cloneSets, key);
  if (cloneSet?.spec === undefined) return undefined;
  const named = (name: string | undefined) => (name ? read.get(controllerRevisions, { namespace: key.namespace, name }) : undefined);
  return {
    cloneSet,
    gates: settings.gates,
    current: named(cloneSet.status?.currentRevision),
    update: named(cloneSet.status?.updateRevision),
    jobs: read.find(jobsByController, cloneSet.metadata.uid),
  };
}

export function planCloneSetPreDownload({ cloneSet, gates, current, update, jobs }: PreDownloadObserved): Plan<never> {
  const { metadata, spec, status } = cloneSet;
  const isKnown = status?.currentRevision !== undefined && status.updateRevision !== undefined;
  // The status is about another spec: what it says comes too late.
  if (!isKnown || metadata.deletionTimestamp !== undefined || status.observedGeneration !== metadata.generation) return { actions: [] };
  if (status.currentRevision === status.updateRevision) return { actions: endPreDownload(jobs) };
  const [before, after] = [current && templateOf(current), update && templateOf(update)];
  if (current === undefined || update === undefined || before === undefined || after === undefined)
    return { actions: [], requeueAfterMs: revisionAwaitedMs };
  const strategy = spec.updateStrategy?.rollingUpdate?.inPlaceUpdateStrategy;
  if ((strategy?.imagePreDownloadMinUpdatedReadyPods ?? 0) > (status.updatedReadyReplicas ?? 0)) return { actions: [] };
  const replicas = spec.replicas ?? 1;
  const parallelism = nodesAtOnce(strategy?.imagePreDownloadParallelism ?? preDownloadLimits.parallelismDefault, replicas);
  return {
    actions: planPreDownload({
      owner: { of: cloneSets, metadata },
      update,
      before: [before],
      after,
      selector: spec.selector,
      hash: update.metadata.labels?.[label.controllerHash] ?? shortHash(update.metadata.name),
      parallelism,
      timeoutSeconds: strategy?.imagePreDownloadTimeoutSeconds,
      whyNot: whyNot(cloneSet, current, update, gates),
    }),
  };
}

/** A number may be a text, as annotations of v1alpha1 carry it; a share, which only they can say, is one of the replicas. */
function nodesAtOnce(parallelism: number | string, replicas: number): number | undefined {
  const count = typeof parallelism === "string" && /^[+-]?\d+$/.test(parallelism) ? Number(parallelism) : parallelism;
  const nodes = scaledCount(count, replicas, "up");
  return nodes === undefined ? undefined : Math.max(nodes, 0);
}

function whyNot(
  { spec }: Readonly<CloneSet>,
  current: Readonly<ControllerRevision>,
  update: Readonly<ControllerRevision>,
  gates: Gates,
): string | undefined {
  const rolling = spec.updateStrategy?.rollingUpdate;
  const replicas = spec.replicas ?? 1;
  if (rolling === undefined || rolling.podUpdatePolicy === undefined || rolling.podUpdatePolicy === "ReCreate") return "pods are recreated";
  if (replicas < preDownloadLimits.replicasMin) return "so few pods are updated sooner than their images are pulled";
  const atOnce = scaledCountOr(rolling.maxUnavailable, replicas, "down", "20%");
  if (partitionCount(rolling.partition, replicas) === 0 && atOnce >= replicas) return "all pods are updated at once";
  return whyNotInPlace(current, update, { gates });
}
