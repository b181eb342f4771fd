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

export interface Behaviour {
  /** Never comes: the registry does not know it. */
  readonly unpullable: boolean;
  readonly crashes: boolean;
  readonly pullMs: number;
  readonly startMs: number;
  readonly readyMs: number;
  readonly neverReady: boolean;
  readonly stopMs: number;
  /** Undefined: it runs until it is stopped. */
  readonly exit: { readonly code: number; readonly afterMs: number } | undefined;
}

/** Owners whose pods work and end, unless told otherwise. */
const workingKinds: ReadonlySet<string> = new Set(["Job", "BroadcastJob"]);

export function behaviourOf(pod: Pod, container: Container, isInit: boolean, times: Timing): Behaviour {
  const tag = parseImageRef(container.image ?? "").tag;
  const asked = (name: string): string | undefined => pod.metadata.annotations?.[prefix + name];
  const seconds = (name: string): number | undefined => {
    const text = asked(name);
    return text === undefined || Number.isNaN(Number(text)) ? undefined : Number(text) * 1000;
  };
  const never = asked("never-ready");
  return {
    unpullable: tag.startsWith("bad"),
    crashes: tag.startsWith("broken"),
    pullMs: tag.startsWith("slow") ? times.slowPullMs : times.pullMs,
    startMs: seconds("start-delay-seconds") ?? times.startMs,
    readyMs: seconds("ready-delay-seconds") ?? times.readyMs,
    neverReady: never === "true" || (never ?? "").split(",").includes(container.name),
    stopMs: seconds("delete-delay-seconds") ?? times.stopMs,
    exit: exitOf(pod, isInit, asked("exit-code"), seconds("run-seconds") ?? 1000),
  };
}

function exitOf(pod: Pod, isInit: boolean, code: string | undefined, afterMs: number): Behaviour["exit"] {
  if (isInit) return { code: 0, afterMs: 50 };
  if (pod.spec.restartPolicy === "Always" || pod.spec.restartPolicy === undefined || code === "never") return undefined;
  const works =
    pod.metadata.ownerReferences?.some((reference) => reference.controller === true && workingKinds.has(reference.kind)) ?? false;
  if (code === undefined && !works) return undefined;
  return { code: Number(code ?? 0), afterMs };
}
