/** Which containers of a pod are sidecars that somebody has to end, how, and whether it is time. All by the variables they carry. */
import { environmentVariable } from "../../api/names.ts";
import { itemsOf } from "../../kube/json.ts";
import { containerStatus, isTerminating } from "../../kube/pod.ts";
import type { Container, Pod } from "../../kube/types.ts";

const {
  terminateSidecarWhenJobExit: byRequest,
  terminateSidecarWhenJobExitWithImage: byImage,
  terminateSidecarIgnoreExitCode: ignoreCode,
} = environmentVariable;

/** Values of all entries of that name; one that is taken from elsewhere is empty here. */
function valuesOf({ env }: Container, name: string): readonly string[] {
  return (itemsOf(env) as Container["env"] & object).filter((entry) => entry.name === name).map(({ value }) => value ?? "");
}
const isTrue = (container: Container, name: string) => valuesOf(container, name).some((value) => value.toLowerCase() === "true");

export function isSidecar(container: Container): boolean {
  return isTrue(container, byRequest) || valuesOf(container, byImage).some((value) => value !== "");
}

/** The image that ends a sidecar at once: what the first entry says. */
export function endingImage(container: Container): string {
  return valuesOf(container, byImage)[0] ?? "";
}

export interface Groups {
  /** Ended by a ContainerRecreateRequest. */
  readonly normal: readonly string[];
  /** The same, and their exit codes must not tell in the pod's phase. */
  readonly ignored: readonly string[];
  /** Ended by another image, where nobody runs a node agent. */
  readonly inPlace: readonly string[];
}

/** Sidecars that are marked for the other kind of node only are in no group: nobody can end them. */
export function groupsOf({ spec }: Readonly<Pod>, isVirtual: boolean): Groups {
  const name = (container: Container) => container.name;
  if (isVirtual) {
    const inPlace = spec.containers.filter((container) => valuesOf(container, byImage).some((value) => value !== ""));
    return { normal: [], ignored: [], inPlace: inPlace.map(name) };
  }
  const requested = spec.containers.filter((container) => isTrue(container, byRequest));
  const ignores = (container: Container) => isTrue(container, ignoreCode);
  return {
    normal: requested.filter((container) => !ignores(container)).map(name),
    ignored: requested.filter(ignores).map(name),
    inPlace: [],
  };
}

/** Whether all of these have ended. Before the kubelet has reported on every container nothing has. */
export function isCompleted(pod: Readonly<Pod>, names: readonly string[]): boolean {
  return isReported(pod) && names.every((name) => containerStatus(pod, name)?.state?.terminated !== undefined);
}

export function isSucceeded(pod: Readonly<Pod>, names: readonly string[]): boolean {
  return isCompleted(pod, names) && names.every((name) => containerStatus(pod, name)?.state?.terminated?.exitCode === 0);
}

function isReported({ spec, status }: Readonly<Pod>): boolean {
  return spec.containers.length === (status?.containerStatuses?.length ?? 0);
}

export function mainsOf({ spec }: Readonly<Pod>): readonly string[] {
  return spec.containers.filter((container) => !isSidecar(container)).map(({ name }) => name);
}

export function sidecarsOf({ spec }: Readonly<Pod>): readonly string[] {
  return spec.containers.filter(isSidecar).map(({ name }) => name);
}

/** In the order of the pod. */
export function unfinished(pod: Readonly<Pod>, names: readonly string[]): readonly string[] {
  return names.filter((name) => containerStatus(pod, name)?.state?.terminated === undefined);
}

/** Its main containers have done what they are for, and sidecars still run. */
export function isDue(pod: Readonly<Pod>): boolean {
  const { restartPolicy } = pod.spec;
  if (isTerminating(pod) || pod.status?.phase === "Pending") return false;
  if (restartPolicy !== "Never" && restartPolicy !== "OnFailure") return false;
  const sidecars = sidecarsOf(pod);
  if (sidecars.length === 0 || isCompleted(pod, sidecars)) return false;
  return restartPolicy === "Never" ? isCompleted(pod, mainsOf(pod)) : isSucceeded(pod, mainsOf(pod));
}
