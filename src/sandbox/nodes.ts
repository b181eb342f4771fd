/** The nodes that a sandbox starts with. */
import type { Fields } from "../kube/json.ts";
import { formatTime } from "../kube/time.ts";

export function nodeObject(index: number, nowMs: number, version: string): Fields {
  const name = `node-${index}`;
  const zone = `zone-${"abc"[index % 3]}`;
  const ready = (type: string, status: string, reason: string, message: string): Fields => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: formatTime(nowMs),
    lastTransitionTime: formatTime(nowMs),
  });
  const capacity = { cpu: "16", memory: "64Gi", pods: "250", "ephemeral-storage": "100Gi" };
  return {
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": "region-a",
      },
    },
    spec: { podCIDR: `10.244.${index}.0/24` },
    status: {
      capacity,
      allocatable: capacity,
      conditions: [
        ready("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ready("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ready("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ready("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
      ],
      addresses: [
        { type: "InternalIP", address: `172.16.0.${index + 10}` },
        { type: "Hostname", address: name },
      ],
      nodeInfo: {
        machineID: name,
        systemUUID: name,
        bootID: name,
        kernelVersion: "sandbox",
        osImage: "Kruiser sandbox",
        containerRuntimeVersion: "sandbox://1",
        kubeletVersion: version,
        kubeProxyVersion: version,
        operatingSystem: "linux",
        architecture: "amd64",
      },
    },
  };
}
