/** Pull secrets of tasks, read one by one, and anew for each attempt: one that was changed a moment ago is used. */
import type { NodeImagePullSecret } from "../../../api/nodeimage.ts";
import type { Env } from "../../../env/env.ts";
import type { KubeClient } from "../../../kube/client.ts";
import { secrets } from "../../../kube/kinds.ts";
import { failureText, type Written } from "../../../kube/outcome.ts";
import { Recent } from "../../../kube/recent.ts";
import type { Secret } from "../../../kube/types.ts";

export const secretLimits = {
  /** ms; ten tasks of one job that begin together read a secret once. */
  ageMsMax: 10_000,
  kept: 100,
} as const;

/** `away`: the API server cannot be asked now; what it would say is not known. */
export type FetchedSecrets =
  | { readonly ok: true; readonly secrets: readonly Readonly<Secret>[] }
  | { readonly ok: false; readonly away: true; readonly message: string };

export class Secrets {
  readonly #env: Env;
  readonly #client: KubeClient;
  readonly #known = new Recent<string, { readonly atMs: number; readonly answer: Promise<Written<Secret>> }>(secretLimits.kept);

  constructor(env: Env, client: KubeClient) {
    this.#env = env;
    this.#client = client;
  }

  /** Those that are missing or may not be read are left out, and told. */
  async fetch(refs: readonly NodeImagePullSecret[]): Promise<FetchedSecrets> {
    const found: Readonly<Secret>[] = [];
    for (const { namespace = "", name = "" } of refs) {
      const answer = await this.#get(namespace, name);
      if (answer.ok) {
        found.push(answer.object);
        continue;
      }
      const id = `${namespace}/${name}`;
      if (answer.why === "unavailable" || answer.why === "throttled")
        return { ok: false, away: true, message: `pull secret ${id} cannot be read: ${failureText(answer)}` };
      this.#env.log.warn({ secret: id, problem: failureText(answer) }, "a pull secret is left out");
    }
    return { ok: true, secrets: found };
  }

  #get(namespace: string, name: string): Promise<Written<Secret>> {
    const id = `${namespace}/${name}`;
    const nowMs = this.#env.monotonicMs();
    const known = this.#known.get(id);
    if (known !== undefined && nowMs - known.atMs < secretLimits.ageMsMax) return known.answer;
    const asked = { atMs: nowMs, answer: this.#client.get(secrets, { namespace, name }) };
    this.#known.set(id, asked);
    void asked.answer.then((answer) => {
      if (!answer.ok && this.#known.get(id) === asked) this.#known.delete(id);
    });
    return asked.answer;
  }
}
