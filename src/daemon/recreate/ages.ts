/**
 * How long containers have been running. The runtime says when they were started, by the clock of the machine; that may have been put
 * right meanwhile, or be another one than ours. What this process has seen itself bounds what the clocks say.
 */
import type { PodContainer, PodContainers } from "../containers/read.ts";

const seenMax = 2000;

interface Seen {
  readonly id: string;
  /** Monotonic ms, as are the others. */
  readonly firstMs: number;
  lastMs: number;
  /** When the container before it was last seen; undefined: this process has seen none. */
  readonly beforeMs?: number;
}

export class Ages {
  /** By pod and name. */
  readonly #seen = new Map<string, Seen>();

  /** To be told of each look at the containers of a pod. */
  note(podUid: string, containers: PodContainers, monotonicMs: number): void {
    for (const { name, id, state } of containers.values()) {
      // An ended one is not there any more as far as its successor is concerned.
      if (state === "created") continue;
      const key = `${podUid}/${name}`;
      const known = this.#seen.get(key);
      this.#seen.delete(key);
      if (known?.id === id) {
        if (state !== "exited") known.lastMs = monotonicMs;
        this.#seen.set(key, known);
      } else {
        const before = known === undefined ? {} : { beforeMs: known.lastMs };
        this.#seen.set(key, { id, firstMs: monotonicMs, lastMs: monotonicMs, ...before });
      }
    }
    while (this.#seen.size > seenMax) this.#seen.delete(this.#seen.keys().next().value as string);
  }

  /** ms. @param machineNowMs by the clock that the runtime goes by */
  runningForMs(podUid: string, { name, id, startedAtMs }: PodContainer, machineNowMs: number, monotonicMs: number): number {
    const toldMs = machineNowMs - (startedAtMs ?? machineNowMs);
    const seen = this.#seen.get(`${podUid}/${name}`);
    if (seen?.id !== id) return toldMs;
    const mostMs = seen.beforeMs === undefined ? Number.POSITIVE_INFINITY : monotonicMs - seen.beforeMs;
    return Math.max(monotonicMs - seen.firstMs, Math.min(toldMs, mostMs));
  }
}
