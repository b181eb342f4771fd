/** The node's own docker configuration, where the kubelet looks for it as well. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Env } from "../../../env/env.ts";
import { addDockerConfig } from "./docker-config.ts";
import { Keyring } from "./keyring.ts";

/** ms a configuration is believed before it is read again. */
const ageMsMax = 300_000;

export interface Places {
  readonly workingDirectory: string;
  /** undefined: there is none. */
  readonly home: string | undefined;
}

/** The first of these that is there and can be read is taken. */
export function dockerConfigPaths({ workingDirectory, home }: Places): readonly { readonly path: string; readonly form: "json" | "cfg" }[] {
  const json = [workingDirectory, ...(home ? [join(home, ".docker")] : []), "/.docker"];
  const cfg = [workingDirectory, ...(home ? [home] : []), "/"];
  return [
    ...json.map((directory) => ({ path: join(directory, "config.json"), form: "json" as const })),
    ...cfg.map((directory) => ({ path: join(directory, ".dockercfg"), form: "cfg" as const })),
  ];
}

export class NodeFiles {
  readonly #env: Env;
  readonly #places: Places;
  #keyring = new Keyring();
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(env: Env, places: Places) {
    this.#env = env;
    this.#places = places;
  }

  keyring(): Keyring {
    const nowMs = this.#env.monotonicMs();
    if (nowMs - this.#readAtMs < ageMsMax) return this.#keyring;
    this.#readAtMs = nowMs;
    this.#keyring = this.#read();
    return this.#keyring;
  }

  #read(): Keyring {
    for (const { path, form } of dockerConfigPaths(this.#places)) {
      const text = textIn(path);
      if (text === undefined) continue;
      const keyring = new Keyring();
      const problem = addDockerConfig(keyring, text, form);
      if (problem === undefined) return keyring;
      this.#env.log.warn({ path, problem }, "a docker configuration cannot be used");
    }
    return new Keyring();
  }
}

function textIn(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
