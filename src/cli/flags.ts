/** Flags that all commands for people share, with kubectl's names. */
import type { Flag } from "../process/flags.ts";

export const commonFlags = {
  kubeconfig: { type: "string", default: "", help: "else $KUBECONFIG, in-cluster credentials, ~/.kube/config" },
  context: { type: "string", default: "", help: "context of the kubeconfig" },
  namespace: { type: "string", default: "", help: "namespace; default: that of the context" },
  n: { type: "string", default: "", help: "short for --namespace" },
  output: { type: "string", default: "", help: "json for machines" },
  o: { type: "string", default: "", help: "short for --output" },
  "feature-gates": { type: "string", default: "", help: "the gates that the manager runs with, where they matter for the answer" },
  "request-timeout": { type: "duration", default: "15s", help: "how long to wait for the API server" },
} as const satisfies Record<string, Flag>;
