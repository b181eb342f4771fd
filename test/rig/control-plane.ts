/**
 * A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, each a child process with its own log file.
 * Everything lives under one state directory; ports are free ones, so several control planes fit on one machine.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary } from "./binaries.ts";
import { ApiClient, type ObjectLike, writeKubeconfig } from "./client.ts";
import { type Authority, createAuthority, createSigningKey, writePair, writePem } from "./pki.ts";
import { freePort, type Process, startProcess } from "./process.ts";
import { GiveUp, waitFor } from "./wait.ts";

export interface ControlPlaneOptions {
  readonly stateDir: string;
  /** Where the API server writes one JSON line per request (level Metadata). Absent: no audit log. */
  readonly auditPath?: string;
  /** More flags, e.g. `--feature-gates=…`. A later flag wins over an earlier one. */
  readonly apiserverFlags?: readonly string[];
  readonly controllerManagerFlags?: readonly string[];
}

export interface ControlPlane {
  readonly stateDir: string;
  readonly url: string;
  readonly caPem: string;
  readonly authority: Authority;
  /** A member of system:masters. */
  readonly admin: ApiClient;
  readonly kubeconfigPath: string;
  readonly auditPath: string | undefined;
  readonly processes: readonly Process[];
  /** A fresh token of an existing service account, good for a day. */
  mintToken(namespace: string, serviceAccount: string): Promise<string>;
  /** A kubeconfig with such a token: what a pod with that service account would be allowed. */
  kubeconfigOf(namespace: string, serviceAccount: string): Promise<string>;
  /** Stops the API server and starts it again at the same address. `whileDown` runs in between. */
  restartApiserver(whileDown?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

const readyTimeoutMs = 60_000;
const tokenSeconds = 24 * 60 * 60;
const serviceRange = "10.96.0.0/16";

export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const stateDir = options.stateDir;
  const [etcdPath, apiserverPath, controllerManagerPath, schedulerPath] = [
    await binary("etcd"),
    await binary("kube-apiserver"),
    await binary("kube-controller-manager"),
    await binary("kube-scheduler"),
  ];
  mkdirSync(stateDir, { recursive: true });
  const [etcdPort, etcdPeerPort, port, controllerManagerPort, schedulerPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const url = `https://127.0.0.1:${port}`;
  const authority = await createAuthority("rig");
  const files = await writeCredentials(stateDir, authority, url);
  const admin = new ApiClient(url, authority.certPem, files.adminPair);
  const running = new Map<string, Process>();
  const start = (name: string, argv: readonly string[]): void => {
    running.set(name, startProcess({ name, argv, logPath: join(stateDir, "logs", `${name}.log`) }));
  };
  const stop = async (): Promise<void> => {
    // Clients before servers, so that no log fills with refused connections.
    for (const name of ["kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"]) await running.get(name)?.stop();
  };
  const startApiserver = () =>
    start("kube-apiserver", [
      apiserverPath,
      `--etcd-servers=http://127.0.0.1:${etcdPort}`,
      "--bind-address=127.0.0.1",
      "--advertise-address=127.0.0.1",
      `--secure-port=${port}`,
      `--tls-cert-file=${files.server.certPath}`,
      `--tls-private-key-file=${files.server.keyPath}`,
      `--client-ca-file=${files.caPath}`,
      `--kubelet-client-certificate=${files.kubeletClient.certPath}`,
      `--kubelet-client-key=${files.kubeletClient.keyPath}`,
      // Node names are in no DNS here.
      "--kubelet-preferred-address-types=InternalIP",
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-signing-key-file=${files.signingKeyPath}`,
      `--service-account-key-file=${files.signingPublicPath}`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--allow-privileged=true",
      `--service-cluster-ip-range=${serviceRange}`,
      "--endpoint-reconciler-type=none",
      "--profiling=false",
      ...auditFlags(stateDir, options.auditPath),
      ...(options.apiserverFlags ?? []),
    ]);
  const waitUntilServing = () =>
    waitFor(
      "kube-apiserver to be ready",
      async () => alive(running.get("kube-apiserver")) && (await admin.request("GET", "/readyz")).status === 200,
      {
        timeoutMs: readyTimeoutMs,
      },
    );

  try {
    start("etcd", [
      etcdPath,
      "--name=rig",
      `--data-dir=${join(stateDir, "etcd")}`,
      `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
      `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
      `--listen-peer-urls=http://127.0.0.1:${etcdPeerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${etcdPeerPort}`,
      `--initial-cluster=rig=http://127.0.0.1:${etcdPeerPort}`,
      "--unsafe-no-fsync",
      "--quota-backend-bytes=8589934592",
      "--log-level=warn",
    ]);
    startApiserver();
    await waitUntilServing();
    start("kube-controller-manager", [
      controllerManagerPath,
      `--kubeconfig=${files.controllerManagerConfig}`,
      "--controllers=*,-node-ipam-controller",
      "--use-service-account-credentials=true",
      `--service-account-private-key-file=${files.signingKeyPath}`,
      `--root-ca-file=${files.caPath}`,
      `--cluster-signing-cert-file=${files.caPath}`,
      `--cluster-signing-key-file=${files.caKeyPath}`,
      `--service-cluster-ip-range=${serviceRange}`,
      // Claims of the default StorageClass get a directory, so that pods with volume claims can be scheduled.
      "--enable-hostpath-provisioner=true",
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
      `--secure-port=${controllerManagerPort}`,
      "--kube-api-qps=500",
      "--kube-api-burst=1000",
      ...(options.controllerManagerFlags ?? []),
    ]);
    start("kube-scheduler", [
      schedulerPath,
      `--config=${writeSchedulerConfig(stateDir, files.schedulerConfig)}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${schedulerPort}`,
    ]);
    await admin.must("POST", "/apis/storage.k8s.io/v1/storageclasses", defaultStorageClass);
    await waitFor(
      "the default service account",
      async () => alive(running.get("kube-controller-manager")) && (await admin.get("/api/v1/namespaces/default/serviceaccounts/default")),
      { timeoutMs: readyTimeoutMs },
    );
    await waitFor("kube-scheduler to be healthy", async () => alive(running.get("kube-scheduler")) && (await healthy(schedulerPort)), {
      timeoutMs: readyTimeoutMs,
    });
  } catch (error) {
    await stop();
    throw error;
  }

  const mintToken = async (namespace: string, serviceAccount: string): Promise<string> => {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: tokenSeconds } };
    return (await admin.must<{ status: { token: string } }>("POST", path, request)).status.token;
  };
  return {
    stateDir,
    url,
    caPem: authority.certPem,
    authority,
    admin,
    kubeconfigPath: files.adminConfig,
    auditPath: options.auditPath,
    get processes() {
      return [...running.values()];
    },
    mintToken,
    kubeconfigOf: async (namespace, serviceAccount) =>
      writeKubeconfig(
        join(stateDir, "kubeconfigs", `${namespace}.${serviceAccount}.json`),
        { url, caPem: authority.certPem },
        { token: await mintToken(namespace, serviceAccount) },
      ),
    restartApiserver: async (whileDown) => {
      // Open watches would hold up an orderly shutdown for a minute.
      await running.get("kube-apiserver")?.stop(1_500);
      await whileDown?.();
      startApiserver();
      await waitUntilServing();
    },
    stop,
  };
}

/** True while the process runs; a process that ended will not become ready any more, and its log says why. */
function alive(process: Process | undefined): boolean {
  if (process === undefined || process.running()) return true;
  throw new GiveUp(`${process.name} ended while starting; the end of ${process.logPath}:\n${process.tail()}`);
}

async function healthy(port: number): Promise<boolean> {
  const response = await fetch(`https://127.0.0.1:${port}/healthz`, {
    tls: { rejectUnauthorized: false },
    signal: AbortSignal.timeout(2_000),
  });
  return response.ok;
}

async function writeCredentials(stateDir: string, authority: Authority, url: string) {
  const dir = join(stateDir, "pki");
  const cluster = { url, caPem: authority.certPem };
  const signing = await createSigningKey();
  const adminPair = await authority.client("kubernetes-admin", ["system:masters"]);
  const config = async (name: string, user: string) =>
    writeKubeconfig(join(stateDir, "kubeconfigs", `${name}.json`), cluster, await authority.client(user));
  const serverNames = [
    "localhost",
    "127.0.0.1",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
  ];
  return {
    adminPair,
    caPath: writePem(dir, "ca.crt", authority.certPem),
    caKeyPath: writePem(dir, "ca.key", authority.keyPem),
    signingKeyPath: writePem(dir, "service-account.key", signing.keyPem),
    signingPublicPath: writePem(dir, "service-account.pub", signing.publicPem),
    server: writePair(dir, "apiserver", await authority.server("kube-apiserver", serverNames)),
    kubeletClient: writePair(dir, "apiserver-kubelet-client", await authority.client("kube-apiserver-kubelet-client", ["system:masters"])),
    adminConfig: writeKubeconfig(join(stateDir, "kubeconfig"), cluster, adminPair),
    controllerManagerConfig: await config("kube-controller-manager", "system:kube-controller-manager"),
    schedulerConfig: await config("kube-scheduler", "system:kube-scheduler"),
  };
}

function writeSchedulerConfig(stateDir: string, kubeconfig: string): string {
  const path = join(stateDir, "scheduler.json");
  const config = {
    apiVersion: "kubescheduler.config.k8s.io/v1",
    kind: "KubeSchedulerConfiguration",
    // The default of 50 requests a second would make the scheduler what a benchmark measures.
    clientConnection: { kubeconfig, qps: 500, burst: 1_000 },
    leaderElection: { leaderElect: false },
  };
  writeFileSync(path, JSON.stringify(config, null, 2));
  return path;
}

/** One line per finished request: who, which verb, what; enough to count requests by user and verb. */
function auditFlags(stateDir: string, auditPath: string | undefined): string[] {
  if (auditPath === undefined) return [];
  const policyPath = join(stateDir, "audit-policy.json");
  const policy = {
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    omitStages: ["RequestReceived", "ResponseStarted"],
    omitManagedFields: true,
    rules: [{ level: "None", nonResourceURLs: ["/healthz*", "/readyz*", "/livez*", "/version"] }, { level: "Metadata" }],
  };
  writeFileSync(policyPath, JSON.stringify(policy));
  return [`--audit-policy-file=${policyPath}`, `--audit-log-path=${auditPath}`, "--audit-log-format=json", "--audit-log-maxsize=2000"];
}

/** Requests counted per user and verb, from an audit log. Watches count when they end. */
export function countAudited(auditPath: string): Map<string, Map<string, number>> {
  const counts = new Map<string, Map<string, number>>();
  for (const line of readFileSync(auditPath, "utf8").split("\n")) {
    if (line === "") continue;
    const { user, verb } = JSON.parse(line) as { user: { username: string }; verb: string };
    const verbs = counts.get(user.username) ?? new Map<string, number>();
    verbs.set(verb, (verbs.get(verb) ?? 0) + 1);
    counts.set(user.username, verbs);
  }
  return counts;
}

const defaultStorageClass: ObjectLike & Record<string, unknown> = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
  provisioner: "kubernetes.io/host-path",
  reclaimPolicy: "Delete",
  volumeBindingMode: "Immediate",
  allowVolumeExpansion: true,
};
