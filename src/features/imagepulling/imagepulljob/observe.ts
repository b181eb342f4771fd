/** What a job's round looks at: its NodeImages from the watch cache, and, where it has pull secrets, those and their copies, read live. */
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { finalizer } from "../../../api/names.ts";
import type { NodeImage } from "../../../api/nodeimage.ts";
import type { Context } from "../../../engine/controller.ts";
import type { Key } from "../../../kube/kind.ts";
import { secrets } from "../../../kube/kinds.ts";
import { failureText } from "../../../kube/outcome.ts";
import type { Secret } from "../../../kube/types.ts";
import { isActiveJob } from "../../../workload/images/jobs.ts";
import { LiveMemo } from "../../../workload/live-memo.ts";
import { controllerOf } from "../../../workload/owner.ts";
import { inUpdateOrder } from "./order.ts";
import { claim } from "./secrets.ts";
import { followedPods, selectNodeImages } from "./select.ts";

export interface Observed {
  readonly job: Readonly<ImagePullJob>;
  /** In the order in which they have their turn; none for a job that has ended. */
  readonly nodes: readonly Readonly<NodeImage>[];
  readonly secrets: SecretsSeen;
  readonly configNamespace: string;
  readonly alwaysPullTtlSeconds: number;
  /** In [0, 1). */
  readonly spread: number;
}

export type SecretsSeen =
  /** Nobody asks. */
  | { readonly state: "none" }
  /** The job lives where node agents read secrets. */
  | { readonly state: "inPlace" }
  /** `sources` by name; undefined: not there. */
  | {
      readonly state: "seen";
      readonly sources: ReadonlyMap<string, Readonly<Secret> | undefined>;
      readonly copies: readonly Readonly<Secret>[];
    }
  | { readonly state: "unknown"; readonly problem: string };

/** ms an answer is believed: so long a changed secret may go unnoticed, once it is looked for. */
const secretAgeMsMax = 4_000;
const memo = new LiveMemo(secretAgeMsMax);

export function observe(context: Context, key: Key): Observed | undefined | Promise<Observed> {
  const job = context.read.get(imagePullJobs, key);
  if (job?.spec === undefined) return undefined;
  const isActive = isActiveJob(job);
  const pods = isActive && job.spec.podSelector ? followedPods(context.read, job) : [];
  const isOrdered = pods.length > 1 && controllerOf(job) !== undefined;
  const needsSecrets = isActive ? (job.spec.pullSecrets?.length ?? 0) > 0 : holdsFinalizer(job);
  const complete = (followed: typeof pods, seen: SecretsSeen): Observed => ({
    job,
    nodes: isActive ? selectNodeImages(context.read, job, followed) : [],
    secrets: seen,
    configNamespace: context.settings.daemonConfigNamespace,
    alwaysPullTtlSeconds: context.settings.alwaysPullTtlSeconds,
    spread: context.random(),
  });
  if (!isOrdered && !needsSecrets) return complete(pods, { state: "none" });
  return (async () => {
    const ordered = isOrdered ? await inUpdateOrder(context, job, pods) : pods;
    return complete(ordered, needsSecrets ? await lookAtSecrets(context, job, isActive) : { state: "none" });
  })();
}

export function holdsFinalizer({ metadata }: Readonly<ImagePullJob>): boolean {
  return metadata.finalizers?.includes(finalizer.imagePullJob) ?? false;
}

async function lookAtSecrets(context: Context, job: Readonly<ImagePullJob>, isActive: boolean): Promise<SecretsSeen> {
  const { daemonConfigNamespace } = context.settings;
  const namespace = job.metadata.namespace ?? "";
  if (namespace === daemonConfigNamespace) return { state: "inPlace" };
  const sources = new Map<string, Readonly<Secret> | undefined>();
  for (const name of isActive ? new Set(job.spec.pullSecrets ?? []) : []) {
    const answer = await memo.get(context, secrets, { namespace, name });
    if (!answer.ok && answer.why !== "notFound")
      return { state: "unknown", problem: `reading secret ${namespace}/${name}: ${failureText(answer)}` };
    sources.set(name, answer.ok ? answer.object : undefined);
  }
  const listed = async (fresh: boolean): Promise<SecretsSeen> => {
    const answer = await memo.list(context, secrets, daemonConfigNamespace, fresh);
    if (answer.ok) return { state: "seen", sources, copies: answer.object };
    return { state: "unknown", problem: `listing secrets in namespace ${daemonConfigNamespace}: ${failureText(answer)}` };
  };
  const known = await listed(!isActive);
  if (!isActive || known.state !== "seen") return known;
  // What is written is decided from how things are now; that nothing needs to be written may be known from a while ago.
  return claim(job, sources, known.copies, daemonConfigNamespace).actions.length > 0 ? listed(true) : known;
}
