/** Which kinds the server serves, kept right while CRDs come and go. */
import type { ServedPort } from "../engine/ports.ts";
import type { Cancel, Env } from "../env/env.ts";
import type { KubeClient } from "../kube/client.ts";
import { type Discovery, discover } from "../kube/discovery.ts";
import { groupOf, type Kind, resourceName } from "../kube/kind.ts";
import { failureText } from "../kube/outcome.ts";

/** A CRD is listed by discovery a moment after it is established; several usually come together. */
const settleMs = 500;
const retryMs = 5_000;

export class ServedKinds implements ServedPort {
  readonly #env: Env;
  readonly #client: KubeClient;
  readonly #handlers = new Set<() => void>();
  #discovery: Discovery;
  /** Asked for every pod. */
  #answers = new WeakMap<Kind, boolean>();
  #pending: Cancel | undefined;

  constructor(env: Env, client: KubeClient, first: Discovery) {
    this.#env = env;
    this.#client = client;
    this.#discovery = first;
  }

  /** In this very version. */
  serves(kind: Kind): boolean {
    let answer = this.#answers.get(kind);
    if (answer === undefined) {
      answer = this.#discovery.servesVersion(kind) || this.#mayServe(kind);
      this.#answers.set(kind, answer);
    }
    return answer;
  }

  /** A group that exists but did not answer may well serve it: assume the better, and let its watch say otherwise. */
  #mayServe({ group }: Kind): boolean {
    return this.#discovery.silent.some((groupVersion) => groupVersion.includes("/") && groupOf(groupVersion) === group);
  }

  get now(): Discovery {
    return this.#discovery;
  }

  changed(handler: () => void): Cancel {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** A CRD changed: look again soon. */
  refresh(delayMs = settleMs): void {
    this.#pending ??= this.#env.after(delayMs, () => {
      this.#pending = undefined;
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    const found = await discover(this.#client);
    if (!found.ok) {
      this.#env.log.warn({ error: failureText(found) }, "discovery failed, trying again");
      if (!this.#env.stopped.aborted) this.refresh(retryMs);
      return;
    }
    const names = (discovery: Discovery) => new Set(discovery.resources.map(({ kind }) => `${kind.version}/${resourceName(kind)}`));
    const [before, after] = [names(this.#discovery), names(found.object)];
    this.#discovery = found.object;
    this.#answers = new WeakMap();
    if (before.size === after.size && [...after].every((name) => before.has(name))) return;
    for (const handler of [...this.#handlers]) handler();
  }
}
