/** The workloads a pod belongs to: its controller, the controller's controller, and so on. */
import { cloneSets } from "../../api/cloneset.ts";
import { advancedStatefulSets } from "../../api/foreign.ts";
import type { Settings } from "../../api/settings.ts";
import type { Reader } from "../../kube/access.ts";
import { isOfKind, type Kind } from "../../kube/kind.ts";
import { deployments, replicaSets, statefulSets } from "../../kube/kinds.ts";
import { Recent } from "../../kube/recent.ts";
import type { KubeObject, OwnerReference, Pod } from "../../kube/types.ts";
import { controllerOf } from "../../workload/owner.ts";
import type { Belonging } from "./covers.ts";

const generationsMax = 5; // controllers above one another; nobody stacks more
const rememberedMax = 4_096; // owners of owners, per process

/** Kinds of workloads that the controller watches. Those that a CRD gives are watched while they are served. */
export const requiredWorkloads: readonly Kind[] = [deployments, replicaSets, statefulSets] as readonly Kind[];
export const optionalWorkloads: readonly Kind[] = [cloneSets, advancedStatefulSets] as readonly Kind[];

export function watchedWorkloads({ serves }: Pick<Settings, "serves">): readonly Kind[] {
  return [...requiredWorkloads, ...optionalWorkloads.filter((kind) => serves(kind))];
}

/** From the cache, for the controller. */
export function cachedBelongings(pod: Readonly<Pod>, read: Reader, watched: readonly Kind[]): readonly Belonging[] {
  const found: OwnerReference[] = [];
  let owner = controllerOf(pod);
  while (owner !== undefined && found.length < generationsMax) {
    found.push(owner);
    const { name } = owner;
    const kind = watched.find((candidate) => isOfKind(owner, candidate));
    const object = kind && read.get(kind, { namespace: pod.metadata.namespace ?? "", name });
    owner = object && controllerOf(object);
  }
  return found;
}

/** Who controls an object never changes while it lives, but for adoption: then the controller sets it right. */
const owners = new WeakMap<Reader, Recent<string, Promise<Readonly<OwnerReference> | undefined>>>();

/**
 * For the webhooks, which run in every replica and watch no workloads for this. Asks the server once for each workload; what cannot be
 * read ends the way up, and the controller finds the rest.
 */
export async function liveBelongings(pod: Readonly<Pod>, read: Reader): Promise<readonly Belonging[]> {
  const found: OwnerReference[] = [];
  let owner = controllerOf(pod);
  while (owner !== undefined && found.length < generationsMax) {
    found.push(owner);
    owner = await ownerOf(owner, pod.metadata.namespace ?? "", read);
  }
  return found;
}

function ownerOf(of: OwnerReference, namespace: string, read: Reader): Promise<Readonly<OwnerReference> | undefined> {
  const kind = [...requiredWorkloads, ...optionalWorkloads].find((candidate) => isOfKind(of, candidate));
  if (kind === undefined) return Promise.resolve(undefined);
  let known = owners.get(read);
  if (known === undefined) {
    known = new Recent(rememberedMax);
    owners.set(read, known);
  }
  const memory = known;
  return memory.getOrAdd(of.uid, async () => {
    const answer = await read.live.get<KubeObject>(kind, { namespace, name: of.name });
    if (answer.ok) return controllerOf(answer.object);
    // Not remembered: it may be there, or be read, the next time.
    memory.delete(of.uid);
    return undefined;
  });
}
