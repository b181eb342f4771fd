/** Why things are left alone: the latest answer for each key, and since when it holds. Feeds `explain`, the web page, metrics and history. */
import { type Key, type Kind, keyText } from "../kube/kind.ts";
import { engineLimits } from "./limits.ts";
import { type Metrics, noMetrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import type { Reason } from "./plan.ts";
import type { Hold } from "./ports.ts";

export interface HeldReason extends Reason {
  /** When this code first held this object, without a pause since. */
  readonly sinceMs: number;
}

export class Reasons {
  readonly #metrics: Metrics;
  /** Oldest change first, so that the bound drops what has been quiet longest. */
  readonly #keys = new Map<string, ReadonlyMap<string, HeldReason>>();

  constructor(metrics: Metrics = noMetrics) {
    this.#metrics = metrics;
  }

  /** Replaces what is known of a key. Returns whether a code came or went for any object. */
  put(controller: string, of: Kind, key: Key, reasons: readonly Reason[] | undefined, nowMs: number): boolean {
    const id = `${controller}|${keyText(key)}`;
    const before = this.#keys.get(id);
    if (reasons === undefined || reasons.length === 0) return this.#keys.delete(id);
    const after = new Map<string, HeldReason>();
    let kept = 0;
    for (const reason of reasons) {
      if (after.size >= engineLimits.reasonsPerKeyMax) break;
      const place = `${reason.on}\n${reason.code}`;
      const known = before?.get(place);
      if (known === undefined) this.#metrics.add(names.blockedTotal, { kind: of.kind, reason: reason.code });
      else kept += 1;
      after.set(place, { ...reason, sinceMs: known?.sinceMs ?? nowMs });
    }
    this.#keys.delete(id);
    this.#keys.set(id, after);
    if (this.#keys.size > engineLimits.reasonKeysMax) {
      const oldest = this.#keys.keys().next().value;
      if (oldest !== undefined) this.#keys.delete(oldest);
    }
    return kept !== after.size || kept !== (before?.size ?? 0);
  }

  /** How many things are left alone for this reason, by key; keys without any are not in it. */
  counts(controller: string, code: string): ReadonlyMap<string, number> {
    const prefix = `${controller}|`;
    const counts = new Map<string, number>();
    for (const [id, reasons] of this.#keys) {
      if (!id.startsWith(prefix)) continue;
      let count = 0;
      for (const reason of reasons.values()) if (reason.code === code) count += 1;
      if (count > 0) counts.set(id.slice(prefix.length), count);
    }
    return counts;
  }

  forget(controller: string, key: Key): void {
    this.#keys.delete(`${controller}|${keyText(key)}`);
  }

  /** In the order of the plan; empty when nothing is held. */
  of(controller: string, key: Key): readonly HeldReason[] {
    return [...(this.#keys.get(`${controller}|${keyText(key)}`)?.values() ?? [])];
  }

  /** The same by code: how many, the first few of them, since when. */
  holds(controller: string, key: Key): readonly Hold[] {
    const holds = new Map<string, { code: string; count: number; names: string[]; figures: Reason["figures"]; sinceMs: number }>();
    for (const reason of this.#keys.get(`${controller}|${keyText(key)}`)?.values() ?? []) {
      const hold = holds.get(reason.code);
      if (hold === undefined) {
        holds.set(reason.code, { code: reason.code, count: 1, names: [reason.on], figures: reason.figures, sinceMs: reason.sinceMs });
        continue;
      }
      hold.count += 1;
      hold.sinceMs = Math.min(hold.sinceMs, reason.sinceMs);
      if (hold.names.length < engineLimits.reasonNamesMax) hold.names.push(reason.on);
    }
    return [...holds.values()];
  }
}
