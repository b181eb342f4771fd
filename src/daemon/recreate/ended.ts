/** Whether the kubelet starts another container after one that has ended. */
import type { Pod } from "../../kube/types.ts";
import type { PodContainer } from "../containers/read.ts";

/** By the pod's restartPolicy; a native sidecar has its own. Pods that are not known may have any. */
export function startsNoOther(pod: Readonly<Pod> | undefined, { name, exitCode }: Pick<PodContainer, "name" | "exitCode">): boolean {
  if (pod === undefined) return false;
  const own = pod.spec.initContainers?.find((container) => container.name === name)?.restartPolicy;
  const policy = own ?? pod.spec.restartPolicy;
  return policy === "Never" || (policy === "OnFailure" && exitCode === 0);
}
