/** What a SidecarSet's round looks at: the pods that name it, its revisions and the namespaces, all from the watch cache. */
import { type SidecarSet, sidecarSets } from "../../api/sidecarset.ts";
import type { Context } from "../../engine/controller.ts";
import type { Reader } from "../../kube/access.ts";
import { isFields } from "../../kube/json.ts";
import type { Index, Key } from "../../kube/kind.ts";
import { controllerRevisions, namespaces, pods } from "../../kube/kinds.ts";
import type { ControllerRevision, Pod } from "../../kube/types.ts";
import { injectedNames } from "./annotations.ts";
import { missedPods } from "./missed.ts";
import { revisionsBySet } from "./resolve.ts";
import { freeName, needsName } from "./revisions.ts";
import { isDeleting } from "./strategy.ts";
import { type Observed, preparation } from "./world.ts";

/** Pods by the SidecarSets that went into them. */
export const podsBySet: Index<Pod> = { name: "sidecarSet", of: pods, keys: ({ metadata }) => injectedNames(metadata.annotations) };

/** undefined: it is gone. */
export async function observe({ read, settings, turn }: Context, key: Key): Promise<Observed | undefined> {
  const before = read.get(sidecarSets, key);
  if (before === undefined || !isFields(before.spec)) return undefined;
  if (turn !== undefined && !isDeleting(before)) for (const piece of preparation(before, read.find(podsBySet, key.name))) await turn(piece);
  const set = read.get(sidecarSets, key);
  if (set === undefined || !isFields(set.spec)) return undefined;
  const revisions = ownRevisions(read, set, settings.installNamespace);
  return {
    set,
    settings,
    pods: read.find(podsBySet, key.name),
    namespaceLabels: (name) => {
      const namespace = read.get(namespaces, { namespace: "", name });
      return namespace === undefined ? undefined : (namespace.metadata.labels ?? {});
    },
    revisions,
    occupant: await occupants(read, set, revisions, settings.installNamespace),
    missed: missedPods(read, settings, set),
  };
}

/** Its own, and those that a predecessor of its name has left. */
function ownRevisions(read: Reader, { metadata }: Readonly<SidecarSet>, installNamespace: string): readonly Readonly<ControllerRevision>[] {
  return read.find(revisionsBySet, metadata.name).filter((revision) => {
    const controller = revision.metadata.ownerReferences?.find((reference) => reference.controller === true);
    return revision.metadata.namespace === installNamespace && (controller === undefined || controller.uid === metadata.uid);
  });
}

/** Only where a new revision is needed, which is rare, its name is read live: what is in its way need not be in the cache. */
async function occupants(
  read: Reader,
  set: Readonly<SidecarSet>,
  existing: readonly Readonly<ControllerRevision>[],
  namespace: string,
): Promise<Observed["occupant"]> {
  const seen = new Map<string, Readonly<ControllerRevision> | undefined>();
  const occupant: Observed["occupant"] = (name) => seen.get(name);
  if (!needsName({ set, existing })) return occupant;
  for (;;) {
    const { name } = freeName({ set, occupant });
    if (seen.has(name)) return occupant;
    const cached = read.get(controllerRevisions, { namespace, name });
    const answer = cached === undefined ? await read.live.get(controllerRevisions, { namespace, name }) : undefined;
    seen.set(name, cached ?? (answer?.ok === true ? answer.object : undefined));
  }
}
