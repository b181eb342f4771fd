/**
 * What becomes of a container that nobody really runs. Behaviour is data: it follows from the image's tag and from annotations of the
 * pod, so that a test says what it wants where it makes the pod.
 */

import type { Container, Pod } from "../../kube/types.ts";
import { parseImageRef } from "./image.ts";

export interface Timing {
  readonly pullMs: number;
  readonly slowPullMs: number;
  /** From the image being there to the process running. */
  readonly startMs: number;
  /** From running to ready. */
  readonly readyMs: number;
  /** How long a process takes to end when it is asked to. */
  readonly stopMs: number;
  /** From start to crash, for images that do. */
  readonly crashMs: number;
  readonly crashBackoffMsMin: number;
  readonly crashBackoffMsMax: number;
}

export const timing: Timing = {
  pullMs: 300,
  slowPullMs: 15_000,
  startMs: 400,
  readyMs: 200,
  stopMs: 300,
  crashMs: 500,
  crashBackoffMsMin: 10_000,
  crashBackoffMsMax: 300_000,
};

const prefix = "sandbox.kruise.io/";

/** What an image does that is not good: it cannot be pulled, its process crashes, it takes long to pull. */
export const imageFaults = ["bad", "broken", "slow"] as const;
export type ImageFault = (typeof imageFaults)[number];
/** By image; a name that ends with "*" stands for all that begin so. Others follow their tags. */
export type ImageFaults = ReadonlyMap<string, ImageFault>;

/** What its probes say of a container from some time after its start on. */
export interface ProbeStep {
  readonly state: "ready" | "unready" | "dead";
  readonly afterMs: number;
}

export interface Behaviour {
  /** Never comes: the registry does not know it. */
  readonly unpullable: boolean;
  readonly crashes: boolean;
  readonly pullMs: number;
  readonly startMs: number;
  readonly readyMs: number;
  readonly neverReady: boolean;
  readonly stopMs: number;
  /** In the order of their times; one that is dead is restarted. */
  readonly probes: readonly ProbeStep[];
  /** Undefined: it runs until it is stopped. */
  readonly exit: { readonly code: number; readonly afterMs: number } | undefined;
}

/** Owners whose pods work and end, unless told otherwise. */
const workingKinds: ReadonlySet<string> = new Set(["Job", "BroadcastJob"]);

/** Pods that Helm runs as hooks work and end as well. */
const helmHook = "helm.sh/hook";

export function behaviourOf(pod: Pod, container: Container, isInit: boolean, times: Timing, faults?: ImageFaults): Behaviour {
  const fault = faultOf(container.image ?? "", faults);
  const asked = (name: string): string | undefined => pod.metadata.annotations?.[prefix + name];
  const seconds = (name: string): number | undefined => {
    const text = asked(name);
    return text === undefined || Number.isNaN(Number(text)) ? undefined : Number(text) * 1000;
  };
  const never = asked("never-ready");
  return {
    unpullable: fault === "bad",
    crashes: fault === "broken",
    pullMs: fault === "slow" ? times.slowPullMs : times.pullMs,
    startMs: seconds("start-delay-seconds") ?? times.startMs,
    readyMs: seconds("ready-delay-seconds") ?? times.readyMs,
    neverReady: never === "true" || (never ?? "").split(",").includes(container.name),
    stopMs: seconds("delete-delay-seconds") ?? times.stopMs,
    probes: isInit ? [] : probesOf(asked("probes"), container.name),
    exit: exitOf(pod, isInit, exitCodeOf(asked("exit-code"), container.name), seconds("run-seconds") ?? 1000),
  };
}

function faultOf(image: string, faults: ImageFaults | undefined): ImageFault | undefined {
  for (const [name, fault] of faults ?? []) if (name === image || (name.endsWith("*") && image.startsWith(name.slice(0, -1)))) return fault;
  const { tag } = parseImageRef(image);
  return imageFaults.find((fault) => tag.startsWith(fault));
}

const noSteps: readonly ProbeStep[] = [];

/** `ready@0,unready@10,web:dead@30`: for all containers, or for the one that is named. */
function probesOf(script: string | undefined, container: string): readonly ProbeStep[] {
  if (script === undefined) return noSteps;
  const steps: ProbeStep[] = [];
  for (const entry of script.split(",")) {
    const [, name, state, seconds] = /^\s*(?:([\w-]+):)?(ready|unready|dead)@(\d+(?:\.\d+)?)\s*$/.exec(entry) ?? [];
    if (state !== undefined && (name === undefined || name === container))
      steps.push({ state: state as ProbeStep["state"], afterMs: Number(seconds) * 1000 });
  }
  return steps.sort((a, b) => a.afterMs - b.afterMs);
}

/** Why the kubelet ends a pod that nobody deleted. */
export function endingOf(pod: Pod, startMs: number, nowMs: number): { readonly reason: string; readonly message: string } | undefined {
  const resource = pod.metadata.annotations?.[`${prefix}evict`];
  if (resource !== undefined) return { reason: "Evicted", message: `The node was low on resource: ${resource}. ` };
  return nowMs >= deadlineOf(pod, startMs)
    ? { reason: "DeadlineExceeded", message: "Pod was active on the node longer than the specified deadline" }
    : undefined;
}

/** When the pod's own time is over. */
export function deadlineOf(pod: Pod, startMs: number): number {
  const seconds = (pod.spec as { readonly activeDeadlineSeconds?: number }).activeDeadlineSeconds;
  return seconds === undefined ? Number.POSITIVE_INFINITY : startMs + seconds * 1000;
}

/** `0`: for all containers; `main:0,other:1`: for those that are named, and the others run on. */
function exitCodeOf(script: string | undefined, container: string): string | undefined {
  if (script === undefined || !script.includes(":")) return script;
  const entry = script.split(",").find((each) => each.trim().startsWith(`${container}:`));
  return entry === undefined ? "never" : entry.slice(entry.indexOf(":") + 1).trim();
}

function exitOf(pod: Pod, isInit: boolean, code: string | undefined, afterMs: number): Behaviour["exit"] {
  if (isInit) return { code: 0, afterMs: 50 };
  if (pod.spec.restartPolicy === "Always" || pod.spec.restartPolicy === undefined || code === "never") return undefined;
  const works =
    pod.metadata.annotations?.[helmHook] !== undefined ||
    (pod.metadata.ownerReferences?.some((reference) => reference.controller === true && workingKinds.has(reference.kind)) ?? false);
  if (code === undefined && !works) return undefined;
  return { code: Number(code ?? 0), afterMs };
}
