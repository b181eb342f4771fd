/** What a container's environment says: which pod metadata it reads, and where it stands in the launch order. */
import { environmentVariable } from "../api/names.ts";
import { envHash } from "../kube/canonical/hash.ts";
import { fieldsOf, getOwn, textOf } from "../kube/json.ts";
import type { Container, Pod } from "../kube/types.ts";

export interface MetadataEnv {
  /** Of the variable. */
  readonly name: string;
  readonly from: "labels" | "annotations";
  readonly key: string;
}

const ignored: ReadonlySet<string> = new Set([environmentVariable.sidecarSetVersion, environmentVariable.sidecarSetVersionAlt]);
const path = /^metadata\.(labels|annotations)\['(.*)'\]$/s;

/** The variables through which a container reads labels or annotations of its pod. envFrom, volumes and arguments do not count. */
export function metadataEnvOf(container: Readonly<Container>): readonly MetadataEnv[] {
  const found: MetadataEnv[] = [];
  for (const { name, value, valueFrom } of container.env ?? []) {
    const match = value || ignored.has(name) ? null : path.exec(valueFrom?.fieldRef?.fieldPath ?? "");
    if (match !== null) found.push({ name, from: match[1] as MetadataEnv["from"], key: match[2] as string });
  }
  return found;
}

/** The hash that the node agent reports once the container runs with the pod's labels and annotations as they are now. */
export function expectedEnvHash(container: Readonly<Container>, pod: Readonly<Pod>): number {
  return envHash(
    metadataEnvOf(container).map(({ name, from, key }) => ({ name, value: textOf(getOwn(fieldsOf(pod.metadata[from]), key)) })),
  );
}

const barrierPrefixLength = "p_".length;

/**
 * The container's place in the launch order, from the barrier variable that the pod webhook added: greater starts earlier.
 * @returns undefined without a barrier; "unreadable" when its key carries no number
 */
export function launchPriorityOf(container: Readonly<Container>): number | "unreadable" | undefined {
  const barrier = container.env?.find(({ name }) => name === environmentVariable.containerBarrier);
  if (barrier === undefined) return undefined;
  const text = barrier.valueFrom?.configMapKeyRef?.key?.slice(barrierPrefixLength) ?? "";
  const priority = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(priority) ? priority : "unreadable";
}
