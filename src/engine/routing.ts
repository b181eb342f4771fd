/** From changes in the cache to keys in queues: one subscription a kind, however many controllers look at it. */
import type { Cancel, Logger } from "../env/env.ts";
import { type Kind, keyOf, resourceName } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Context, Controller, Watch } from "./controller.ts";
import type { Metrics } from "./metrics.ts";
import { metrics as names } from "./metrics-names.ts";
import type { CachePort } from "./ports.ts";
import type { WorkQueue } from "./queue.ts";

type Route = (before: Readonly<KubeObject> | undefined, after: Readonly<KubeObject> | undefined) => void;

export class Router {
  readonly #cache: CachePort;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #routes = new Map<string, Route[]>();
  readonly #subscriptions: Cancel[] = [];

  constructor(cache: CachePort, log: Logger, metrics: Metrics) {
    this.#cache = cache;
    this.#log = log;
    this.#metrics = metrics;
  }

  /**
   * Wakes keys of `controller` from now on.
   * @param isForeign whether somebody else wrote the status of the object: that concerns every controller that writes it
   */
  connect(controller: Controller, context: Context, queue: WorkQueue, isForeign: (object: Readonly<KubeObject>) => boolean): void {
    const concerns = this.#ownRoute(controller, context);
    this.#add(controller.of, (before, after) => {
      const object = after ?? before;
      if (object === undefined || !(concerns(before, after) || isForeign(object))) return;
      queue.add(keyOf(object), changedByUser(before, after) ? "fresh" : "noise");
    });
    for (const watch of controller.watches) this.#add(watch.of, this.#route(controller, watch, context, queue));
  }

  close(): void {
    for (const cancel of this.#subscriptions.splice(0)) cancel();
    this.#routes.clear();
  }

  #ownRoute(controller: Controller, context: Context): (...change: Parameters<Route>) => boolean {
    const { concerns } = controller;
    if (concerns === undefined) return () => true;
    return (before, after) => {
      try {
        return concerns({ before, after }, context);
      } catch (error) {
        this.#broken(controller, controller.of, error);
        return true;
      }
    };
  }

  #route(controller: Controller, watch: Watch, context: Context, queue: WorkQueue): Route {
    return (before, after) => {
      try {
        for (const key of watch.wakes({ before, after }, context)) queue.add(key, "noise");
      } catch (error) {
        this.#broken(controller, watch.of, error);
      }
    };
  }

  #broken(controller: Controller, of: Kind, error: unknown): void {
    this.#metrics.add(names.reconcilePanicsTotal, { controller: controller.name });
    this.#log.error({ controller: controller.name, resource: resourceName(of), err: error }, "a watch threw");
  }

  #add(of: Kind, route: Route): void {
    const resource = resourceName(of);
    const routes = this.#routes.get(resource);
    if (routes !== undefined) {
      routes.push(route);
      return;
    }
    const fresh = [route];
    this.#routes.set(resource, fresh);
    this.#subscriptions.push(
      this.#cache.subscribe(of, (before, after) => {
        for (const each of fresh) each(before, after);
      }),
    );
  }
}

/** Created, being deleted, or something else than its status changed. */
export function changedByUser(before: Readonly<KubeObject> | undefined, after: Readonly<KubeObject> | undefined): boolean {
  if (before === undefined || after === undefined) return true;
  const a = before.metadata;
  const b = after.metadata;
  if (a.uid !== b.uid || a.generation !== b.generation || a.deletionTimestamp !== b.deletionTimestamp) return true;
  return !sameTexts(a.annotations, b.annotations) || !sameTexts(a.labels, b.labels);
}

function sameTexts(a: Readonly<Record<string, string>> | undefined, b: Readonly<Record<string, string>> | undefined): boolean {
  if (a === b) return true;
  const keys = Object.keys(a ?? {});
  if (keys.length !== Object.keys(b ?? {}).length) return false;
  return keys.every((key) => a?.[key] === b?.[key]);
}
