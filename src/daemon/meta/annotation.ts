/** The annotation in which the daemon reports a pod's containers, byte for byte as OpenKruise 1.9 writes it. */
import { annotation } from "../../api/names.ts";
import { fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import type { Pod } from "../../kube/types.ts";

export interface ContainerMeta {
  readonly name: string;
  /** "containerd://abc" */
  readonly containerID: string;
  readonly restartCount: number;
  /** The kubelet's hash of the container's spec. */
  readonly plainHash: number;
  /** Of the environment that the container read from the pod's labels and annotations; 0: not known. */
  readonly envHash: number;
}

/** Undefined: there is none, or it cannot be read. */
export function reportedMeta(pod: Readonly<Pod>): readonly ContainerMeta[] | undefined {
  const text = pod.metadata.annotations?.[annotation.runtimeContainersMeta];
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isFields(parsed)) return undefined;
    return itemsOf(parsed["containers"]).map((item) => {
      const { name, containerID, restartCount, hashes } = fieldsOf(item);
      const { plainHash, extractedEnvFromMetadataHash } = fieldsOf(hashes);
      return {
        name: textOf(name),
        containerID: textOf(containerID),
        restartCount: numberOf(restartCount),
        plainHash: numberOf(plainHash),
        envHash: numberOf(extractedEnvFromMetadataHash),
      };
    });
  } catch {
    return undefined;
  }
}

export function metaText(containers: readonly ContainerMeta[]): string {
  return JSON.stringify({
    containers: containers.map(({ name, containerID, restartCount, plainHash, envHash }) => ({
      name,
      containerID,
      restartCount,
      hashes: { plainHash, ...(envHash === 0 ? {} : { extractedEnvFromMetadataHash: envHash }) },
    })),
  });
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
