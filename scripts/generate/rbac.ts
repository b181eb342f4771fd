/** RBAC from what the features say they need: least privilege, and the reason for each rule is the feature that asked for it. */
import type { GateName } from "../../src/api/gates.ts";
import type { Feature, Permission } from "../../src/features/feature.ts";
import { crdNames, webhookConfigurationNames } from "./names.ts";

export interface Names {
  readonly installNamespace: string;
  readonly daemonConfigNamespace: string;
}

export interface RuleObject {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}

const verbOrder = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/** What the manager needs whatever features run: its Lease, its Events, its own Secret, and to keep webhooks and conversion alive. */
export const leaderElection: Permission[] = [
  { group: "coordination.k8s.io", resources: ["leases"], verbs: ["get", "list", "watch", "create", "update", "patch", "delete"] },
  { group: "", resources: ["events"], verbs: ["create", "patch"] },
];
export const webhookSecret: Permission[] = [{ group: "", resources: ["secrets"], verbs: ["get", "list", "watch", "create", "update"] }];
export const managerBase: Permission[] = [
  { group: "", resources: ["events"], verbs: ["create", "patch", "update"] },
  // Its uid tells whether the local record is of this cluster.
  { group: "", resources: ["namespaces"], verbs: ["get"], resourceNames: ["kube-system"] },
];

/** What the node agent needs whatever features run: to tell, and to see its own NodeImage, by which it knows the cluster. */
const daemonBase: Permission[] = [
  { group: "", resources: ["events"], verbs: ["create", "patch"] },
  { group: "apps.kruise.io", resources: ["nodeimages"], verbs: ["get", "list", "watch"] },
];

export function certificates(features: readonly Feature[]): Permission[] {
  return [
    {
      group: "admissionregistration.k8s.io",
      resources: ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
      verbs: ["get", "list", "watch", "update", "patch"],
      resourceNames: webhookConfigurationNames,
    },
    // Discovery says what is served, this says when that changes; only our own are ever written.
    { group: "apiextensions.k8s.io", resources: ["customresourcedefinitions"], verbs: ["get", "list", "watch"] },
    {
      group: "apiextensions.k8s.io",
      resources: ["customresourcedefinitions"],
      verbs: ["update", "patch"],
      resourceNames: crdNames(features),
    },
  ];
}

export function rbacObjects(features: readonly Feature[], names: Names): object[] {
  const manager = features.flatMap((feature) => feature.permissions).filter(({ gate }) => gate === undefined);
  const daemon = features.flatMap((feature) => feature.daemonPermissions ?? []);
  const install = names.installNamespace;
  const config = names.daemonConfigNamespace;
  const managerAccount = { name: "kruise-manager", namespace: install };
  const daemonAccount = { name: "kruise-daemon", namespace: install };
  const inConfig = manager.filter((permission) => permission.namespace === "daemonConfig");
  const inInstall = manager.filter((permission) => permission.namespace === "install");

  return [
    account(managerAccount),
    account(daemonAccount),
    ...clusterRole("kruise-manager-role", "kruise-manager-rolebinding", [...managerBase, ...clusterWide(manager)], managerAccount),
    ...clusterRole("kruise-certs-role", "kruise-certs-rolebinding", certificates(features), managerAccount),
    ...role(install, "kruise-leader-election-role", "kruise-leader-election-rolebinding", leaderElection, managerAccount),
    ...role(install, "kruise-webhook-role", "kruise-webhook-rolebinding", [...webhookSecret, ...inInstall], managerAccount),
    ...(inConfig.length > 0
      ? role(config, "kruise-manager-secret-role", "kruise-manager-secret-rolebinding", inConfig, managerAccount)
      : []),
    ...clusterRole("kruise-daemon-role", "kruise-daemon-rolebinding", [...daemonBase, ...clusterWide(daemon)], daemonAccount),
    ...role(
      config,
      "kruise-daemon-secret-role",
      "kruise-daemon-secret-rolebinding",
      daemon.filter((permission) => permission.namespace === "daemonConfig"),
      daemonAccount,
    ),
  ];
}

/** What is too much to give to everybody, by gate: a role beside the others, for whoever turns that gate on. */
export function gatedRbacObjects(
  features: readonly Feature[],
  { installNamespace }: Pick<Names, "installNamespace">,
): Map<GateName, object[]> {
  const gated = features.flatMap((feature) => feature.permissions).filter(({ gate }) => gate !== undefined);
  const account = { name: "kruise-manager", namespace: installNamespace };
  const byGate = Map.groupBy(gated, ({ gate }) => gate as GateName);
  return new Map(
    [...byGate].map(([gate, permissions]) => {
      const name = `kruise-manager-${kebab(gate)}`;
      return [gate, clusterRole(`${name}-role`, `${name}-rolebinding`, permissions, account)];
    }),
  );
}

/** "DeletionProtectionForCRDCascadingGate" → "deletion-protection-for-crd-cascading" */
export const kebab = (gate: GateName): string =>
  gate
    .replace(/Gate$/, "")
    .replace(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3-$2$4")
    .toLowerCase();

const clusterWide = (permissions: readonly Permission[]) => permissions.filter((permission) => permission.namespace === undefined);

function account(of: { name: string; namespace: string }): object {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: of };
}

function clusterRole(
  name: string,
  bindingName: string,
  permissions: readonly Permission[],
  subject: { name: string; namespace: string },
): object[] {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  return [
    { apiVersion, kind: "ClusterRole", metadata: { name }, rules: rules(permissions) },
    {
      apiVersion,
      kind: "ClusterRoleBinding",
      metadata: { name: bindingName },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "ServiceAccount", ...subject }],
    },
  ];
}

function role(
  namespace: string,
  name: string,
  bindingName: string,
  permissions: readonly Permission[],
  subject: { name: string; namespace: string },
): object[] {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  return [
    { apiVersion, kind: "Role", metadata: { name, namespace }, rules: rules(permissions) },
    {
      apiVersion,
      kind: "RoleBinding",
      metadata: { name: bindingName, namespace },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", ...subject }],
    },
  ];
}

/** One rule a set of verbs, so that the file stays short and a change shows up as one line. */
export function rules(permissions: readonly Permission[]): RuleObject[] {
  const verbsOf = new Map<string, { group: string; resource: string; names: readonly string[] | undefined; verbs: Set<string> }>();
  for (const { group, resources, verbs, resourceNames } of permissions)
    for (const resource of resources) {
      const key = `${group}|${resource}|${resourceNames?.join(",") ?? ""}`;
      const entry = verbsOf.get(key) ?? { group, resource, names: resourceNames, verbs: new Set<string>() };
      for (const verb of verbs) entry.verbs.add(verb);
      verbsOf.set(key, entry);
    }
  const merged = new Map<string, RuleObject>();
  for (const { group, resource, names, verbs } of verbsOf.values()) {
    const sorted = [...verbs].sort((a, b) => verbOrder.indexOf(a) - verbOrder.indexOf(b));
    const key = `${group}|${sorted.join(",")}|${names?.join(",") ?? ""}`;
    const rule = merged.get(key) ?? {
      apiGroups: [group],
      resources: [],
      verbs: sorted,
      ...(names ? { resourceNames: [...names].sort() } : {}),
    };
    rule.resources.push(resource);
    merged.set(key, rule);
  }
  for (const rule of merged.values()) rule.resources.sort();
  return [...merged.values()].sort((a, b) => compare(a.apiGroups[0], b.apiGroups[0]) || compare(a.resources[0], b.resources[0]));
}

const compare = (a = "", b = "") => (a < b ? -1 : a > b ? 1 : 0);
