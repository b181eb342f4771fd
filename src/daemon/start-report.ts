/**
 * A node without a usable runtime. It is looked for again with growing pauses, since a runtime may be starting; then the process ends, and
 * the log and an Event where the cluster's people look say what was tried.
 */
import { nodeImages } from "../api/nodeimage.ts";
import type { Env } from "../env/env.ts";
import { sleep } from "../env/env.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Kube } from "../kube/kube.ts";
import { adviceText, type Detection, detect, reportText, type SocketOptions } from "./cri/detect.ts";

export const startLimits = {
  /** ms from the first look to the last. */
  runtimeWaitMs: 5000,
  /** ms until the second look; each pause is twice the one before. */
  runtimeAgainMs: 250,
  /** For the Event to be sent before the process ends. */
  eventMs: 2000,
  /** Characters of what is wrong with one socket, in the Event: an Event has room for 1,024 bytes, and every socket is to be in it. */
  problemChars: 90,
} as const;

/** Looks for runtimes until there is one, or the time for it is over, or the process is asked to stop. */
export async function findRuntimes(env: Env, sockets: SocketOptions): Promise<Detection> {
  const startMs = env.monotonicMs();
  for (let pauseMs: number = startLimits.runtimeAgainMs; ; pauseMs *= 2) {
    const detection = await detect(env, sockets);
    const leftMs = startLimits.runtimeWaitMs - (env.monotonicMs() - startMs);
    if (detection.runtimes.length > 0 || env.stopped.aborted || leftMs <= 0) return detection;
    if (pauseMs === startLimits.runtimeAgainMs)
      env.log.warn({ tried: reportText(detection), forMs: startLimits.runtimeWaitMs }, "no usable container runtime yet: looking again");
    await sleep(env, Math.min(pauseMs, leftMs));
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
  // What to do comes before what may be cut off.
  const message = (report: string) => `no usable container runtime on node ${nodeName}: ${adviceText(sockets)}. Tried: ${report}`;
  const told = (async () => {
    const object = await kube.client.get(nodeImages, { namespace: "", name: nodeName });
    const uid = object.ok ? object.object.metadata.uid : undefined;
    const subject = { of: nodeImages, namespace: "", name: nodeName, ...(uid === undefined ? {} : { uid }) };
    const short = reportText(detection, startLimits.problemChars);
    events.record(subject, { type: "Warning", reason: "NoContainerRuntime", message: message(short) });
    await events.flush();
  })();
  await Promise.race([told, sleep(env, startLimits.eventMs)]);
  return message(reportText(detection));
}
