/**
 * One round of an ImagePullJob, from what was seen to what should be done.
 *
 * No more than spec.parallelism nodes are pulling at once, from any state: nodes that were told count from the moment the task is in their
 * NodeImage; a node's turn comes in a fixed order; and a task is only written to the very version of the NodeImage that was looked at, so a
 * manager with an old view of the world chooses nodes that have been told already, and changes nothing.
 */
import { type ImagePullJob, type ImagePullJobStatus, imagePullJobs } from "../../../api/imagepulljob.ts";
import { finalizer } from "../../../api/names.ts";
import { type NodeImage, type NodeImageImage, type NodeImagePullSecret, nodeImages } from "../../../api/nodeimage.ts";
import { type Action, change, type Plan, type Reason, remove } from "../../../engine/plan.ts";
import { refOf } from "../../../kube/kind.ts";
import { mergePatchOf } from "../../../kube/patch/merge.ts";
import { formatTime, parseTime } from "../../../kube/time.ts";
import { familiarImage } from "../../../workload/images/reference.ts";
import { imageOf, statusOf, tagOf } from "../../../workload/images/tasks.ts";
import { parallelismOf } from "../template.ts";
import { holdsFinalizer, type Observed } from "./observe.ts";
import { reason } from "./reasons.ts";
import { claim, release } from "./secrets.ts";
import { adjusted, type NodeState, started, stateOn, type Want, wantOf, wantsAgain } from "./want.ts";

export const planLimits = {
  /** ms between two looks at the pull secrets of a job that is under way. */
  secretsIntervalMs: 5_000,
  /** ms; a deadline is not looked at more often. */
  deadlineMsMin: 1_000,
} as const;

export function plan(observed: Observed, nowMs: number): Plan<ImagePullJobStatus> {
  const { job } = observed;
  if (job.metadata.deletionTimestamp !== undefined) return planEnd(observed);
  if (job.status?.completionTime) return planCompleted(observed, nowMs);
  return planActive(observed, nowMs);
}

/** Gives back the secrets, then the finalizer. */
function planEnd({ job, secrets }: Observed): Plan<ImagePullJobStatus> {
  if (!holdsFinalizer(job)) return { actions: [] };
  if (secrets.state === "unknown") return { actions: [], retry: secrets.problem };
  const releases = secrets.state === "seen" ? release(job, secrets.copies) : [];
  return { actions: [...releases, finalizerAction(job, false, releases.map(idOf))] };
}

function planCompleted(observed: Observed, nowMs: number): Plan<ImagePullJobStatus> {
  const { job } = observed;
  const end = planEnd(observed);
  const ttlSeconds = job.spec.completionPolicy?.ttlSecondsAfterFinished;
  const completedMs = parseTime(job.status?.completionTime);
  if (ttlSeconds === undefined || completedMs === undefined) return end;
  const leftMs = ttlSeconds * 1000 - (nowMs - completedMs);
  if (leftMs > 0) return { ...end, requeueAfterMs: leftMs };
  return {
    ...end,
    actions: [...end.actions, remove<ImagePullJob>({ id: "delete", on: refOf(imagePullJobs, job), after: end.actions.map(idOf) })],
  };
}

const idOf = ({ id }: Action): string => id;
const finalizerId = "finalizer";

function finalizerAction(job: Readonly<ImagePullJob>, isWanted: boolean, after: readonly string[] = []): Action {
  return change<ImagePullJob>({
    id: finalizerId,
    on: refOf(imagePullJobs, job as ImagePullJob),
    after,
    steps: [
      {
        name: "finalizer",
        precondition: "version",
        onConflict: "retry",
        write: (fresh) => {
          if (holdsFinalizer(fresh) === isWanted) return undefined;
          const others = (fresh.metadata.finalizers ?? []).filter((name) => name !== finalizer.imagePullJob);
          return { patch: "merge", body: { metadata: { finalizers: isWanted ? [...others, finalizer.imagePullJob] : others } } };
        },
      },
    ],
  });
}

interface Secrets {
  readonly refs: readonly NodeImagePullSecret[];
  readonly actions: readonly Action[];
  readonly reasons: readonly Reason[];
}

function secretsOf({ job, secrets, configNamespace }: Observed): Secrets | string {
  switch (secrets.state) {
    case "none":
      return { refs: [], actions: [], reasons: [] };
    case "inPlace":
      return { refs: (job.spec.pullSecrets ?? []).map((name) => ({ namespace: configNamespace, name })), actions: [], reasons: [] };
    case "seen": {
      const missing = [...secrets.sources].filter(([, source]) => source === undefined);
      return {
        ...claim(job, secrets.sources, secrets.copies, configNamespace),
        reasons: missing.map(([name]) => reason("", "SecretMissing", { secret: `${job.metadata.namespace}/${name}` })),
      };
    }
    case "unknown":
      return secrets.problem;
  }
}

function planActive(observed: Observed, nowMs: number): Plan<ImagePullJobStatus> {
  const { job, nodes } = observed;
  const image = familiarImage(job.spec.image);
  if (image === undefined) return { actions: [], retry: `spec.image: "${job.spec.image}" is no image reference` };
  const secrets = secretsOf(observed);
  const refs = typeof secrets === "string" ? [] : secrets.refs;
  const want = wantOf(job, image, refs, observed, nowMs);
  const tally = tallyOf(nodes, want);
  const progress = progressOf(job, tally, nowMs);
  const first = holdsFinalizer(job) ? [] : [finalizerAction(job, true)];
  if (progress.status.completionTime !== undefined) return { actions: first, status: () => progress.status };
  // Without its secrets, or without knowing how they are, nothing is begun: what has begun goes on.
  if (typeof secrets === "string")
    return {
      actions: first,
      status: () => progress.status,
      retry: secrets,
      reasons: [reason("", "WaitingForSecrets", { problem: secrets })],
    };
  const claims = secrets.actions.map((action): Action => ({ ...action, after: [...(action.after ?? []), ...first.map(idOf)] }));
  const told = planNodes(tally, want, job, claims.map(idOf));
  return {
    actions: [...first, ...claims, ...told.actions],
    status: () => progress.status,
    reasons: [...secrets.reasons, ...told.reasons],
    requeueAfterMs: earliest(progress.deadlineMs, (job.spec.pullSecrets?.length ?? 0) > 0 ? planLimits.secretsIntervalMs : undefined),
  };
}

function earliest(...delays: readonly (number | undefined)[]): number | undefined {
  const known = delays.filter((delay) => delay !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}

type Nodes = readonly Readonly<NodeImage>[];
/** `again`: failed, and to begin anew on other terms: they wait for their turn like those that are missing. */
type Tally = Readonly<Record<NodeState | "again", Nodes>> & { readonly desired: number };

function tallyOf(nodes: Nodes, want: Want): Tally {
  const tally: Record<NodeState | "again", Readonly<NodeImage>[]> = { missing: [], pulling: [], succeeded: [], failed: [], again: [] };
  for (const node of nodes) {
    const state = stateOn(node, want);
    tally[state === "failed" && wantsAgain(node, want) ? "again" : state].push(node);
  }
  return { ...tally, desired: nodes.length };
}

interface Progress {
  readonly status: ImagePullJobStatus;
  /** ms until the deadline is to be looked at; undefined: there is none. */
  readonly deadlineMs?: number;
}

function progressOf(job: Readonly<ImagePullJob>, { missing, again, pulling, succeeded, failed, desired }: Tally, nowMs: number): Progress {
  const { type, activeDeadlineSeconds } = job.spec.completionPolicy ?? {};
  const startTime = job.status?.startTime ?? formatTime(nowMs);
  const completionTime = formatTime(nowMs);
  const counts = { startTime, desired, succeeded: succeeded.length };
  const ended = succeeded.length + failed.length;
  if (type !== "Never" && ended === desired)
    return { status: { ...counts, ...failures(failed), active: 0, completionTime, message: "job has completed" } };
  const share = desired === 0 ? undefined : ((100 * ended) / desired).toFixed(1);
  const message = share === undefined ? "job is running, no progress" : `job is running, progress ${share}%`;
  const running = { ...counts, ...failures(failed), active: pulling.length, message };
  if (type === "Never" || activeDeadlineSeconds === undefined) return { status: running };
  const leftMs = activeDeadlineSeconds * 1000 - (nowMs - (parseTime(startTime) ?? nowMs));
  if (leftMs > 0) return { status: running, deadlineMs: Math.max(leftMs, planLimits.deadlineMsMin) };
  const late = `job exceeds activeDeadlineSeconds (${activeDeadlineSeconds}): ${missing.length + again.length + pulling.length} of ${desired} nodes have not finished`;
  return { status: { ...counts, ...failures([...failed, ...again, ...pulling, ...missing]), active: 0, completionTime, message: late } };
}

function failures(failed: Nodes): Pick<ImagePullJobStatus, "failed" | "failedNodes"> {
  if (failed.length === 0) return { failed: 0 };
  return { failed: failed.length, failedNodes: failed.map(({ metadata }) => metadata.name).sort() };
}

interface Told {
  readonly actions: readonly Action[];
  readonly reasons: readonly Reason[];
}

/** Which nodes are told to begin, and which of those under way are told of something new. */
function planNodes(tally: Tally, want: Want, { spec }: Readonly<ImagePullJob>, after: readonly string[]): Told {
  const parallelismMax = parallelismOf(spec.parallelism) ?? 1;
  const candidates = [...tally.missing, ...tally.again];
  const room = Math.max(0, parallelismMax - tally.pulling.length);
  const starting = candidates.slice(0, room);
  const held = candidates.slice(room);
  const used = tally.pulling.length + starting.length;
  return {
    actions: [
      ...starting.map((node) => tell(node, want, started, after)),
      ...tally.pulling.filter((node) => adjusted(node, want) !== undefined).map((node) => tell(node, want, adjusted, after)),
    ],
    reasons: [
      ...held.map(({ metadata }) =>
        parallelismMax === 0
          ? reason(metadata.name, "Paused", {})
          : reason(metadata.name, "HeldByParallelism", { used, max: parallelismMax }),
      ),
      ...tally.pulling.map((node) => pullingReason(node, want)),
      ...tally.failed.map((node) => failedReason(node, want)),
    ],
  };
}

type Next = (fresh: Readonly<NodeImage>, want: Want) => NodeImageImage | undefined;

/** One write; what others wrote meanwhile is kept, as it is computed again from the newest version after a conflict. */
function tell(node: Readonly<NodeImage>, want: Want, next: Next, after: readonly string[]): Action {
  const { name } = want.image;
  return change<NodeImage>({
    id: `node/${node.metadata.name}`,
    on: refOf(nodeImages, node as NodeImage),
    after,
    tell: { failed: { reason: "FailedUpdateNodeImage", text: "failed to tell node" } },
    steps: [
      {
        name: "task",
        precondition: "version",
        onConflict: "retry",
        write: (fresh) => {
          if (fresh.metadata.deletionTimestamp !== undefined) return undefined;
          const entry = next(fresh, want);
          return entry === undefined
            ? undefined
            : { patch: "merge", body: { spec: { images: { [name]: mergePatchOf(imageOf(fresh, name), entry) } } } };
        },
      },
    ],
  });
}

function pullingReason(node: Readonly<NodeImage>, want: Want): Reason {
  const status = statusIn(node, want);
  const { name } = node.metadata;
  return status === undefined ? reason(name, "WaitingForNode", {}) : reason(name, "Pulling", { progress: status.progress ?? 0 });
}

function failedReason(node: Readonly<NodeImage>, want: Want): Reason {
  return reason(node.metadata.name, "PullFailed", { message: statusIn(node, want)?.message ?? "the node gave no reason" });
}

function statusIn(node: Readonly<NodeImage>, { image }: Want) {
  const task = tagOf(imageOf(node, image.name), image.tag);
  return task === undefined ? undefined : statusOf(node, image.name, task);
}
