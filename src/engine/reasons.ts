/** Why things are left alone: the latest answer for each key, and since when it holds. Feeds `explain`, the web page, metrics and history. */
import { deepEqual } from "../kube/json.ts";
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

/** What holds the objects of one key: as planned, and by code and object. */
interface Held {
  readonly reasons: readonly HeldReason[];
  readonly byCode: ReadonlyMap<string, ReadonlyMap<string, HeldReason>>;
}

export class Reasons {
  readonly #metrics: Metrics;
  /** Oldest change first, so that the bound drops what has been quiet longest. */
  readonly #keys = new Map<string, Held>();

  constructor(metrics: Metrics = noMetrics) {
    this.#metrics = metrics;
  }

  /** Replaces what is known of a key. Returns whether a code came or went for any object. */
  put(controller: string, of: Kind, key: Key, reasons: readonly Reason[] | undefined, nowMs: number): boolean {
    const id = `${controller}|${keyText(key)}`;
    const before = this.#keys.get(id);
    if (reasons === undefined || reasons.length === 0) return this.#keys.delete(id);
    const held: HeldReason[] = [];
    const byCode = new Map<string, Map<string, HeldReason>>();
    let kept = 0;
    for (const reason of reasons) {
      if (held.length >= engineLimits.reasonsPerKeyMax) break;
      let places = byCode.get(reason.code);
      if (places === undefined) {
        places = new Map();
        byCode.set(reason.code, places);
      }
      const known = before?.byCode.get(reason.code)?.get(reason.on);
      const isTwice = places.has(reason.on);
      if (known === undefined) this.#metrics.add(names.blockedTotal, { kind: of.kind, reason: reason.code });
      else if (!isTwice) kept += 1;
      const now = known !== undefined && deepEqual(known.figures, reason.figures) ? known : { ...reason, sinceMs: known?.sinceMs ?? nowMs };
      if (isTwice) held.splice(held.indexOf(places.get(reason.on) as HeldReason), 1, now);
      else held.push(now);
      places.set(reason.on, now);
    }
    this.#keys.delete(id);
    this.#keys.set(id, { reasons: held, byCode });
    if (this.#keys.size > engineLimits.reasonKeysMax) {
      const oldest = this.#keys.keys().next().value;
      if (oldest !== undefined) this.#keys.delete(oldest);
    }
    return kept !== held.length || kept !== (before?.reasons.length ?? 0);
  }

  /** How many things are left alone for this reason, by key; keys without any are not in it. */
  counts(controller: string, code: string): ReadonlyMap<string, number> {
    const prefix = `${controller}|`;
    const counts = new Map<string, number>();
    for (const [id, { byCode }] of this.#keys) {
      const count = byCode.get(code)?.size ?? 0;
      if (count > 0 && id.startsWith(prefix)) counts.set(id.slice(prefix.length), count);
    }
    return counts;
  }

  forget(controller: string, key: Key): void {
    this.#keys.delete(`${controller}|${keyText(key)}`);
  }

  /** In the order of the plan; empty when nothing is held. */
  of(controller: string, key: Key): readonly HeldReason[] {
    return this.#keys.get(`${controller}|${keyText(key)}`)?.reasons ?? [];
  }

  /** The same by code: how many, the first few of them, since when. */
  holds(controller: string, key: Key): readonly Hold[] {
    const { byCode } = this.#keys.get(`${controller}|${keyText(key)}`) ?? { byCode: new Map<string, ReadonlyMap<string, HeldReason>>() };
    return [...byCode].map(([code, places]) => {
      const named: string[] = [];
      let sinceMs = Number.POSITIVE_INFINITY;
      let figures: Reason["figures"];
      for (const reason of places.values()) {
        if (named.length === 0) figures = reason.figures;
        if (named.length < engineLimits.reasonNamesMax) named.push(reason.on);
        sinceMs = Math.min(sinceMs, reason.sinceMs);
      }
      return { code, count: places.size, names: named, figures, sinceMs };
    });
  }
}
