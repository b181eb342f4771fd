/**
 * What the watch cache keeps of an object. Everything that a feature may read or write back stays; what is dropped is named here,
 * with the reason.
 */
import { apiVersion, type Kind, resourceName } from "../kind.ts";
import { daemonSets, deployments, namespaces, nodes, replicaSets, services, statefulSets } from "../kinds.ts";
import type { KubeObject, Node } from "../types.ts";

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * Kinds that Kruiser only ever patches: nothing that is missing here can get lost on the way back. All other kinds may be written
 * with PUT from the cache (without managedFields the server keeps its own), so they keep every field and annotation.
 */
const patchedOnly: ReadonlySet<string> = new Set(
  [deployments, replicaSets, statefulSets, daemonSets, nodes, namespaces, services].map(resourceName),
);

export type Keep = (object: KubeObject) => KubeObject;

/** The function that trims objects of `kind` as they arrive. It changes the object it is given, which nobody else has seen. */
export function keepFor(kind: Kind, metadataOnly: boolean): Keep {
  const version = apiVersion(kind);
  const dropApplied = metadataOnly || patchedOnly.has(resourceName(kind));
  const dropImages = resourceName(kind) === resourceName(nodes);
  return (object) => {
    const kept: KubeObject = metadataOnly ? { metadata: object.metadata } : object;
    // Half of an object's bytes, and nobody here asks who set which field.
    delete (kept.metadata as { managedFields?: unknown }).managedFields;
    // Whole manifests as text.
    if (dropApplied && kept.metadata.annotations?.[lastApplied] !== undefined) delete kept.metadata.annotations[lastApplied];
    // Up to 50 images with two names each, rewritten with every heartbeat; what a node has pulled is read from NodeImages.
    if (dropImages) delete (kept as Node).status?.images;
    // Items of lists, and objects that came as metadata only, say something else or nothing.
    kept.apiVersion = version;
    kept.kind = kind.kind;
    return kept;
  };
}
