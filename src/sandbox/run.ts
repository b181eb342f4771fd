/** `kruise sandbox` without its flags: the cluster, its port, its kubeconfig, and the manager in it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "../admission/certificates.ts";
import type { Env } from "../env/env.ts";
import { httpFetch } from "../env/network.ts";
import { timing } from "./kubelet/containers.ts";
import { installKruise, managerHost, managerService, startManagerInside } from "./manager-inside.ts";
import { createSandbox, type Sandbox } from "./sandbox.ts";
import { serveSandbox } from "./server.ts";
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
    ...(kept === undefined ? {} : { kept }),
  });
  keep?.follow(sandbox.store);
  await sandbox.start();
  const tls = { cert: certificates.certificate, key: certificates.key };
  const server = serveSandbox(sandbox, { hostname: options.hostname, port: options.port, tls, token });
  const url = `https://${options.hostname}:${server.port}`;
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

/** A sandbox that is taken up again keeps its authority and token: kubeconfigs stay good. */
async function identityOf(env: Env, hostname: string, keep: Keep | undefined): Promise<{ certificates: Certificates; token: string }> {
  const known = keep?.fact("identity");
  if (known !== undefined) {
    const identity = JSON.parse(known) as { certificates: Certificates; token: string; hostname: string };
    if (identity.hostname === hostname) return identity;
  }
  const { issueIdentity } = await import("./identity.ts");
  const identity = { certificates: await issueIdentity([hostname, "localhost", managerHost], env.nowMs()), token: env.uuid(), hostname };
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
