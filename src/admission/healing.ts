/**
 * Keeps objects of the API server as they should be: looks when there is reason to, writes only a difference, and not without end
 * against somebody who wants it otherwise.
 */
import type { Env } from "../env/env.ts";
import type { LiveReader, Writer } from "../kube/access.ts";
import { type Key, type Kind, keyText } from "../kube/kind.ts";
import { failureText, type Written } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";

export const healingLimits = {
  /** A look without any sign of change: signs may get lost. */
  lookEveryMs: 600_000,
  /** Writes of one object in a row… */
  writesMax: 5,
  /** …and one more after each of these. */
  writeEveryMs: 60_000,
} as const;

export interface Target<T extends KubeObject> {
  readonly of: Kind<T>;
  readonly name: string;
  /** What the wanted state depends on besides the object: when it differs from the last time, the object is looked at. */
  readonly inputs: string;
  /** The object as it should be (same reference: it is), or why that cannot be said. */
  heal(live: T): T | string;
  /** An object that does not exist is all right. */
  readonly optional?: boolean;
}

export interface Problem {
  readonly message: string;
  /** Before that, another try is of no use. */
  readonly retryAfterMs?: number;
}

interface Memory {
  /** As last seen to be right; undefined: seen to be missing. */
  version: string | undefined;
  /** As the watch told last. */
  latest: string | undefined;
  inputs: string;
  lookedMs: number;
  writes: number;
  refilledMs: number;
}

export class Healing {
  private readonly memories = new Map<string, Memory>();
  private readonly early = new Map<string, Promise<Written<KubeObject>>>();

  constructor(
    private readonly env: Env,
    private readonly live: LiveReader,
    private readonly write: Writer,
  ) {}

  /** Asks for an object that is going to be healed in a moment. */
  prefetch(of: Kind, name: string): void {
    this.early.set(`${of.plural}/${name}`, this.live.get(of, { namespace: "", name }));
  }

  /** Something happened to an object that is healed here. @returns whether it is news: our own writes are not */
  noticed(of: Kind, key: Key, resourceVersion: string | undefined): boolean {
    const memory = this.memories.get(`${of.plural}/${keyText(key)}`);
    if (!memory) return true;
    // A watch that lags tells of what was there before we looked, or wrote.
    if (Number(resourceVersion) < Number(memory.version)) return false;
    memory.latest = resourceVersion;
    return memory.latest !== memory.version;
  }

  /** @returns what stands in the way, or undefined when the object is right */
  async heal<T extends KubeObject>(target: Target<T>): Promise<Problem | undefined> {
    const { of, name } = target;
    const id = `${of.plural}/${name}`;
    const known = this.memories.get(id);
    const nowMs = this.env.monotonicMs();
    if (known && this.isRight(known, target.inputs, nowMs)) return undefined;
    const memory = known ?? {
      version: undefined,
      latest: undefined,
      inputs: "",
      lookedMs: 0,
      writes: healingLimits.writesMax,
      refilledMs: nowMs,
    };
    refill(memory, nowMs);
    if (memory.writes < 1) {
      const message = `${id}: somebody keeps changing it back (metadata.managedFields says who); trying again once a minute`;
      return { message, retryAfterMs: memory.refilledMs + healingLimits.writeEveryMs - nowMs };
    }
    const early = this.early.get(id);
    this.early.delete(id);
    const found = (await (early ?? this.live.get(of, { namespace: "", name }))) as Written<T>;
    if (!found.ok) {
      if (found.why !== "notFound" || !target.optional) return { message: `${id}: ${failureText(found)}` };
      this.remember(id, memory, target.inputs, undefined);
      return undefined;
    }
    const healed = target.heal(found.object);
    if (typeof healed === "string") return { message: healed };
    if (healed === found.object) {
      this.remember(id, memory, target.inputs, found.object.metadata.resourceVersion);
      return undefined;
    }
    const written = await this.write.update(of, healed);
    if (!written.ok) return { message: `update ${id}: ${failureText(written)}` };
    memory.writes -= 1;
    this.env.log.info({ object: id }, "webhook controller: restored");
    this.remember(id, memory, target.inputs, written.object.metadata.resourceVersion);
    return undefined;
  }

  private isRight(memory: Memory, inputs: string, nowMs: number): boolean {
    return memory.inputs === inputs && memory.latest === memory.version && nowMs - memory.lookedMs < healingLimits.lookEveryMs;
  }

  private remember(id: string, memory: Memory, inputs: string, version: string | undefined): void {
    this.memories.set(id, Object.assign(memory, { version, latest: version, inputs, lookedMs: this.env.monotonicMs() }));
  }
}

function refill(memory: Memory, nowMs: number): void {
  const gained = Math.floor((nowMs - memory.refilledMs) / healingLimits.writeEveryMs);
  if (gained < 1) return;
  memory.writes = Math.min(healingLimits.writesMax, memory.writes + gained);
  memory.refilledMs += gained * healingLimits.writeEveryMs;
}
