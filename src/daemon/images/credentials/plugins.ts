/**
 * Credential provider plugins, as the kubelet runs them: a program is asked for the credentials of an image, and its answer is kept for as
 * long as it says. A plugin that fails gives no credentials and disturbs nobody else.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Env } from "../../../env/env.ts";
import { fieldsOf, isFields, textOf } from "../../../kube/json.ts";
import { Recent } from "../../../kube/recent.ts";
import { parseDuration } from "../../../kube/time.ts";
import { type Credential, Keyring, matchesImage } from "./keyring.ts";
import { type PluginConfig, parsePluginConfig } from "./plugin-config.ts";

export const pluginLimits = {
  runMs: 60_000,
  /** Bytes of an answer. */
  answerBytesMax: 1024 * 1024,
  answersKept: 200,
} as const;

/** What a program wrote to its standard output; a text says why there is nothing. */
export type Run = (
  path: string,
  args: readonly string[],
  env: Record<string, string>,
  input: string,
) => Promise<{ readonly output: string } | string>;

interface Answer {
  readonly keyring: Keyring;
  readonly untilMs: number;
}

export class Plugins {
  readonly #env: Env;
  readonly #plugins: readonly PluginConfig[];
  readonly #directory: string;
  readonly #run: Run;
  readonly #answers = new Recent<string, Answer>(pluginLimits.answersKept);
  /** Questions that are being asked: the same is not asked twice at once. */
  readonly #asking = new Map<string, Promise<Keyring>>();

  constructor(env: Env, plugins: readonly PluginConfig[], directory: string, run: Run = runProgram(env)) {
    this.#env = env;
    this.#plugins = plugins;
    this.#directory = directory;
    this.#run = run;
  }

  /** Of all plugins that are there for this image, in their order. @param repository "registry.test/team/app" */
  async lookup(repository: string): Promise<readonly Credential[]> {
    const found: Credential[] = [];
    for (const plugin of this.#plugins)
      if (plugin.matchImages.some((pattern) => matchesImage(pattern, repository)))
        found.push(...(await this.#ask(plugin, repository)).lookup(repository));
    return found;
  }

  async #ask(plugin: PluginConfig, repository: string): Promise<Keyring> {
    for (const key of cacheKeys(plugin, repository)) {
      const known = this.#answers.get(key);
      if (known !== undefined && known.untilMs > this.#env.monotonicMs()) return known.keyring;
    }
    const question = `${plugin.name} ${repository}`;
    const asking = this.#asking.get(question) ?? this.#query(plugin, repository).finally(() => this.#asking.delete(question));
    this.#asking.set(question, asking);
    return asking;
  }

  async #query(plugin: PluginConfig, repository: string): Promise<Keyring> {
    const { env: variables, name, args, apiVersion, defaultCacheMs } = plugin;
    const environment = { ...definedOnly(process.env), ...Object.fromEntries(variables.map((each) => [each.name, each.value])) };
    const input = JSON.stringify({ kind: "CredentialProviderRequest", apiVersion, image: repository });
    const ran = await this.#run(join(this.#directory, name), args, environment, input);
    const answer = typeof ran === "string" ? ran : parseAnswer(ran.output, apiVersion);
    if (typeof answer === "string") {
      this.#env.log.warn({ plugin: name, image: repository, problem: answer }, "a credential provider plugin gave no credentials");
      return new Keyring();
    }
    const cacheMs = answer.cacheMs ?? defaultCacheMs;
    const [byImage, byRegistry, byAll] = cacheKeys(plugin, repository);
    const key = answer.cacheBy === "Image" ? byImage : answer.cacheBy === "Registry" ? byRegistry : byAll;
    if (cacheMs > 0) this.#answers.set(key, { keyring: answer.keyring, untilMs: this.#env.monotonicMs() + cacheMs });
    return answer.keyring;
  }
}

function cacheKeys({ name }: PluginConfig, repository: string): readonly [string, string, string] {
  return [`${name} image ${repository}`, `${name} registry ${repository.split("/", 1)[0]}`, `${name} global`];
}

interface PluginAnswer {
  readonly keyring: Keyring;
  readonly cacheBy: "Image" | "Registry" | "Global";
  readonly cacheMs: number | undefined;
}

/** @returns a text that says what is wrong; never any of the content */
export function parseAnswer(output: string, apiVersion: string): PluginAnswer | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(output);
  } catch {
    return "its answer is not JSON";
  }
  if (!isFields(parsed) || parsed["kind"] !== "CredentialProviderResponse" || parsed["apiVersion"] !== apiVersion)
    return `want an answer of kind CredentialProviderResponse and apiVersion ${apiVersion}`;
  const cacheBy = textOf(parsed["cacheKeyType"]);
  if (cacheBy !== "Image" && cacheBy !== "Registry" && cacheBy !== "Global") return "cacheKeyType: want Image, Registry or Global";
  const keyring = new Keyring();
  const auth = fieldsOf(parsed["auth"]);
  for (const pattern of Object.keys(auth)) {
    const { username, password } = fieldsOf(auth[pattern]);
    keyring.add(pattern, { username: textOf(username), password: textOf(password) });
  }
  return { keyring, cacheBy, cacheMs: parseDuration(textOf(parsed["cacheDuration"])) };
}

/** No configuration: no plugins. What cannot be read is told, and means the same. */
export async function loadPlugins(env: Env, configPath: string, directory: string): Promise<Plugins> {
  if (configPath === "" || !existsSync(configPath)) return new Plugins(env, [], directory);
  let config: unknown;
  try {
    // Loaded late: few nodes have plugins, and a YAML reader costs memory.
    const { parse } = await import("yaml");
    config = parse(readFileSync(configPath, "utf8"));
  } catch (error) {
    env.log.error(
      { path: configPath, problem: (error as Error).message },
      "the configuration of credential provider plugins cannot be read",
    );
    return new Plugins(env, [], directory);
  }
  const parsed = parsePluginConfig(config);
  if (!parsed.ok)
    env.log.error({ path: configPath, problem: parsed.problem }, "the configuration of credential provider plugins cannot be used");
  const plugins = parsed.ok ? parsed.plugins : [];
  for (const { name } of plugins)
    if (!existsSync(join(directory, name))) env.log.error({ plugin: name, directory }, "a credential provider plugin is not there");
  return new Plugins(env, plugins, directory);
}

function definedOnly(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function runProgram(env: Env): Run {
  return async (path, args, variables, input) => {
    const over = new AbortController();
    const stop = () => over.abort();
    const cancel = env.after(pluginLimits.runMs, stop);
    env.stopped.addEventListener("abort", stop, { once: true });
    try {
      const child = Bun.spawn([path, ...args], {
        env: variables,
        stdin: new TextEncoder().encode(input),
        stdout: "pipe",
        stderr: "ignore",
        signal: over.signal,
        killSignal: "SIGKILL",
        maxBuffer: pluginLimits.answerBytesMax,
      });
      const [output, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
      if (over.signal.aborted) return `it did not answer within ${pluginLimits.runMs / 1000} s`;
      return code === 0 ? { output } : `it ended with code ${code}`;
    } catch (error) {
      return `it cannot be run: ${(error as Error).message}`;
    } finally {
      cancel();
      env.stopped.removeEventListener("abort", stop);
    }
  };
}
