/** `kruise sandbox` without its flags: the cluster, its port, its kubeconfig, and the manager in it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "../admission/certificates.ts";
import type { Env } from "../env/env.ts";
import { httpFetch } from "../env/network.ts";
import { type ImageFaults, timing } from "./kubelet/containers.ts";
import { installKruise, managerHost, managerService, startManagerInside } from "./manager-inside.ts";
import { createSandbox, type Sandbox } from "./sandbox.ts";
import { type SandboxServer, type ServerOptions, serveSandbox } from "./server.ts";
import { Keep } from "./storage/keep.ts";
import { webhooksInside } from "./webhooks-inside.ts";

export interface RunOptions {
  readonly hostname: string;
  readonly port: number;
  /** Undefined: nothing is kept. */
  readonly dataDir: string | undefined;
  readonly nodes: number;
  /** How many times faster than a patient node containers start and stop. */
  readonly speed: number;
  readonly imageFaults?: ImageFaults;
  readonly fatal: (message: string) => void;
}

export interface RunningSandbox {
  readonly sandbox: Sandbox;
  readonly url: string;
  readonly kubeconfigPath: string;
  stop(): Promise<void>;
}

/** Resolves when kubectl may be used and the manager runs. @throws Error when the port is taken or the directory cannot be used */
export async function runSandbox(env: Env, options: RunOptions): Promise<RunningSandbox> {
  const stateDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "kruise-sandbox-"));
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  try {
    return await runIn(env, options, stateDir);
  } catch (error) {
    if (options.dataDir === undefined) rmSync(stateDir, { recursive: true, force: true });
    throw error;
  }
}

async function runIn(env: Env, options: RunOptions, stateDir: string): Promise<RunningSandbox> {
  const keep = options.dataDir === undefined ? undefined : new Keep(env, join(stateDir, "sandbox.db"));
  const { certificates, token } = await identityOf(env, options.hostname, keep);
  const webhooks = webhooksInside(managerService, httpFetch);
  const kept = keep?.read();
  const sandbox = createSandbox(env, {
    nodes: options.nodes,
    timing: faster(options.speed),
    fetch: webhooks.fetch,
    serviceUrl: webhooks.serviceUrl,
    caCertificate: certificates.caCertificate,
    ...(options.imageFaults === undefined ? {} : { imageFaults: options.imageFaults }),
    ...(kept === undefined ? {} : { kept }),
  });
  keep?.follow(sandbox.store);
  await sandbox.start();
  const tls = { cert: certificates.certificate, key: certificates.key };
  const server = listen(sandbox, options, tls, token, keep);
  const url = `https://${reachedBy(options.hostname)}:${server.port}`;
  const kubeconfigPath = join(stateDir, "kubeconfig");
  writeFileSync(kubeconfigPath, kubeconfig(url, certificates.caCertificate, token), { mode: 0o600 });
  await installKruise(env, sandbox, certificates);
  const manager = await startManagerInside(env, { sandbox, webhooks, stateDir, fatal: options.fatal });
  return {
    sandbox,
    url,
    kubeconfigPath,
    async stop() {
      await manager.stop();
      await server.stop();
      keep?.close();
      if (options.dataDir === undefined) rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** Taken up again it has the port it had, where that is free: kubeconfigs stay good. */
function listen(sandbox: Sandbox, options: RunOptions, tls: ServerOptions["tls"], token: string, keep: Keep | undefined): SandboxServer {
  const { hostname } = options;
  const before = Number(keep?.fact("port") ?? 0);
  const serveAt = (port: number) => serveSandbox(sandbox, { hostname, port, tls, token });
  let server: SandboxServer | undefined;
  if (options.port === 0 && before !== 0) {
    try {
      server = serveAt(before);
    } catch {
      // Somebody else has it now.
    }
  }
  server ??= serveAt(options.port);
  keep?.setFact("port", String(server.port));
  return server;
}

/** Who listens everywhere is reached on loopback from here; IPv6 addresses stand in brackets. */
function reachedBy(hostname: string): string {
  if (hostname === "0.0.0.0" || hostname === "::") return "127.0.0.1";
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** A sandbox that is taken up again keeps its authority and token: kubeconfigs stay good. */
async function identityOf(env: Env, hostname: string, keep: Keep | undefined): Promise<{ certificates: Certificates; token: string }> {
  const known = keep?.fact("identity");
  if (known !== undefined) {
    const identity = JSON.parse(known) as { certificates: Certificates; token: string; hostname: string };
    if (identity.hostname === hostname) return identity;
  }
  const { issueIdentity } = await import("./identity.ts");
  const identity = {
    certificates: await issueIdentity([...new Set([hostname, "127.0.0.1", "localhost", managerHost])], env.nowMs()),
    token: env.uuid(),
    hostname,
  };
  keep?.setFact("identity", JSON.stringify(identity));
  return identity;
}

function faster(speed: number): typeof timing {
  return Object.fromEntries(Object.entries(timing).map(([name, ms]) => [name, ms / speed])) as unknown as typeof timing;
}

function kubeconfig(server: string, caPem: string, token: string): string {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "kruise-sandbox", cluster: { server, "certificate-authority-data": Buffer.from(caPem).toString("base64") } }],
    users: [{ name: "kruise-sandbox", user: { token } }],
    contexts: [{ name: "kruise-sandbox", context: { cluster: "kruise-sandbox", user: "kruise-sandbox", namespace: "default" } }],
    "current-context": "kruise-sandbox",
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
