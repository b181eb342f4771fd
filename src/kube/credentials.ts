/**
 * Who we are to the API server, and where it is. Sources, the first that exists: `--kubeconfig`, `$KUBECONFIG` (several files are
 * merged), the pod's own service account, `~/.kube/config`. Files are read again when they may have been rotated, at most once a minute.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import type { Env } from "../env/env.ts";
import type { ClientTls } from "../env/network.ts";
import type { ChosenContext, ClusterEntry, ConfigOverrides, UserEntry } from "./kubeconfig.ts";

/** What goes with each request. The same object as long as nothing changed. */
export interface Auth {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls?: ClientTls;
  readonly proxy?: string;
}

export interface Credentials {
  /** Without a slash at its end: "https://10.96.0.1:443". */
  readonly server: string;
  /** Where commands work when no `-n` is given. */
  readonly namespace: string;
  /** The kubeconfig's context; "" in a cluster. */
  readonly context: string;
  readonly inCluster: boolean;
  /** A promise only when a plugin has to be asked. @throws Error (or rejects) when a plugin or a file fails */
  auth(): Auth | Promise<Auth>;
  /** The server did not accept what `auth` gave: look again, whatever the age. */
  renew(): void;
}

export type CredentialsResult = { readonly ok: true; readonly credentials: Credentials } | { readonly ok: false; readonly message: string };

export interface CredentialSources extends ConfigOverrides {
  /** `--kubeconfig`. */
  readonly kubeconfig?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where a pod finds its service account; tests give their own. */
  readonly serviceAccountDir?: string;
  readonly homeDir?: string;
}

const rereadEveryMs = 60_000;
const serviceAccountDirDefault = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Finds the credentials. The message of a failure says what was looked for and where. */
export async function loadCredentials(env: Env, sources: CredentialSources = {}): Promise<CredentialsResult> {
  const environment = sources.environment ?? process.env;
  try {
    const named = sources.kubeconfig ? [sources.kubeconfig] : (environment.KUBECONFIG ?? "").split(delimiter).filter((path) => path !== "");
    if (named.length > 0) return await fromKubeconfig(env, named, sources.kubeconfig !== undefined && sources.kubeconfig !== "", sources);
    const accountDir = sources.serviceAccountDir ?? serviceAccountDirDefault;
    if (environment.KUBERNETES_SERVICE_HOST && environment.KUBERNETES_SERVICE_PORT && existsSync(join(accountDir, "token")))
      return { ok: true, credentials: inClusterCredentials(env, environment, accountDir, sources) };
    const home = join(sources.homeDir ?? environment.HOME ?? homedir(), ".kube", "config");
    if (existsSync(home) || sources.server !== undefined) return await fromKubeconfig(env, [home], false, sources);
    return { ok: false, message: `no credentials for a cluster: give --kubeconfig, set KUBECONFIG, run in a pod, or write ${home}` };
  } catch (error) {
    return { ok: false, message: (error as Error).message };
  }
}

async function fromKubeconfig(
  env: Env,
  paths: readonly string[],
  mustExist: boolean,
  sources: CredentialSources,
): Promise<CredentialsResult> {
  const present = paths.filter((path) => existsSync(path));
  if (present.length === 0 && (mustExist || sources.server === undefined))
    return { ok: false, message: `kubeconfig not found: ${paths.join(", ")}` };
  // Loaded late: in a cluster nobody pays for the YAML reader.
  const { chooseContext, mergeKubeconfigs } = await import("./kubeconfig.ts");
  const config = mergeKubeconfigs(present.map((path) => ({ path: resolve(path), text: readFileSync(path, "utf8") })));
  const chosen = chooseContext(config, sources);
  if (!chosen.ok) return { ok: false, message: `${paths.join(", ")}: ${chosen.message}` };
  const { context } = chosen;
  if (!context.cluster.server) return { ok: false, message: `${paths.join(", ")}: the cluster of context "${context.name}" has no server` };
  const common = {
    server: context.cluster.server.replace(/\/+$/, ""),
    namespace: context.namespace,
    context: context.name,
    inCluster: false,
  };
  if (context.user.exec || context.user["auth-provider"]) return { ok: true, credentials: await pluginCredentials(env, context, common) };
  const auth = new Reread(env, () => staticAuth(context));
  auth.get(); // A file that cannot be read is better told now than with the first request.
  return { ok: true, credentials: { ...common, auth: () => auth.get(), renew: () => auth.renew() } };
}

function inClusterCredentials(
  env: Env,
  environment: Readonly<Record<string, string | undefined>>,
  dir: string,
  sources: CredentialSources,
): Credentials {
  const host = environment.KUBERNETES_SERVICE_HOST ?? "";
  const server = sources.server ?? `https://${host.includes(":") ? `[${host}]` : host}:${environment.KUBERNETES_SERVICE_PORT}`;
  const auth = new Reread(env, () => ({
    headers: {
      authorization: `Bearer ${sources.token ?? readFileSync(join(dir, "token"), "utf8").trim()}`,
      ...impersonation(sources.as, sources.asUid, sources.asGroups),
    },
    tls: { ca: readFileSync(join(dir, "ca.crt"), "utf8") },
  }));
  auth.get();
  return {
    server,
    namespace: sources.namespace ?? readOr(join(dir, "namespace"), "default"),
    context: "",
    inCluster: true,
    auth: () => auth.get(),
    renew: () => auth.renew(),
  };
}

/** The same object as long as what was read is the same; a file that cannot be read just now does not take away what was known. */
class Reread {
  private current: Auth | undefined;
  private text = "";
  private readMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly env: Env,
    private readonly read: () => Auth,
  ) {}

  get(): Auth {
    const nowMs = this.env.monotonicMs();
    if (this.current && nowMs - this.readMs < rereadEveryMs) return this.current;
    this.readMs = nowMs;
    try {
      const fresh = this.read();
      const text = JSON.stringify(fresh);
      if (!this.current || text !== this.text) this.current = fresh;
      this.text = text;
    } catch (error) {
      if (!this.current) throw error;
      this.env.log.warn({ error }, "cannot read the credentials again; the last ones stay in use");
    }
    return this.current;
  }

  renew(): void {
    this.readMs = Number.NEGATIVE_INFINITY;
  }
}

function staticAuth({ cluster, user }: ChosenContext): Auth {
  const cert = pem(user["client-certificate-data"], user["client-certificate"]);
  const key = pem(user["client-key-data"], user["client-key"]);
  return {
    headers: { ...authorization(user), ...impersonation(user.as, user["as-uid"], user["as-groups"]) },
    tls: { ...clusterTls(cluster), ...(cert && { cert }), ...(key && { key }) },
    ...(cluster["proxy-url"] && { proxy: cluster["proxy-url"] }),
  };
}

function clusterTls(cluster: ClusterEntry): ClientTls {
  const name = cluster["tls-server-name"] && { serverName: cluster["tls-server-name"] };
  if (cluster["insecure-skip-tls-verify"]) return { rejectUnauthorized: false, ...name };
  const ca = pem(cluster["certificate-authority-data"], cluster["certificate-authority"]);
  return { ...(ca && { ca }), ...name };
}

function authorization(user: UserEntry): Record<string, string> {
  // As in kubectl: the file wins over the inline token, since it is the one that is rotated.
  const token = user.tokenFile ? readFileSync(user.tokenFile, "utf8").trim() : user.token;
  if (token) return { authorization: `Bearer ${token}` };
  if (user.username) return { authorization: `Basic ${Buffer.from(`${user.username}:${user.password ?? ""}`).toString("base64")}` };
  return {};
}

function impersonation(as: string | undefined, uid: string | undefined, groups: readonly string[] = []): Record<string, string> {
  // HTTP would need the header once for each group, and `fetch` joins equal headers into one.
  if (groups.length > 1) throw new Error(`impersonating more than one group is not supported (as-groups: ${groups.join(", ")})`);
  return {
    ...(as && { "impersonate-user": as }),
    ...(uid && { "impersonate-uid": uid }),
    ...(groups[0] && { "impersonate-group": groups[0] }),
  };
}

function pem(data: string | undefined, path: string | undefined): string | undefined {
  if (data) return Buffer.from(data, "base64").toString();
  return path ? readFileSync(path, "utf8") : undefined;
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, "utf8").trim() || fallback;
  } catch {
    return fallback;
  }
}

/**
 * exec plugins and OIDC are left to the library that knows them. It costs 18 MB of memory, so it is loaded for these only.
 */
async function pluginCredentials(env: Env, context: ChosenContext, common: Omit<Credentials, "auth" | "renew">): Promise<Credentials> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const text = JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "cluster", cluster: context.cluster }],
    users: [{ name: "user", user: withExecInfo(context) }],
    contexts: [{ name: "context", context: { cluster: "cluster", user: "user" } }],
    "current-context": "context",
  });
  const ask = async (): Promise<Auth> => {
    const config = new KubeConfig();
    config.loadFromString(text);
    const given: { headers?: Record<string, unknown>; cert?: unknown; key?: unknown } = {};
    await config.applyToHTTPSOptions(given as Parameters<typeof config.applyToHTTPSOptions>[0]);
    const token = given.headers?.Authorization;
    return {
      headers: {
        ...(token !== undefined && { authorization: String(token) }),
        ...impersonation(context.user.as, context.user["as-uid"], context.user["as-groups"]),
      },
      tls: {
        ...clusterTls(context.cluster),
        ...(given.cert !== undefined && { cert: String(given.cert) }),
        ...(given.key !== undefined && { key: String(given.key) }),
      },
      ...(context.cluster["proxy-url"] && { proxy: context.cluster["proxy-url"] }),
    };
  };
  let known: Auth | undefined;
  let askedMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<Auth> | undefined;
  // Tokens of plugins live for minutes at least, and a refused one is asked for again at once.
  const askEveryMs = 5 * 60_000;
  return {
    ...common,
    auth: () => {
      if (known && env.monotonicMs() - askedMs < askEveryMs) return known;
      asking ??= ask()
        .then((auth) => {
          askedMs = env.monotonicMs();
          if (JSON.stringify(auth) !== JSON.stringify(known)) known = auth;
          return known ?? auth;
        })
        .finally(() => {
          asking = undefined;
        });
      return asking;
    },
    renew: () => {
      askedMs = Number.NEGATIVE_INFINITY;
    },
  };
}

/** Plugins that ask for it get the cluster in KUBERNETES_EXEC_INFO; some refuse to work without the variable. */
function withExecInfo({ cluster, user }: ChosenContext): UserEntry {
  if (!user.exec) return user;
  const info = {
    apiVersion: user.exec.apiVersion ?? "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: {
      interactive: false,
      cluster: {
        server: cluster.server,
        "certificate-authority-data": cluster["certificate-authority-data"],
        "tls-server-name": cluster["tls-server-name"],
      },
    },
  };
  return {
    ...user,
    exec: { ...user.exec, env: [...(user.exec.env ?? []), { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify(info) }] },
  };
}
