/**
 * Looks after NodeImages: labels follow the node's, tasks leave when their owners are gone or their time is over, what no node answers for
 * fails, and a NodeImage goes with its node.
 */
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { label } from "../../../api/names.ts";
import { type NodeImage, nodeImages } from "../../../api/nodeimage.ts";
import type { ObjectReference } from "../../../api/schema/common.ts";
import { type Context, controller, type Seen, watch } from "../../../engine/controller.ts";
import { type Action, change, type EventDraft, type Plan, remove, type WriteStep } from "../../../engine/plan.ts";
import { deepEqual } from "../../../kube/json.ts";
import { type Key, keyOf, refOf } from "../../../kube/kind.ts";
import { nodes, secrets } from "../../../kube/kinds.ts";
import { mergePatchOf } from "../../../kube/patch/merge.ts";
import { Recent } from "../../../kube/recent.ts";
import type { Node } from "../../../kube/types.ts";
import { nodeImagesByJob, refOfOwner } from "../../../workload/images/tasks.ts";
import { LiveMemo } from "../../../workload/live-memo.ts";
import { type CleanFacts, clean, jobOwners, looseSecrets } from "./clean.ts";
import { failLate, type Late, timeouts } from "./timeouts.ts";

export const nodeImageLimits = {
  /** ms; what is due sooner is gathered, spread by up to `requeueSpreadMs`. */
  requeueMsMin: 3_000,
  requeueSpreadMs: 2_000,
  /** ms an answer about a secret is believed. */
  secretAgeMsMax: 30_000,
  /** UIDs of jobs known to be gone. */
  goneJobsMax: 10_000,
} as const;

export interface Observed {
  readonly nodeImage: Readonly<NodeImage>;
  readonly node: Readonly<Node> | undefined;
  readonly facts: CleanFacts;
  /** In [0, 1). */
  readonly spread: number;
}

export const nodeImageController = controller<Observed, never>({
  name: "nodeimage-controller",
  of: nodeImages,
  workers: { flag: "nodeimage-workers", count: 3 },
  enabled: ({ gates }) => gates.enabled("KruiseDaemon"),
  watches: [watch<Node>(nodes, nodeWakes), watch<ImagePullJob>(imagePullJobs, jobWakes)],
  observe,
  plan,
});

/** A node's heartbeat changes nothing here; its labels and its end do. */
export function nodeWakes({ before, after }: Seen<Node>, { read }: Context): readonly Key[] {
  const node = after ?? before;
  if (node === undefined) return [];
  const nodeImage = read.get(nodeImages, keyOf(node));
  if (nodeImage === undefined) return [];
  const isLeaving = after === undefined || after.metadata.deletionTimestamp !== undefined;
  return isLeaving || !sameLabels(node.metadata.labels, nodeImage.metadata.labels) ? [keyOf(node)] : [];
}

/** What was asked for by a job that is gone is nobody's. */
export function jobWakes({ before, after }: Seen<ImagePullJob>, { read }: Context): readonly Key[] {
  return before !== undefined && after === undefined ? read.find(nodeImagesByJob, before.metadata.uid).map(keyOf) : [];
}

function sameLabels(a: Record<string, string> | undefined, b: Record<string, string> | undefined): boolean {
  return deepEqual(a ?? {}, b ?? {});
}

const secretMemo = new LiveMemo(nodeImageLimits.secretAgeMsMax);

async function observe(context: Context, key: Key): Promise<Observed | undefined> {
  const { read } = context;
  const nodeImage = read.get(nodeImages, key);
  if (nodeImage === undefined) return undefined;
  const goneJobs = new Set<string>();
  for (const owner of jobOwners(nodeImage)) if (await isJobGone(context, owner)) goneJobs.add(ownerText(owner));
  const goneSecrets = new Set<string>();
  for (const { namespace = "", name = "" } of looseSecrets(nodeImage)) {
    const answer = await secretMemo.get(context, secrets, { namespace, name });
    if (!answer.ok && answer.why === "notFound") goneSecrets.add(`${namespace}/${name}`);
  }
  return {
    nodeImage,
    node: read.get(nodes, key),
    facts: {
      isJobGone: (owner) => goneJobs.has(ownerText(owner)),
      isSecretGone: ({ namespace = "", name = "" }) => goneSecrets.has(`${namespace}/${name}`),
    },
    spread: context.random(),
  };
}

function ownerText({ namespace, name, uid }: Readonly<ObjectReference>): string {
  return `${namespace}/${name}/${uid}`;
}

/** UIDs never come back. */
const goneUids = new WeakMap<object, Recent<string, true>>();

/**
 * The caches of NodeImages and jobs may be of different ages, and a task that is taken from its job is a pull that is cancelled: what the
 * cache does not know is asked for, once for each job.
 */
async function isJobGone({ read }: Context, { namespace = "", name = "", uid = "" }: Readonly<ObjectReference>): Promise<boolean> {
  const key: Key = { namespace, name };
  if (read.get(imagePullJobs, key)?.metadata.uid === uid) return false;
  let gone = goneUids.get(read);
  if (gone === undefined) {
    gone = new Recent(nodeImageLimits.goneJobsMax);
    goneUids.set(read, gone);
  }
  if (gone.get(uid) === true) return true;
  const answer = await read.live.get(imagePullJobs, key);
  const isGone = answer.ok ? answer.object.metadata.uid !== uid : answer.why === "notFound";
  if (isGone && uid !== "") gone.set(uid, true);
  return isGone;
}

export function plan({ nodeImage, node, facts, spread }: Observed, nowMs: number): Plan<never> {
  if (nodeImage.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const isOrphan = node === undefined || node.metadata.deletionTimestamp !== undefined;
  if (isOrphan && nodeImage.metadata.labels?.[label.fakeNodeImage] === undefined)
    return { actions: [remove<NodeImage>({ id: "delete", on: refOf(nodeImages, nodeImage) })] };
  const labels = isOrphan ? undefined : (node.metadata.labels ?? {});
  const cleaned = clean(nodeImage, facts, nowMs);
  const { late, waitMs } = timeouts(nodeImage, nowMs);
  const needsSpec = Object.keys(cleaned.changes).length > 0 || (labels !== undefined && !sameLabels(labels, nodeImage.metadata.labels));
  const steps: WriteStep<NodeImage>[] = [];
  if (needsSpec) steps.push(specStep(labels, facts, nowMs));
  if (late.length > 0) steps.push(statusStep(nowMs));
  const actions: Action[] = steps.length > 0 ? [change<NodeImage>({ id: "clean", on: refOf(nodeImages, nodeImage), steps })] : [];
  return { actions, events: late.flatMap((each) => eventsOf(nodeImage, each)), requeueAfterMs: requeue([cleaned.waitMs, waitMs], spread) };
}

function requeue(waits: readonly (number | undefined)[], spread: number): number | undefined {
  const due = Math.min(...waits.map((wait) => wait ?? Number.POSITIVE_INFINITY));
  if (!Number.isFinite(due)) return undefined;
  const { requeueMsMin, requeueSpreadMs } = nodeImageLimits;
  return due < requeueMsMin ? requeueMsMin + spread * requeueSpreadMs : due;
}

/** Computed again from whatever others have written meanwhile; only the images that change are in the patch. */
function specStep(labels: Readonly<Record<string, string>> | undefined, facts: CleanFacts, nowMs: number): WriteStep<NodeImage> {
  return {
    name: "clean",
    precondition: "version",
    onConflict: "retry",
    write: (fresh) => {
      const images: Record<string, unknown> = {};
      for (const [name, entry] of Object.entries(clean(fresh, facts, nowMs).changes))
        images[name] = entry === null ? null : mergePatchOf(fresh.spec.images?.[name], entry);
      const labelPatch = labels === undefined ? undefined : mergePatchOf(fresh.metadata.labels ?? {}, labels);
      const isCleaned = Object.keys(images).length === 0;
      if (isCleaned && labelPatch === undefined) return undefined;
      const body = {
        ...(labelPatch === undefined ? {} : { metadata: { labels: labelPatch } }),
        ...(isCleaned ? {} : { spec: { images } }),
      };
      return { patch: "merge", body };
    },
  };
}

function statusStep(nowMs: number): WriteStep<NodeImage> {
  return {
    name: "timeouts",
    subresource: "status",
    precondition: "version",
    onConflict: "retry",
    write: (fresh) => {
      const status = failLate(fresh, nowMs);
      return status === undefined ? undefined : { patch: "merge", body: { status: mergePatchOf(fresh.status ?? {}, status) } };
    },
  };
}

function eventsOf(nodeImage: Readonly<NodeImage>, { image, task, message }: Late): readonly EventDraft[] {
  const text = `image ${image}:${task.tag} on node ${nodeImage.metadata.name}: ${message}`;
  const event = { type: "Warning", reason: "PullImageFailed", message: text } as const;
  const owners = (task.ownerReferences ?? []).map(refOfOwner);
  return [...owners.map((on) => ({ ...event, on })), { ...event, on: refOf(nodeImages, nodeImage as NodeImage) }];
}
