/** Simulated nodes: kwok plays the kubelet for nodes that exist only as objects. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary } from "./binaries.ts";
import { type ObjectLike, writeKubeconfig } from "./client.ts";
import type { ControlPlane } from "./control-plane.ts";
import { kwokConfig } from "./kwok-stages.ts";
import { type Process, startProcess } from "./process.ts";
import { GiveUp, waitFor } from "./wait.ts";

export interface Kwok {
  readonly nodeNames: readonly string[];
  readonly process: Process;
  /** Adds more nodes, named on from the last one; answers their names once they are Ready. */
  addNodes(count: number): Promise<readonly string[]>;
  stop(): Promise<void>;
}

const zones = ["zone-a", "zone-b", "zone-c"];
const readyTimeoutMs = 60_000;

export async function startKwok(plane: ControlPlane, nodeCount: number): Promise<Kwok> {
  const path = await binary("kwok");
  const configPath = join(plane.stateDir, "kwok.yaml");
  writeFileSync(configPath, kwokConfig());
  // A user of its own, so that an audit log tells its requests from the test's.
  const kubeconfigPath = writeKubeconfig(
    join(plane.stateDir, "kubeconfigs", "kwok.json"),
    plane,
    await plane.authority.client("kwok", ["system:masters"]),
  );
  const process = startProcess({
    name: "kwok",
    argv: [
      path,
      `--kubeconfig=${kubeconfigPath}`,
      `--config=${configPath}`,
      "--manage-all-nodes=false",
      "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
      "--node-ip=10.255.0.1",
      "--cidr=10.128.0.0/10",
      "--node-lease-duration-seconds=40",
    ],
    logPath: join(plane.stateDir, "logs", "kwok.log"),
  });
  const nodeNames: string[] = [];
  const addNodes = async (count: number): Promise<readonly string[]> => {
    const names = Array.from({ length: count }, (_, index) => `kwok-${nodeNames.length + index}`);
    for (const [index, name] of names.entries()) await plane.admin.create("/api/v1/nodes", nodeObject(name, nodeNames.length + index));
    nodeNames.push(...names);
    await waitFor(
      `${count} kwok nodes to be Ready`,
      async () => {
        if (!process.running()) throw new GiveUp(`kwok ended while starting; the end of ${process.logPath}:\n${process.tail()}`);
        const nodes = await plane.admin.list<ObjectLike & NodeState>("/api/v1/nodes?labelSelector=type%3Dkwok");
        return names.every((name) =>
          nodes.some((node) => node.metadata.name === name && isReady(node) && (node.spec.taints ?? []).length === 0),
        );
      },
      { timeoutMs: readyTimeoutMs },
    );
    return names;
  };
  try {
    await addNodes(nodeCount);
  } catch (error) {
    await process.stop();
    throw error;
  }
  return { nodeNames, process, addNodes, stop: () => process.stop() };
}

/** What tells whether a node takes pods. */
export interface NodeState {
  readonly spec: { readonly taints?: readonly unknown[] };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** Ready by its own word; a taint of the control plane's may still keep pods away for a moment. */
export function isReady(object: { readonly status?: NodeState["status"] }): boolean {
  return object.status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false;
}

/** Nodes are spread over three zones, as topology-aware workloads need several. */
function nodeObject(name: string, index: number): Record<string, unknown> {
  const room = { cpu: "64", memory: "256Gi", "ephemeral-storage": "1Ti", pods: "2000" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      annotations: { "kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0" },
      labels: {
        type: "kwok",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/region": "region-1",
        "topology.kubernetes.io/zone": zones[index % zones.length],
        "node-role.kubernetes.io/agent": "",
      },
    },
    spec: {},
    status: { allocatable: room, capacity: room, phase: "Running" },
  };
}
