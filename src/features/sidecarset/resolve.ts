/** Which revision of a SidecarSet does injectionStrategy.revision mean? */
import { label } from "../../api/names.ts";
import type { Settings } from "../../api/settings.ts";
import type { SidecarSet } from "../../api/sidecarset.ts";
import type { Reader } from "../../kube/access.ts";
import type { Index } from "../../kube/kind.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import { failureText } from "../../kube/outcome.ts";
import type { ControllerRevision } from "../../kube/types.ts";
import { sortRevisions } from "../../workload/revision/index.ts";

/** ControllerRevisions by the SidecarSet they are of. */
export const revisionsBySet: Index<ControllerRevision> = {
  name: "sidecarSet",
  of: controllerRevisions,
  keys: ({ metadata }) => {
    const name = metadata.labels?.[label.sidecarSetName];
    return name ? [name] : [];
  },
};

export interface Wanted {
  readonly revisionName: string;
  readonly customVersion: string;
}

/** undefined: the latest. */
export function wantedRevision({ spec }: Pick<SidecarSet, "spec">): Wanted | undefined {
  const { revisionName = "", customVersion = "" } = spec.injectionStrategy?.revision ?? {};
  return revisionName === "" && customVersion === "" ? undefined : { revisionName, customVersion };
}

export type Resolved =
  | { readonly ok: true; readonly revision: Readonly<ControllerRevision> }
  | { readonly ok: false; readonly problem: string };

/** From the cache where it is there, which is nearly always; else the server is asked. */
export function resolveRevision(read: Reader, { installNamespace }: Settings, set: string, wanted: Wanted): Resolved | Promise<Resolved> {
  const cached = read.find(revisionsBySet, set).filter(({ metadata }) => metadata.namespace === installNamespace);
  const found = chooseFrom(cached, wanted);
  return found === undefined ? resolveLive(read, installNamespace, set, wanted) : { ok: true, revision: found };
}

/** The newest with the custom version, or the one with the name, which wins. */
export function chooseFrom(
  revisions: readonly Readonly<ControllerRevision>[],
  { revisionName, customVersion }: Wanted,
): Readonly<ControllerRevision> | undefined {
  if (revisionName !== "") return revisions.find(({ metadata }) => metadata.name === revisionName);
  return sortRevisions(revisions).findLast(({ metadata }) => metadata.labels?.[label.sidecarSetCustomVersion] === customVersion);
}

async function resolveLive(read: Reader, namespace: string, set: string, wanted: Wanted): Promise<Resolved> {
  const answer = await read.live.list(controllerRevisions, { namespace, labelSelector: `${label.sidecarSetName}=${set}` });
  if (!answer.ok) return { ok: false, problem: `could not read the revisions of SidecarSet ${set}: ${failureText(answer)}` };
  const revision = chooseFrom(answer.object, wanted);
  if (revision !== undefined) return { ok: true, revision };
  const what =
    wanted.revisionName !== ""
      ? `ControllerRevision ${wanted.revisionName} of SidecarSet ${set}`
      : `revision of SidecarSet ${set} with custom version ${wanted.customVersion}`;
  return { ok: false, problem: `no ${what} in namespace ${namespace}` };
}
