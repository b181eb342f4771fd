/** The flags that every command takes, and those that several share, with kubectl's names. */
import type { CliFlags } from "./args.ts";

const accepted = (kind: "string" | "boolean", more: object = {}) => ({
  kind,
  help: "accepted for compatibility",
  hidden: true as const,
  ...more,
});

export const globalFlags = {
  kubeconfig: { kind: "string", help: "else $KUBECONFIG, in-cluster credentials, ~/.kube/config" },
  context: { kind: "string", help: "context of the kubeconfig" },
  cluster: { kind: "string", help: "cluster of the kubeconfig" },
  user: { kind: "string", help: "user of the kubeconfig" },
  namespace: { kind: "string", short: "n", help: "namespace; default: that of the context" },
  server: { kind: "string", short: "s", help: "address of the API server" },
  token: { kind: "string", help: "bearer token" },
  as: { kind: "string", help: "user to impersonate" },
  "as-uid": { kind: "string", help: "UID to impersonate" },
  "as-group": { kind: "array", help: "group to impersonate" },
  "certificate-authority": { kind: "string", help: "file with the authority of the server's certificate" },
  "client-certificate": { kind: "string", help: "file with a client certificate" },
  "client-key": { kind: "string", help: "file with its key" },
  "insecure-skip-tls-verify": { kind: "boolean", help: "do not check the server's certificate" },
  "tls-server-name": { kind: "string", help: "name to check the server's certificate for" },
  "request-timeout": { kind: "duration", default: "0s", help: "how long to wait for one answer; 0: no limit of our own" },
  "error-format": { kind: "string", help: "json: one line with reason, code, message" },
  v: { kind: "integer", short: "v", help: "6 and more: show each request" },
  username: accepted("string"),
  password: accepted("string"),
  "cache-dir": accepted("string"),
  "disable-compression": accepted("boolean"),
  "match-server-version": accepted("boolean"),
  "warnings-as-errors": { kind: "boolean", help: "warnings of the server are a failure" },
  profile: accepted("string"),
  "profile-output": accepted("string"),
} as const satisfies CliFlags;

export const fileFlags = {
  filename: { kind: "list", short: "f", help: "files with the objects; - is the standard input" },
  kustomize: { kind: "string", short: "k", help: "directory of a kustomization, built by kubectl" },
  recursive: { kind: "boolean", short: "R", help: "directories of -f with all below" },
} as const satisfies CliFlags;

export const printFlags = {
  output: { kind: "string", short: "o", help: "json, yaml or name" },
  "show-managed-fields": { kind: "boolean", help: "with managedFields" },
  template: accepted("string"),
  "allow-missing-template-keys": accepted("boolean"),
} as const satisfies CliFlags;

export const dryRunFlags = {
  "dry-run": { kind: "string", default: "none", bare: "client", help: "none, client or server" },
  "field-manager": { kind: "string", help: "who the fields belong to; default kubectl-kruise" },
} as const satisfies CliFlags;

export const recordFlags = {
  record: { kind: "boolean", help: "write this command line into annotation kubernetes.io/change-cause", hidden: true },
} as const satisfies CliFlags;

export const selectFlags = {
  selector: { kind: "string", short: "l", help: "label selector" },
  all: { kind: "boolean", help: "all objects of the type in the namespace" },
} as const satisfies CliFlags;
