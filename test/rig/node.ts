/**
 * A real node: kubelet over its own containerd, with its own bridge network and cgroup, so that several fit on one machine. It listens on the address of
 * its bridge only. Images of every registry host come from the rig's registry.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { binary } from "./binaries.ts";
import { type ObjectLike, writeKubeconfig } from "./client.ts";
import type { ControlPlane } from "./control-plane.ts";
import { cniDir, ensureNodePackages } from "./debian.ts";
import { pauseRepository } from "./images.ts";
import { isReady, type NodeState } from "./kwok.ts";
import { cgroupHierarchies, cleanAbandoned, cleanNode, type NodeTraces, writeTraces } from "./node-cleanup.ts";
import { freePort, must, type Process, run, startProcess } from "./process.ts";
import type { Registry } from "./registry.ts";
import { GiveUp, waitFor } from "./wait.ts";

export interface RealNode {
  readonly name: string;
  readonly dir: string;
  /** The CRI socket. */
  readonly containerdAddress: string;
  readonly traces: NodeTraces;
  readonly containerd: Process;
  readonly kubelet: Process;
  /** Ends the kubelet; containers run on, the node becomes NotReady after a while. */
  stopKubelet(): Promise<void>;
  startKubelet(): Promise<void>;
  /** SIGKILL, and a new one: containers run on. `whileDown` runs in between. Done when it answers again. */
  crashContainerd(whileDown?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

const readyTimeoutMs = 60_000;
/** Longest path of a unix socket that the kernel takes. */
const socketPathMax = 107;

export async function startNode(plane: ControlPlane, registry: Registry, name: string): Promise<RealNode> {
  await ensureNodePackages();
  const kubeletPath = await binary("kubelet");
  await cleanAbandoned();
  const dir = join(plane.stateDir, "nodes", name);
  const subnet = freeSubnet();
  const traces: NodeTraces = {
    name,
    dir,
    ownerPid: process.pid,
    containerdAddress: join(dir, "containerd.sock"),
    bridge: `kr${subnet.replaceAll(".", "-")}`,
    cgroup: `/kruiser-${subnet.replaceAll(".", "-")}`,
  };
  if (traces.containerdAddress.length > socketPathMax)
    throw new Error(`${traces.containerdAddress} is too long for a socket: choose a shorter --state-dir`);
  mkdirSync(dir, { recursive: true });
  writeTraces(traces);
  const logs = join(plane.stateDir, "logs");
  let containerd: Process | undefined;
  let kubelet: Process | undefined;
  const stop = async (): Promise<void> => {
    await kubelet?.stop();
    await containerd?.stop();
    await cleanNode(traces);
  };
  try {
    await makeBridge(traces.bridge, `${subnet}.1`);
    for (const hierarchy of cgroupHierarchies()) mkdirSync(join(hierarchy, traces.cgroup), { recursive: true });
    const containerdConfig = await writeContainerdConfig(traces, registry, subnet);
    const socketPath = traces.containerdAddress;
    const startContainerd = async (): Promise<void> => {
      const started = startProcess({
        name: `containerd-${name}`,
        argv: ["containerd", "--config", containerdConfig],
        logPath: join(logs, `${name}-containerd.log`),
      });
      containerd = started;
      await waitFor(
        "containerd to listen",
        async () => {
          if (!started.running()) throw new GiveUp(`${started.name} ended; the end of ${started.logPath}:\n${started.tail()}`);
          return existsSync(socketPath) && (await run(["ctr", "--address", socketPath, "version"])).code === 0;
        },
        { timeoutMs: readyTimeoutMs },
      );
    };
    await startContainerd();
    const kubeletArgv = [kubeletPath, ...(await writeKubeletConfig(plane, traces, `${subnet}.1`))];
    const startKubelet = async (): Promise<void> => {
      kubelet = startProcess({ name: `kubelet-${name}`, argv: kubeletArgv, logPath: join(logs, `${name}-kubelet.log`) });
      await waitFor(
        `node ${name} to be Ready`,
        async () => {
          for (const part of [containerd, kubelet])
            if (part && !part.running()) throw new GiveUp(`${part.name} ended while starting; the end of ${part.logPath}:\n${part.tail()}`);
          const node = await plane.admin.get<ObjectLike & NodeState>(`/api/v1/nodes/${name}`);
          return node && isReady(node) && (node.spec.taints ?? []).length === 0;
        },
        { timeoutMs: readyTimeoutMs },
      );
    };
    await startKubelet();
    return {
      name,
      dir,
      containerdAddress: traces.containerdAddress,
      traces,
      get containerd() {
        if (!containerd) throw new Error(`containerd of ${name} was never started`);
        return containerd;
      },
      get kubelet() {
        if (!kubelet) throw new Error(`the kubelet of ${name} was never started`);
        return kubelet;
      },
      stopKubelet: async () => kubelet?.stop(),
      startKubelet,
      crashContainerd: async (whileDown) => {
        await containerd?.kill();
        await whileDown?.();
        await startContainerd();
      },
      stop,
    };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

/** The first three numbers of a /24 that no interface of this machine is in. */
function freeSubnet(): string {
  const taken = Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map((address) => address.address));
  for (let tries = 0; tries < 200; tries++) {
    const subnet = `10.${200 + Math.floor(Math.random() * 50)}.${Math.floor(Math.random() * 256)}`;
    if (!taken.some((address) => address.startsWith(`${subnet}.`))) return subnet;
  }
  throw new Error("no free network between 10.200.0.0 and 10.249.255.255");
}

/** Made before the kubelet starts, because its address is the node's. */
async function makeBridge(bridge: string, address: string): Promise<void> {
  await must(["ip", "link", "add", bridge, "type", "bridge"]);
  await must(["ip", "address", "add", `${address}/24`, "dev", bridge]);
  await must(["ip", "link", "set", bridge, "up"]);
}

function write(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function writeContainerdConfig(traces: NodeTraces, registry: Registry, subnet: string): Promise<string> {
  const { dir } = traces;
  const cniConfig = {
    cniVersion: "0.4.0",
    name: traces.bridge,
    plugins: [
      {
        type: "bridge",
        bridge: traces.bridge,
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          dataDir: join(dir, "cni-addresses"),
          ranges: [[{ subnet: `${subnet}.0/24` }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
  write(join(dir, "cni", "10-bridge.conflist"), JSON.stringify(cniConfig, null, 2));
  // `server` too: an image that the rig does not have must not be looked for anywhere else.
  write(
    join(dir, "registries", "_default", "hosts.toml"),
    `server = "http://${registry.address}"\n\n[host."http://${registry.address}"]\n  capabilities = ["pull", "resolve"]\n`,
  );
  // overlayfs does not stack on overlayfs, which is what a container's own file system is.
  const snapshotter = (await must(["stat", "-f", "-c", "%T", dir])).trim() === "overlayfs" ? "native" : "overlayfs";
  return write(
    join(dir, "containerd.toml"),
    `version = 2
root = "${dir}/containerd"
state = "${dir}/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "${traces.containerdAddress}"

[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${registry.image(pauseRepository, "v1")}"
  # Without CAP_SYS_RESOURCE no process may lower its score, and every sandbox would fail to start.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  max_concurrent_downloads = 3

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${snapshotter}"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "${dir}/runc"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniDir()}"
    conf_dir = "${dir}/cni"

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${dir}/registries"
`,
  );
}

/** Writes the kubelet's files; answers its flags. */
async function writeKubeletConfig(plane: ControlPlane, traces: NodeTraces, address: string): Promise<string[]> {
  const { dir, name } = traces;
  const config = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: write(join(dir, "ca.crt"), plane.caPem) },
    },
    authorization: { mode: "Webhook" },
    address,
    port: 10_250,
    healthzPort: await freePort(),
    containerRuntimeEndpoint: `unix://${traces.containerdAddress}`,
    podLogsDir: join(dir, "pod-logs"),
    cgroupDriver: "cgroupfs",
    cgroupRoot: traces.cgroup,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    oomScoreAdj: 0,
    clusterDomain: "cluster.local",
    clusterDNS: ["10.96.0.10"],
    maxPods: 100,
    serializeImagePulls: false,
    // A full disk of this machine is not the node's business.
    evictionHard: { "memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%" },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    ...(existsSync("/dev/kmsg") ? {} : { featureGates: { KubeletInUserNamespace: true } }),
  };
  const credentials = await plane.authority.client(`system:node:${name}`, ["system:nodes"]);
  const kubeconfig = writeKubeconfig(join(dir, "kubelet.kubeconfig"), { url: plane.url, caPem: plane.caPem }, credentials);
  return [
    `--config=${write(join(dir, "kubelet.json"), JSON.stringify(config, null, 2))}`,
    `--kubeconfig=${kubeconfig}`,
    `--root-dir=${join(dir, "kubelet")}`,
    `--cert-dir=${join(dir, "kubelet-pki")}`,
    `--hostname-override=${name}`,
    `--node-ip=${address}`,
    "--node-labels=type=real",
    "--v=2",
  ];
}
