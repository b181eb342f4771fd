/** The engine's ports over the rooms of `src/kube`: the watch cache, the recorder of Events, and what the server serves. */
import type { Cancel } from "../env/env.ts";
import type { WatchCache } from "../kube/cache/watch-cache.ts";
import type { EventRecorder } from "../kube/events.ts";
import { type Kind, resourceName } from "../kube/kind.ts";
import type { CachePort, EventPort, ServedPort } from "./ports.ts";

/**
 * @param scopeOf how much of a kind is watched, the same as for whoever else ensures or restores it; default: all of it
 */
export function cachePort(cache: WatchCache, scopeOf: (kind: Kind) => Parameters<WatchCache["ensure"]>[1] = () => undefined): CachePort {
  return {
    ensure: (kind) => cache.ensure(kind, scopeOf(kind)),
    synced: (kind) => {
      if (cache.synced([kind])) return Promise.resolve();
      return new Promise((resolve) => {
        const cancel = cache.onState(() => {
          if (!cache.synced([kind])) return;
          cancel();
          resolve();
        });
      });
    },
    holds: (kind) => cache.synced([kind]),
    subscribe: (kind, handler) => cache.subscribe(kind, handler),
    put: (kind, object) => cache.put(kind, object),
    remove: (kind, ref) => cache.remove({ of: kind, ...ref }),
  };
}

/** Each controller speaks under its own name. */
export function eventPort(recorder: EventRecorder): EventPort {
  const voices = new Map<string, EventRecorder>();
  return {
    emit: (on, { component, ...text }) => {
      let voice = voices.get(component);
      if (voice === undefined) {
        voice = recorder.as(component);
        voices.set(component, voice);
      }
      voice.record(on, text);
    },
  };
}

/** What discovery said, until it is told again. */
export class ServedKinds implements ServedPort {
  readonly #handlers = new Set<() => void>();
  #serves: (resource: string) => boolean;

  constructor(serves: (resource: string) => boolean) {
    this.#serves = serves;
  }

  serves(kind: Kind): boolean {
    return this.#serves(resourceName(kind));
  }

  changed(handler: () => void): Cancel {
    this.#handlers.add(handler);
    return () => {
      this.#handlers.delete(handler);
    };
  }

  /** Discovery was read anew. */
  now(serves: (resource: string) => boolean): void {
    this.#serves = serves;
    for (const handler of this.#handlers) handler();
  }
}
