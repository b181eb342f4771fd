/**
 * Stops a container so that the kubelet starts the next one: tells the pod's users, runs the preStop hook, lets the runtime end it. One
 * kill at a time for each container; what was begun before a crash goes on, and what was finished is not done again.
 */

import type { Metrics } from "../../engine/metrics.ts";
import type { Env } from "../../env/env.ts";
import type { Fetch } from "../../env/network.ts";
import type { EventRecorder } from "../../kube/events.ts";
import { pods } from "../../kube/kinds.ts";
import type { ContainerPort, Handler } from "../../kube/types.ts";
import type { RuntimeService } from "../cri/client.ts";
import { grpcCode } from "../cri/grpc.ts";
import { daemonMetrics } from "../metrics-names.ts";
import type { DaemonRecord, Deed } from "../record.ts";
import { runHook } from "./hook.ts";

/** Seconds; a container gets at least these to end by itself. */
export const graceSecondsMin = 2;

export interface KillOrder {
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly container: string;
  /** "spec.containers{app}"; names the container as "implicitly required" where the pod's spec is not known. */
  readonly fieldPath: string;
  readonly runtime: RuntimeService;
  /** "containerd://abc" */
  readonly containerId: string;
  /** "abc" */
  readonly runtimeId: string;
  readonly graceSeconds: number;
  readonly preStop?: Handler;
  readonly ports: readonly ContainerPort[];
  readonly podIP: string | undefined;
  /** Ends the sentence "Stopping container app …". */
  readonly because: string;
  /** Who speaks in Events and metrics: "kruise-daemon-crr". */
  readonly by: string;
  /** What it is for, so that it is recognised after a restart: a uid. */
  readonly purpose: string;
}

/** `retry`: the runtime could not be asked; nothing is decided yet. */
export type Killed = { readonly ok: true } | { readonly ok: false; readonly retry: boolean; readonly message: string };

/** What the record keeps of a kill. */
export interface KillBody {
  readonly purpose: string;
  readonly container: string;
  /** How long the preStop hook took, once it has ended. */
  readonly hookMs?: number;
  readonly result?: "stopped" | "failed";
}

export interface KillPlan {
  /** Users were not told yet. */
  readonly announce: boolean;
  /** ms that the hook may take; undefined: there is none to run. */
  readonly hookMsMax?: number;
  /** How long a hook took that ran before the crash. */
  readonly hookMsBefore: number;
}

/** Pure. How this kill goes, given what an earlier process had done of it. */
export function planKill(order: Pick<KillOrder, "graceSeconds" | "preStop">, before: KillBody | undefined): KillPlan {
  const hasHook = order.preStop !== undefined && order.graceSeconds > 0;
  const hookMsBefore = before?.hookMs;
  return {
    announce: before === undefined,
    ...(hasHook && hookMsBefore === undefined ? { hookMsMax: order.graceSeconds * 1000 } : {}),
    hookMsBefore: hookMsBefore ?? 0,
  };
}

/** Seconds for the container to end by itself: what the hook has left of the grace period, in whole seconds. */
export function stopSeconds(graceSeconds: number, hookMs: number): number {
  return Math.max(graceSecondsMin, graceSeconds - Math.floor(hookMs / 1000));
}

/** A container's ID in a message would make every Event a new one. */
export function withoutId(message: string, order: Pick<KillOrder, "containerId" | "runtimeId" | "container">): string {
  return message.replaceAll(order.containerId, order.container).replaceAll(order.runtimeId, order.container);
}

export interface KillerDeps {
  readonly env: Env;
  readonly fetch: Fetch;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  readonly record: DaemonRecord;
}

export class Killer {
  readonly #deps: KillerDeps;
  readonly #running = new Map<string, Promise<Killed>>();

  constructor(deps: KillerDeps) {
    this.#deps = deps;
  }

  /** Never rejects. A container that is being killed already is awaited. */
  kill(order: KillOrder): Promise<Killed> {
    const running = this.#running.get(order.containerId);
    if (running !== undefined) return running;
    const kill = this.#kill(order).finally(() => this.#running.delete(order.containerId));
    this.#running.set(order.containerId, kill);
    return kill;
  }

  /** Kills that were begun for this purpose, here or by an earlier process, by container ID. */
  killsFor(purpose: string): readonly Deed<KillBody>[] {
    return this.#deps.record.all<KillBody>("kill").filter(({ body }) => body.purpose === purpose);
  }

  async #kill(order: KillOrder): Promise<Killed> {
    const { record, metrics } = this.#deps;
    const deed = record.get<KillBody>("kill", order.containerId);
    const before = deed !== undefined && deed.endedMs === undefined && deed.body.purpose === order.purpose ? deed.body : undefined;
    const plan = planKill(order, before);
    let body: KillBody = { ...before, purpose: order.purpose, container: order.container };
    record.begin("kill", order.containerId, body);
    if (plan.announce) this.#tell(order, "Normal", "Killing", `Stopping container ${order.container} ${order.because}`);
    let hookMs = plan.hookMsBefore;
    if (plan.hookMsMax !== undefined && order.preStop !== undefined) {
      hookMs = await this.#hook(order, order.preStop, plan.hookMsMax);
      body = { ...body, hookMs };
      if (!this.#deps.env.stopped.aborted) record.begin("kill", order.containerId, body);
    }
    const stopped = await order.runtime.stopContainer(order.runtimeId, stopSeconds(order.graceSeconds, hookMs));
    // A container that is gone has ended.
    if (stopped.ok || stopped.code === grpcCode.notFound) {
      record.end("kill", order.containerId, { ...body, result: "stopped" });
      metrics.add(daemonMetrics.kills, { by: order.by, result: "stopped" });
      return { ok: true };
    }
    const retry = stopped.code === grpcCode.unavailable || stopped.code === grpcCode.cancelled;
    if (!retry) record.end("kill", order.containerId, { ...body, result: "failed" });
    metrics.add(daemonMetrics.kills, { by: order.by, result: retry ? "interrupted" : "failed" });
    return { ok: false, retry, message: withoutId(stopped.message, order) };
  }

  async #hook(order: KillOrder, handler: Handler, limitMs: number): Promise<number> {
    const { env, fetch } = this.#deps;
    const startMs = env.monotonicMs();
    const { runtime, runtimeId, ports, podIP, container } = order;
    const { problem, fellBack } = await runHook(env, fetch, { handler, runtime, runtimeId, ports, podIP }, limitMs);
    if (fellBack)
      this.#tell(order, "Warning", "LifecycleHTTPFallback", `PreStop hook of container ${container}: HTTPS was answered in plain HTTP`);
    if (problem !== undefined && !env.stopped.aborted)
      this.#tell(order, "Warning", "FailedPreStopHook", `PreStop hook of container ${container} failed: ${withoutId(problem, order)}`);
    return env.monotonicMs() - startMs;
  }

  #tell({ pod, fieldPath, by }: KillOrder, type: "Normal" | "Warning", reason: string, message: string): void {
    this.#deps.events.as(by).record({ of: pods, ...pod, fieldPath }, { type, reason, message });
  }
}
