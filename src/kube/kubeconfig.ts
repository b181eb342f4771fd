/** kubeconfig files: several merged into one, a context chosen, paths made absolute. Pure but for `read`. */
import { dirname, isAbsolute, resolve } from "node:path";
import { parse } from "yaml";

export interface ClusterEntry {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly "tls-server-name"?: string;
  readonly "proxy-url"?: string;
}
export interface UserEntry {
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly as?: string;
  readonly "as-uid"?: string;
  readonly "as-groups"?: readonly string[];
  readonly exec?: {
    readonly apiVersion?: string;
    readonly command?: string;
    readonly env?: readonly { name: string; value: string }[] | null;
  };
  readonly "auth-provider"?: object;
}
export interface ContextEntry {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}
export interface KubeConfigFile {
  readonly "current-context": string;
  readonly clusters: ReadonlyMap<string, ClusterEntry>;
  readonly users: ReadonlyMap<string, UserEntry>;
  readonly contexts: ReadonlyMap<string, ContextEntry>;
}

/** What a user may say on the command line instead of in the file; names as in kubectl. */
export interface ConfigOverrides {
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
  readonly server?: string;
  readonly token?: string;
  readonly as?: string;
  readonly asUid?: string;
  readonly asGroups?: readonly string[];
  readonly certificateAuthority?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly insecureSkipTlsVerify?: boolean;
  readonly tlsServerName?: string;
}

export interface ChosenContext {
  readonly name: string;
  readonly namespace: string;
  readonly cluster: ClusterEntry;
  readonly user: UserEntry;
}
export type Chosen = { readonly ok: true; readonly context: ChosenContext } | { readonly ok: false; readonly message: string };

/**
 * Merges as kubectl does: for each name and for the current context, the first file that says something wins. A relative path in a
 * file is relative to that file.
 * @throws Error that names the file when one cannot be read as a kubeconfig
 */
export function mergeKubeconfigs(files: readonly { readonly path: string; readonly text: string }[]): KubeConfigFile {
  const clusters = new Map<string, ClusterEntry>();
  const users = new Map<string, UserEntry>();
  const contexts = new Map<string, ContextEntry>();
  let current = "";
  for (const { path, text } of files) {
    const file = parseFile(path, text);
    const base = dirname(path);
    addNamed(clusters, file.clusters, "cluster", (cluster: ClusterEntry) => absolute(cluster, base, ["certificate-authority"]));
    addNamed(users, file.users, "user", (user: UserEntry) =>
      absoluteCommand(absolute(user, base, ["client-certificate", "client-key", "tokenFile"]), base),
    );
    addNamed(contexts, file.contexts, "context", (context: ContextEntry) => context);
    current ||= typeof file["current-context"] === "string" ? file["current-context"] : "";
  }
  return { "current-context": current, clusters, users, contexts };
}

/** The context that is meant, with what the command line overrides. The message names what is missing and what there is. */
export function chooseContext(config: KubeConfigFile, overrides: ConfigOverrides): Chosen {
  const name = overrides.context ?? config["current-context"];
  const context = config.contexts.get(name);
  if (overrides.context !== undefined && !context) return missing("context", name, config.contexts);
  if (name !== "" && !context && !overrides.cluster) return missing("context", name, config.contexts);
  const clusterName = overrides.cluster ?? context?.cluster ?? "";
  const cluster = config.clusters.get(clusterName);
  if (!cluster && (overrides.cluster !== undefined || overrides.server === undefined)) {
    if (name === "" && clusterName === "")
      return { ok: false, message: "the kubeconfig has no current-context: choose one with --context or kubectl config use-context" };
    return missing("cluster", clusterName, config.clusters);
  }
  const userName = overrides.user ?? context?.user ?? "";
  const user = config.users.get(userName);
  if (!user && userName !== "") return missing("user", userName, config.users);
  return {
    ok: true,
    context: {
      name,
      namespace: overrides.namespace ?? context?.namespace ?? "default",
      cluster: overrideCluster(cluster ?? {}, overrides),
      user: overrideUser(user ?? {}, overrides),
    },
  };
}

function overrideCluster(cluster: ClusterEntry, overrides: ConfigOverrides): ClusterEntry {
  return {
    ...cluster,
    ...(overrides.server !== undefined && { server: overrides.server }),
    ...(overrides.certificateAuthority !== undefined && {
      "certificate-authority": resolve(overrides.certificateAuthority),
      "certificate-authority-data": undefined,
    }),
    ...(overrides.insecureSkipTlsVerify !== undefined && { "insecure-skip-tls-verify": overrides.insecureSkipTlsVerify }),
    ...(overrides.tlsServerName !== undefined && { "tls-server-name": overrides.tlsServerName }),
  };
}

function overrideUser(user: UserEntry, overrides: ConfigOverrides): UserEntry {
  // Another identity on the command line replaces the one of the file, plugins included.
  const base: UserEntry =
    overrides.token !== undefined
      ? { as: user.as, "as-uid": user["as-uid"], "as-groups": user["as-groups"], token: overrides.token }
      : user;
  return {
    ...base,
    ...(overrides.clientCertificate !== undefined && {
      "client-certificate": resolve(overrides.clientCertificate),
      "client-certificate-data": undefined,
    }),
    ...(overrides.clientKey !== undefined && { "client-key": resolve(overrides.clientKey), "client-key-data": undefined }),
    ...(overrides.as !== undefined && { as: overrides.as }),
    ...(overrides.asUid !== undefined && { "as-uid": overrides.asUid }),
    ...(overrides.asGroups !== undefined && { "as-groups": overrides.asGroups }),
  };
}

function missing(what: string, name: string, known: ReadonlyMap<string, unknown>): Chosen {
  const names = [...known.keys()].slice(0, 20).join(", ") || "none";
  return { ok: false, message: `the kubeconfig has no ${what} "${name}" (it has: ${names})` };
}

interface RawFile {
  readonly clusters?: unknown;
  readonly users?: unknown;
  readonly contexts?: unknown;
  readonly "current-context"?: unknown;
}

function parseFile(path: string, text: string): RawFile {
  let value: unknown;
  try {
    // JSON is YAML too, and much faster read as what it is.
    value = text.trimStart().startsWith("{") ? JSON.parse(text) : parse(text);
  } catch (error) {
    throw new Error(`${path} is not a readable kubeconfig: ${(error as Error).message}`);
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value))
    throw new Error(`${path} is not a kubeconfig: expected an object with clusters, users and contexts`);
  return value as RawFile;
}

function addNamed<T>(into: Map<string, T>, list: unknown, key: string, adapt: (entry: T) => T): void {
  if (!Array.isArray(list)) return;
  for (const entry of list as (Record<string, unknown> | null)[]) {
    const name = entry?.name;
    if (typeof name === "string" && !into.has(name)) into.set(name, adapt((entry?.[key] ?? {}) as T));
  }
}

function absolute<T extends object>(entry: T, base: string, fields: readonly (keyof T)[]): T {
  const copy = { ...entry };
  for (const field of fields) {
    const value = copy[field];
    if (typeof value === "string" && value !== "" && !isAbsolute(value)) copy[field] = resolve(base, value) as T[keyof T];
  }
  return copy;
}

/** A plugin's command with a slash in it is a path relative to the file; without one it is looked up in PATH. */
function absoluteCommand(user: UserEntry, base: string): UserEntry {
  const command = user.exec?.command;
  if (!command?.includes("/") || isAbsolute(command)) return user;
  return { ...user, exec: { ...user.exec, command: resolve(base, command) } };
}
