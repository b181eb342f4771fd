/** What a CloneSet's round looks at: its pods, claims and revisions from the watch cache. */
import { type CloneSet, cloneSets } from "../../api/cloneset.ts";
import { podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import type { Context } from "../../engine/controller.ts";
import { volumeClaimTemplatesHash } from "../../kube/canonical/hash.ts";
import { isFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { claimsByOwner, nodes, pods, podsByOwner } from "../../kube/kinds.ts";
import { compileSelector } from "../../kube/selector.ts";
import type { PersistentVolumeClaim, Pod } from "../../kube/types.ts";
import { relatedBudget } from "../../workload/budget/index.ts";
import { observeRevisions, revisionsOf } from "../../workload/revision/index.ts";
import { instanceIdOf } from "./claims.ts";
import { podName } from "./create.ts";
import { factsOf } from "./facts.ts";
import { controllerOf } from "./owner.ts";
import { matcherFor, type Observed } from "./world.ts";

const liveChecksMax = 16; // reads in one round; further claims wait for the next

/** undefined: it is gone, or nobody could say what it asks for (which admission refuses). */
export async function observe(context: Context, key: Key): Promise<Observed | undefined> {
  const { read, settings } = context;
  const cloneSet = read.get(cloneSets, key);
  if (cloneSet === undefined || !isComplete(cloneSet)) return undefined;
  const { metadata, spec, status } = cloneSet;
  const own = read.find(podsByOwner, metadata.uid).filter((pod) => controllerOf(pod)?.uid === metadata.uid);
  const claims = read.find(claimsByOwner, metadata.uid).filter((claim) => claim.metadata.deletionTimestamp === undefined);
  const revisions = await observeRevisions(read, {
    owner: { of: cloneSets, metadata },
    template: spec.template,
    labels: spec.template.metadata?.labels,
    annotations: metadata.annotations,
    claimTemplatesHash: claimTemplatesHash(spec.volumeClaimTemplates),
    existing: revisionsOf(read, metadata, matcherFor(cloneSet)),
    currentName: status?.currentRevision,
    collisionCount: status?.collisionCount,
  });
  return {
    cloneSet,
    settings,
    pods: own,
    claims,
    claimsInDoubt: await claimsInDoubt(context, cloneSet, own, claims),
    revisions,
    seed: context.random(),
    podNamed: (name) => read.get(pods, { namespace: key.namespace, name }),
    ...budgets(context, key.namespace),
    nodeLabel: (node, label) => read.get(nodes, { namespace: "", name: node })?.metadata.labels?.[label],
  };
}

/** Where updates are guarded: pods are taken out of service before they change, so their budget is asked before that. */
function budgets({ read, settings }: Context, namespace: string): Pick<Observed, "budgetOf"> {
  if (!settings.gates.enabled("PodUnavailableBudgetUpdateGate") || !settings.serves(podUnavailableBudgets)) return {};
  return { budgetOf: (pod) => read.get(podUnavailableBudgets, { namespace, name: relatedBudget(pod) }) };
}

/** With a selector that cannot be read every pod would be a stranger. */
function isComplete({ spec }: Readonly<CloneSet>): boolean {
  const complete = isFields(spec) && isFields(spec.selector) && isFields(spec.template) && isFields(spec.template.spec);
  return complete && Array.isArray(spec.template.spec.containers) && compileSelector(spec.selector).ok;
}

const hashes = new WeakMap<object, string>();

function claimTemplatesHash(templates: CloneSet["spec"]["volumeClaimTemplates"]): string {
  if (templates === undefined) return volumeClaimTemplatesHash([]);
  let hash = hashes.get(templates);
  if (hash === undefined) {
    hash = volumeClaimTemplatesHash(templates);
    hashes.set(templates, hash);
  }
  return hash;
}

/**
 * Claims are about to be deleted when the cache has no pod for them. Data hangs on it, and the caches of pods and claims may be of different
 * ages: the server is asked, which is rare.
 */
async function claimsInDoubt(
  { read }: Context,
  cloneSet: Readonly<CloneSet>,
  own: readonly Readonly<Pod>[],
  claims: readonly Readonly<PersistentVolumeClaim>[],
): Promise<ReadonlySet<string>> {
  const doubtful = new Set<string>();
  if (claims.length === 0 || cloneSet.spec.scaleStrategy?.enablePVCReuse === true) return doubtful;
  if (cloneSet.metadata.deletionTimestamp !== undefined) return doubtful;
  const known = new Set(own.map((pod) => factsOf(pod).instanceId));
  const answers = new Map<string, Promise<boolean>>();
  const isGone = async (id: string): Promise<boolean> => {
    const key = { namespace: cloneSet.metadata.namespace ?? "", name: podName(cloneSet, id) };
    if (read.get(pods, key) !== undefined) return false;
    const answer = await read.live.get(pods, key);
    return !answer.ok && answer.why === "notFound";
  };
  for (const claim of claims) {
    const id = instanceIdOf(claim);
    if (id !== "" && !known.has(id) && !answers.has(id))
      answers.set(id, answers.size < liveChecksMax ? isGone(id) : Promise.resolve(false));
  }
  for (const claim of claims) if ((await answers.get(instanceIdOf(claim))) === false) doubtful.add(claim.metadata.name);
  return doubtful;
}
