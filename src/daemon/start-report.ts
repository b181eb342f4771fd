/** A node without a usable runtime: the log says what was tried, and so does an Event where the cluster's people look. */
import { nodeImages } from "../api/nodeimage.ts";
import type { Env } from "../env/env.ts";
import { sleep } from "../env/env.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Kube } from "../kube/kube.ts";
import { adviceText, type Detection, detect, reportText, type SocketOptions } from "./cri/detect.ts";

export const startLimits = {
  /** A runtime that is there and does not answer may be starting. */
  runtimeWaitMs: 5000,
  runtimeAgainMs: 500,
  /** For the Event to be sent before the process ends. */
  eventMs: 3000,
} as const;

/** Looks for runtimes; where sockets are there that do not answer, for a while. */
export async function findRuntimes(env: Env, sockets: SocketOptions): Promise<Detection> {
  const startMs = env.monotonicMs();
  for (;;) {
    const detection = await detect(env, sockets);
    const isHopeless = detection.runtimes.length > 0 || detection.tried.every(({ result }) => result === "missing");
    if (isHopeless || env.stopped.aborted || env.monotonicMs() - startMs >= startLimits.runtimeWaitMs) return detection;
    await sleep(env, startLimits.runtimeAgainMs);
  }
}

/** @returns the message, once it has been told */
export async function tellNoRuntime(
  env: Env,
  kube: Kube,
  events: EventRecorder,
  nodeName: string,
  sockets: SocketOptions,
  detection: Detection,
): Promise<string> {
  const message = `no usable container runtime on node ${nodeName}: ${reportText(detection)}. ${adviceText(sockets)}`;
  const told = (async () => {
    const object = await kube.client.get(nodeImages, { namespace: "", name: nodeName });
    const uid = object.ok ? object.object.metadata.uid : undefined;
    const subject = { of: nodeImages, namespace: "", name: nodeName, ...(uid === undefined ? {} : { uid }) };
    events.record(subject, { type: "Warning", reason: "NoContainerRuntime", message });
    await events.flush();
  })();
  await Promise.race([told, sleep(env, startLimits.eventMs)]);
  return message;
}
