/** The two hashes of a SidecarSet, byte for byte as OpenKruise 1.9 has them: every pod that was injected carries them. */
import { createHash } from "node:crypto";
import type { SidecarContainer } from "../../api/sidecarset.ts";
import { encodeAs } from "../../kube/canonical/encode.ts";
import { safeEncode } from "../../kube/canonical/hash.ts";
import { fieldsOf, isFields, withFields } from "../../kube/json.ts";
import { memo } from "../../kube/memo.ts";
import { isNativeSidecar } from "../../kube/pod.ts";

export interface Hashes {
  /** Changes with everything about the containers. */
  readonly hash: string;
  /** The same without their images: equal for versions between which a pod can be updated in place. */
  readonly withoutImage: string;
}

interface Hashed {
  readonly containers?: readonly SidecarContainer[] | null;
  readonly initContainers?: readonly SidecarContainer[] | null;
}

/** Of a spec with all its defaults. Init containers count as soon as one of them keeps running, and then all of them do. */
export const hashesOf: (spec: Hashed) => Hashes = memo((spec) => ({
  hash: digest(textOf(spec.containers, spec.initContainers)),
  withoutImage: digest(textOf(withoutImages(spec.containers), withoutImages(spec.initContainers))),
}));

function textOf(containers: unknown, initContainers: unknown): string {
  const encoded = `{"containers":${encodeAs("[]SidecarContainer", containers, { sorted: false })}`;
  const counts = Array.isArray(initContainers) && initContainers.some((container) => isNativeSidecar(fieldsOf(container)));
  return `${encoded}${counts ? `,"initContainers":${encodeAs("[]SidecarContainer", initContainers, { sorted: false })}` : ""}}`;
}

function withoutImages(containers: unknown): unknown {
  if (!Array.isArray(containers)) return containers;
  return containers.map((container) => (isFields(container) ? withFields(container, { image: undefined }) : container));
}

function digest(text: string): string {
  return safeEncode(createHash("sha256").update(text).digest("hex"));
}
