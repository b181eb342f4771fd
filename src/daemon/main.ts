/**
 * `kruise --mode=daemon`: one process a node, between the API server and the node's container runtime. It starts in this order: flags,
 * clients, endpoint, watches, runtimes, parts; and ends within seconds when asked to, whatever is under way.
 */

import { metrics as names } from "../engine/metrics-names.ts";
import { type Env, sleep } from "../env/env.ts";
import { createLogger } from "../env/log.ts";
import { httpFetch } from "../env/network.ts";
import { keepProgramSmall } from "../env/program-memory.ts";
import { withServerClock } from "../env/server-clock.ts";
import { systemEnv } from "../env/system.ts";
import { loadCredentials } from "../kube/credentials.ts";
import { EventRecorder } from "../kube/events.ts";
import { pods } from "../kube/kinds.ts";
import { createKube, type Kube } from "../kube/kube.ts";
import { type Check, type Listener, listen } from "../process/endpoints.ts";
import { flagHelp } from "../process/flags.ts";
import { stopOnSignals } from "../process/shutdown.ts";
import { versionInfo } from "../process/version.ts";
import { collectWatches } from "../process/watch-metrics.ts";
import { Killer } from "./containers/killer.ts";
import { type Detection, type Runtime, reportText } from "./cri/detect.ts";
import { Runtimes } from "./cri/runtimes.ts";
import { daemonFlags } from "./flags.ts";
import type { Frame, Part } from "./frame.ts";
import { listChecks } from "./health.ts";
import { collectProcess, TextMetrics } from "./metrics.ts";
import { type DaemonOptions, daemonOptions } from "./options.ts";
import { parts } from "./parts.ts";
import { DaemonRecord, recordPath } from "./record.ts";
import { findRuntimes, tellNoRuntime } from "./start-report.ts";
import { watchedOn } from "./watched.ts";

const userAgent = "kruise-daemon";
/** Kubernetes gives the pod ten seconds. */
const stopMsMax = 8000;

/** @returns the exit code, when it was asked to stop or cannot go on */
export async function daemonMain(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    process.stdout.write(`kruise --mode=daemon: the agent on each node.\n\n${flagHelp(daemonFlags)}\n`);
    return 0;
  }
  const parsed = daemonOptions(args, process.env);
  if (!parsed.ok) {
    process.stderr.write(`kruise-daemon: ${parsed.message}\n`);
    return parsed.code;
  }
  const { options } = parsed;
  const log = await createLogger({ format: options.flags["logging-format"] === "json" ? "json" : "text", verbosity: options.flags.v });
  const signals = stopOnSignals();
  const env = systemEnv(log, signals.stopped);
  for (const warning of options.warnings) log.warn({}, warning);
  log.info({ version: versionInfo.version, commit: versionInfo.commit, node: options.nodeName }, "kruise-daemon starts");
  const problem = await runDaemon(env, options, () => signals.stop());
  if (problem === undefined) return 0;
  log.error({}, problem);
  return 1;
}

/** @param machine with this machine's own clock. @param stop aborts its `stopped`. @returns why it cannot go on; undefined when it was asked to stop */
export async function runDaemon(machine: Env, options: DaemonOptions, stop: () => void): Promise<string | undefined> {
  const env = withServerClock(machine);
  const giveBackProgram = keepProgramSmall(machine, 20);
  const found = await loadCredentials(env, { kubeconfig: options.flags.kubeconfig });
  if (!found.ok) return found.message;
  const { credentials } = found;
  const metrics = new TextMetrics();
  collectProcess(metrics, env.nowMs());
  const host = new URL(credentials.server).host;
  const kube = createKube(env, credentials, {
    userAgent,
    rateLimit: options.rateLimit,
    meter: (code, method) => metrics.add(names.restClientRequestsTotal, { code, method, host }),
  });
  collectWatches(metrics, kube.cache);
  let runtimes: Runtimes | undefined;
  const checks: Record<string, Check> = {
    ...listChecks(kube.cache),
    // While it is looked for the pod is not ready: a roll-out with a wrong mount stops at the first nodes.
    containerRuntime: () => (runtimes === undefined ? "no usable container runtime yet" : undefined),
  };
  let listener: Listener | undefined;
  if (options.address !== undefined) {
    try {
      listener = listen(options.address, { health: { live: checks, ready: checks }, metrics });
    } catch (error) {
      return (error as Error).message;
    }
  }
  const record = new DaemonRecord(env, recordPath(options.flags["record-path"]));
  let started: readonly Part[] = [];
  try {
    const events = EventRecorder.create(env, kube.client, userAgent, options.nodeName);
    for (const { of, scope } of watchedOn(options.nodeName, options.gates.enabled("DaemonWatchingPod"))) kube.cache.ensure(of, scope);
    const sockets = { dir: options.flags["socket-dir"], file: options.flags["socket-file"] };
    const detection = await findRuntimes(env, sockets);
    if (env.stopped.aborted) return undefined;
    if (!hasRuntime(detection)) {
      const message = await tellNoRuntime(env, kube, events, options.nodeName, sockets, detection);
      stop();
      return message;
    }
    env.log.info({ runtimes: detection.runtimes.map(({ name }) => name), tried: reportText(detection) }, "container runtimes");
    runtimes = new Runtimes(env, sockets, detection);
    const killer = new Killer({ env, fetch: httpFetch, events, metrics, record });
    const frame: Frame = { env, machineNowMs: () => machine.nowMs(), options, kube, runtimes, events, metrics, record, killer };
    started = await startParts(frame, kube, checks);
    giveBackProgram();
    await untilStopped(env);
    return undefined;
  } finally {
    if (!env.stopped.aborted) stop();
    env.log.info({}, "kruise-daemon stops");
    await Promise.race([Promise.all(started.map((part) => part.stop())), afterStop(env, stopMsMax)]);
    runtimes?.close();
    record.close();
    await listener?.stop();
  }
}

function hasRuntime(detection: Detection): detection is Detection & { readonly runtimes: readonly [Runtime, ...Runtime[]] } {
  return detection.runtimes.length > 0;
}

/** Parts see whole lists: what is there already is not news to them. */
async function startParts(frame: Frame, kube: Kube, checks: Record<string, Check>): Promise<readonly Part[]> {
  const { env } = frame;
  const made: Part[] = [];
  for (const make of parts) {
    const part = await make(frame);
    if (part === undefined) continue;
    made.push(part);
    Object.assign(checks, part.checks);
  }
  if (kube.cache.has(pods)) {
    const waitMs = 30_000;
    for (let settled = false; !settled && !env.stopped.aborted; ) {
      const report = await kube.cache.whenSettled([pods], waitMs);
      settled = kube.cache.synced([pods]);
      if (!settled && !env.stopped.aborted) env.log.warn({ pending: report.pending.map(({ why }) => why) }, "waiting for the node's pods");
    }
  }
  if (env.stopped.aborted) return made;
  for (const part of made) await part.start();
  env.log.info({ parts: made.map((part) => part.name) }, "kruise-daemon works");
  return made;
}

function untilStopped({ stopped }: Env): Promise<void> {
  if (stopped.aborted) return Promise.resolve();
  return new Promise((resolve) => stopped.addEventListener("abort", () => resolve(), { once: true }));
}

/** `sleep` ends with the process; this one counts from there. */
function afterStop(env: Env, limitMs: number): Promise<void> {
  return sleep(env, limitMs, new AbortController().signal);
}
