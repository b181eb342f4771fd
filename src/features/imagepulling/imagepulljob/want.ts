/** What a job wants of each of its nodes, how far a node is with it, and what its NodeImage looks like when it has been told. */
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import type { NodeImage, NodeImageImage, NodeImagePullSecret, NodeImageTag, NodeImageTagPullPolicy } from "../../../api/nodeimage.ts";
import type { ObjectReference, SandboxConfig } from "../../../api/schema/common.ts";
import { compareUtf8, deepEqual, withFields } from "../../../kube/json.ts";
import { apiVersion } from "../../../kube/kind.ts";
import { formatTime } from "../../../kube/time.ts";
import type { FamiliarImage } from "../../../workload/images/reference.ts";
import { anyStatusOf, imageOf, isOwnedBy, phase, statusOf, tagOf, tagsOf, versionOf } from "../../../workload/images/tasks.ts";
import { templateDefaults } from "../template.ts";

export const wantLimits = {
  /** s; tasks of one job expire spread over so long. */
  ttlSpreadSeconds: 300,
  /** s; tasks of jobs that never end expire after about a day, and the image is pulled anew. */
  neverTtlSeconds: 86_400,
  neverTtlSpreadSeconds: 600,
  neverDeadlineSecondsMin: 1800,
  int32Max: 2_147_483_647,
} as const;

export interface Want {
  readonly image: FamiliarImage;
  readonly owner: ObjectReference;
  readonly policy: PolicyWanted;
  readonly imagePullPolicy: string | undefined;
  readonly sandboxConfig: SandboxConfig | undefined;
  /** In the order of spec.pullSecrets. */
  readonly secrets: readonly NodeImagePullSecret[];
  readonly nowMs: number;
}

export interface PolicyWanted {
  readonly timeoutSeconds: number;
  readonly backoffLimit: number;
  readonly activeDeadlineSeconds: number | undefined;
  /** Any value in this range will do: tasks need not expire all at once. */
  readonly ttlSecondsMin: number;
  readonly ttlSecondsMax: number;
  /** In [0, 1): where in the range new ones go. */
  readonly spread: number;
}

export interface WantSettings {
  /** --default-ttlseconds-for-always-nodeimage */
  readonly alwaysPullTtlSeconds: number;
  readonly spread: number;
}

export function wantOf(
  job: Readonly<ImagePullJob>,
  image: FamiliarImage,
  secrets: readonly NodeImagePullSecret[],
  settings: WantSettings,
  nowMs: number,
): Want {
  const { namespace, name, uid } = job.metadata;
  return {
    image,
    owner: { apiVersion: apiVersion(imagePullJobs), kind: imagePullJobs.kind, namespace, name, uid },
    policy: policyOf(job, settings),
    imagePullPolicy: job.spec.imagePullPolicy,
    sandboxConfig: job.spec.sandboxConfig,
    secrets,
    nowMs,
  };
}

function policyOf({ spec }: Readonly<ImagePullJob>, { alwaysPullTtlSeconds, spread }: WantSettings): PolicyWanted {
  const timeoutSeconds = spec.pullPolicy?.timeoutSeconds ?? templateDefaults.timeoutSeconds;
  const backoffLimit = spec.pullPolicy?.backoffLimit ?? templateDefaults.backoffLimit;
  const completion = spec.completionPolicy ?? {};
  const { int32Max, ttlSpreadSeconds, neverTtlSeconds, neverTtlSpreadSeconds, neverDeadlineSecondsMin } = wantLimits;
  if (completion.type === "Never")
    return {
      timeoutSeconds,
      backoffLimit,
      activeDeadlineSeconds: Math.max(neverDeadlineSecondsMin, timeoutSeconds),
      ttlSecondsMin: neverTtlSeconds - neverTtlSpreadSeconds,
      ttlSecondsMax: neverTtlSeconds + neverTtlSpreadSeconds,
      spread,
    };
  const base = completion.ttlSecondsAfterFinished ?? completion.activeDeadlineSeconds ?? timeoutSeconds * backoffLimit;
  const ttlSecondsMin = Math.min(base + alwaysPullTtlSeconds, int32Max);
  return {
    timeoutSeconds,
    backoffLimit,
    activeDeadlineSeconds: completion.activeDeadlineSeconds,
    ttlSecondsMin,
    ttlSecondsMax: Math.min(ttlSecondsMin + ttlSpreadSeconds, int32Max),
    spread,
  };
}

export type NodeState = "missing" | "pulling" | "succeeded" | "failed";

/** How far a node is with what this job wants of it. A node that another job has told to begin anew is pulling again. */
export function stateOn(nodeImage: Readonly<NodeImage>, { image, owner }: Pick<Want, "image" | "owner">): NodeState {
  const task = tagOf(imageOf(nodeImage, image.name), image.tag);
  if (task === undefined || !isOwnedBy(task, owner.uid ?? "")) return "missing";
  switch (statusOf(nodeImage, image.name, task)?.phase) {
    case phase.succeeded:
      return "succeeded";
    case phase.failed:
      return "failed";
    default:
      return "pulling";
  }
}

/** Whether a node that has failed should try again: the job alone asked it, and asks for something else now. */
export function wantsAgain(nodeImage: Readonly<NodeImage>, want: Want): boolean {
  const task = tagOf(imageOf(nodeImage, want.image.name), want.image.tag);
  return task !== undefined && isSoleOwner(task, want) && differs(task, want);
}

/**
 * The image's entry with the job's task begun: added, taken over from another job, or begun anew where it failed under other terms.
 * undefined: the job has begun it already, and there is nothing to change.
 */
export function started(nodeImage: Readonly<NodeImage>, want: Want): NodeImageImage | undefined {
  const { image, owner, nowMs } = want;
  const entry = imageOf(nodeImage, image.name);
  const task = tagOf(entry, image.tag);
  const createdAt = formatTime(nowMs);
  if (task === undefined) {
    const before = anyStatusOf(nodeImage, image.name, image.tag);
    const version = before === undefined ? 0 : versionOf(before) + 1;
    return withTask(entry, want, {
      tag: image.tag,
      createdAt,
      pullPolicy: newPolicy(want.policy),
      ownerReferences: [owner],
      ...(version === 0 ? {} : { version }),
      ...(want.imagePullPolicy === undefined ? {} : { imagePullPolicy: want.imagePullPolicy }),
    });
  }
  if (!isOwnedBy(task, owner.uid ?? "")) {
    const ownerReferences = [...(task.ownerReferences ?? []), owner];
    return withTask(entry, want, {
      ...withFields(task as NodeImageTag, { imagePullPolicy: want.imagePullPolicy }),
      ownerReferences,
      createdAt,
      version: versionOf(task) + 1,
    });
  }
  if (stateOn(nodeImage, want) !== "failed" || !wantsAgain(nodeImage, want)) return adjusted(nodeImage, want);
  return withTask(entry, want, { ...onNewTerms(task, want), createdAt, version: versionOf(task) + 1 });
}

/**
 * The entry of a task that is under way, with secrets that came late, and with the job's terms where they are no other job's business.
 * undefined: nothing to change.
 */
export function adjusted(nodeImage: Readonly<NodeImage>, want: Want): NodeImageImage | undefined {
  const entry = imageOf(nodeImage, want.image.name) as NodeImageImage | undefined;
  const task = tagOf(entry, want.image.tag);
  if (entry === undefined || task === undefined || !isOwnedBy(task, want.owner.uid ?? "")) return undefined;
  const renewed = isSoleOwner(task, want) && differs(task, want) ? onNewTerms(task, want) : (task as NodeImageTag);
  const isOurs = tagsOf(entry).every((each) => isSoleOwner(each, want));
  const sandboxConfig = isOurs && !sameSandbox(entry.sandboxConfig, want.sandboxConfig) ? want.sandboxConfig : entry.sandboxConfig;
  const pullSecrets = withSecrets(entry.pullSecrets, want.secrets);
  if (renewed === task && sandboxConfig === entry.sandboxConfig && pullSecrets === entry.pullSecrets) return undefined;
  return withFields(entry, { tags: replaced(entry, renewed), sandboxConfig, pullSecrets });
}

function isSoleOwner(task: Readonly<NodeImageTag>, { owner }: Pick<Want, "owner">): boolean {
  return task.ownerReferences?.length === 1 && task.ownerReferences[0]?.uid === owner.uid;
}

function differs(task: Readonly<NodeImageTag>, { policy, imagePullPolicy }: Want): boolean {
  const { timeoutSeconds, backoffLimit, activeDeadlineSeconds, ttlSecondsAfterFinished = -1 } = task.pullPolicy ?? {};
  return (
    timeoutSeconds !== policy.timeoutSeconds ||
    backoffLimit !== policy.backoffLimit ||
    activeDeadlineSeconds !== policy.activeDeadlineSeconds ||
    ttlSecondsAfterFinished < policy.ttlSecondsMin ||
    ttlSecondsAfterFinished > policy.ttlSecondsMax ||
    task.imagePullPolicy !== imagePullPolicy
  );
}

function onNewTerms(task: Readonly<NodeImageTag>, { policy, imagePullPolicy }: Want): NodeImageTag {
  return withFields(task as NodeImageTag, { pullPolicy: withFields(task.pullPolicy ?? {}, newPolicy(policy)), imagePullPolicy });
}

function newPolicy({ timeoutSeconds, backoffLimit, activeDeadlineSeconds, ttlSecondsMin, ttlSecondsMax, spread }: PolicyWanted) {
  const ttlSecondsAfterFinished = ttlSecondsMin + Math.floor(spread * (ttlSecondsMax - ttlSecondsMin));
  const policy: NodeImageTagPullPolicy = { timeoutSeconds, backoffLimit, ttlSecondsAfterFinished };
  return activeDeadlineSeconds === undefined ? policy : { ...policy, activeDeadlineSeconds };
}

/** The entry with this task in it. The sandbox configuration is the latest job's. */
function withTask(entry: Readonly<NodeImageImage> | undefined, want: Want, task: NodeImageTag): NodeImageImage {
  const base = (entry ?? { tags: [] }) as NodeImageImage;
  return withFields(base, {
    tags: replaced(base, task),
    sandboxConfig: want.sandboxConfig,
    pullSecrets: withSecrets(base.pullSecrets, want.secrets),
  });
}

function replaced(entry: Readonly<NodeImageImage>, task: NodeImageTag): readonly NodeImageTag[] {
  const tags = tagsOf(entry) as readonly NodeImageTag[];
  if (tags.includes(task)) return tags;
  return [...tags.filter(({ tag }) => tag !== task.tag), task].sort((a, b) => compareUtf8(a.tag, b.tag));
}

/** The same reference when none is missing. */
function withSecrets(known: NodeImagePullSecret[] | undefined, wanted: readonly NodeImagePullSecret[]): NodeImagePullSecret[] | undefined {
  const missing = wanted.filter(({ namespace, name }) => !known?.some((each) => each.namespace === namespace && each.name === name));
  return missing.length === 0 ? known : [...(known ?? []), ...missing];
}

function sameSandbox(a: SandboxConfig | undefined, b: SandboxConfig | undefined): boolean {
  return deepEqual(a, b);
}
