/** Every flag of the daemon, with OpenKruise's names, types and defaults. Names stay even where a flag has no use here. */
import type { Flag } from "../process/flags.ts";
import { loggingFlags } from "../process/logging-flags.ts";

export const daemonFlags = {
  mode: { type: "string", default: "daemon", help: "what this process is: manager or daemon" },
  addr: { type: "string", default: ":10221", help: "address of /healthz and /metrics, plain HTTP" },
  "enable-pprof": { type: "boolean", default: true, help: "accepted for compatibility: there are no profiles to serve" },
  "pprof-addr": { type: "string", default: ":10222", help: "accepted for compatibility" },
  "socket-file": {
    type: "string",
    default: "",
    help: "socket of the container runtime, relative to --socket-dir (k3s/containerd/containerd.sock) or as an absolute path, this process's or the host's; no other is tried then",
  },
  "socket-dir": { type: "string", default: "/hostvarrun", help: "where the host's /var/run, or the runtime's folder in it, is mounted" },
  "max-workers-for-pull-image": { type: "integer", default: -1, help: "images pulled at once; 0 or less: no limit" },
  "image-disk-free-percent-min": {
    type: "integer",
    default: 5,
    help: "an image is only pulled while so much of the image disk is free; 0: always",
  },
  "crr-stopped-is-succeeded": {
    type: "boolean",
    default: false,
    help: "a ContainerRecreateRequest counts a container that it stopped as Succeeded where the pod's restartPolicy starts no other; else it waits for one until its deadline",
  },
  "plugin-config-file": {
    type: "string",
    default: "/kruise/CredentialProviderPlugin.yaml",
    help: "kubelet's CredentialProviderConfig: where else registry credentials come from",
  },
  "plugin-bin-dir": { type: "string", default: "/kruise/plugins", help: "directory of the credential provider plugins" },
  "rest-config-qps": { type: "integer", default: 0, help: "requests to the API server per second; 0: the server's flow control leads" },
  "rest-config-burst": { type: "integer", default: 0, help: "requests at once before --rest-config-qps applies" },
  "feature-gates": { type: "string", default: "", help: "A=true,B=false" },
  kubeconfig: { type: "string", default: "", help: "else $KUBECONFIG, in-cluster credentials, ~/.kube/config" },
  "expectation-timeout": { type: "duration", default: "5m", help: "accepted for compatibility", ignored: true },
  "record-path": {
    type: "string",
    default: "auto",
    help: "file of the local record (SQLite); auto: /var/lib/kruise where that can be written, else none; memory: keep none",
  },
  ...loggingFlags,
} as const satisfies Record<string, Flag>;
