/** RBAC as templates: the rules of the features that the gates leave on. */
import type { Feature, Permission } from "../../../src/features/feature.ts";
import { certificates, leaderElection, managerBase, type RuleObject, rules, webhookSecret } from "../rbac.ts";
import { gateCondition, gatesNeeded } from "./gates.ts";
import { banner, hole, labelsHole, printTemplate, when } from "./holes.ts";

const install = hole(".Values.installation.namespace");
const config = hole(".Values.installation.daemonConfigNamespace");
const api = "rbac.authorization.k8s.io/v1";
const daemonOn = 'eq (include "kruise.daemonEnabled" .) "true"';

interface RoleText {
  readonly name: string;
  readonly binding: string;
  readonly account: "kruise-manager" | "kruise-daemon";
  /** Absent: cluster-wide. */
  readonly namespace?: string;
  /** Blocks of rules, each under its conditions. */
  readonly blocks: readonly { readonly conditions: readonly string[]; readonly permissions: readonly Permission[] }[];
  readonly conditions: readonly string[];
}

export function rbacTemplate(features: readonly Feature[]): string {
  const of = (pick: (feature: Feature) => readonly Permission[]) => blocksOf(features, pick);
  const where = (namespace: Permission["namespace"]) => (permission: Permission) => permission.namespace === namespace;
  const manager = (namespace: Permission["namespace"]) => of((feature) => feature.permissions.filter(where(namespace)));
  const daemon = (namespace: Permission["namespace"]) => of((feature) => (feature.daemonPermissions ?? []).filter(where(namespace)));
  const always = (permissions: readonly Permission[]) => ({ conditions: [], permissions });
  const roles: RoleText[] = [
    {
      name: "kruise-manager-role",
      binding: "kruise-manager-rolebinding",
      account: "kruise-manager",
      blocks: merged([always(managerBase), ...manager(undefined)]),
      conditions: [],
    },
    {
      name: "kruise-certs-role",
      binding: "kruise-certs-rolebinding",
      account: "kruise-manager",
      blocks: [always(certificates(features))],
      conditions: [],
    },
    {
      name: "kruise-leader-election-role",
      binding: "kruise-leader-election-rolebinding",
      account: "kruise-manager",
      namespace: install,
      blocks: [always(leaderElection)],
      conditions: [],
    },
    {
      name: "kruise-webhook-role",
      binding: "kruise-webhook-rolebinding",
      account: "kruise-manager",
      namespace: install,
      blocks: merged([always(webhookSecret), ...manager("install")]),
      conditions: [],
    },
    {
      name: "kruise-manager-secret-role",
      binding: "kruise-manager-secret-rolebinding",
      account: "kruise-manager",
      namespace: config,
      blocks: merged(manager("daemonConfig")),
      conditions: [],
    },
    {
      name: "kruise-daemon-role",
      binding: "kruise-daemon-rolebinding",
      account: "kruise-daemon",
      blocks: merged(daemon(undefined)),
      conditions: [daemonOn],
    },
    {
      name: "kruise-daemon-secret-role",
      binding: "kruise-daemon-secret-rolebinding",
      account: "kruise-daemon",
      namespace: config,
      blocks: merged(daemon("daemonConfig")),
      conditions: [daemonOn],
    },
  ];
  return banner + roles.map((role) => when(role.conditions, roleText(role))).join("");
}

/** Read by people and by `kubectl auth`: who may see and edit a cluster's workloads may do so with ours. */
export function aggregateTemplate(features: readonly Feature[]): string {
  const kinds = features.flatMap((feature) => feature.kinds ?? []).map(({ kind }) => kind);
  const groups = [...new Set(kinds.map(({ group }) => group))].sort();
  // What reaches into every namespace is for administrators.
  const forAdmins = (plural: string) => plural === "resourcedistributions";
  const byGroup = (verbs: string[], pick: (plural: string) => boolean, suffixes: readonly string[]): RuleObject[] =>
    groups.flatMap((group) => {
      const resources = kinds
        .filter((kind) => kind.group === group && pick(kind.plural))
        .flatMap(({ plural }) => suffixes.map((suffix) => plural + suffix));
      return resources.length === 0 ? [] : [{ apiGroups: [group], resources: resources.sort(), verbs }];
    });
  const role = (to: "view" | "edit" | "admin", list: RuleObject[]) =>
    list.length === 0
      ? ""
      : `---\n${printTemplate({
          apiVersion: api,
          kind: "ClusterRole",
          metadata: { name: `aggregate-kruise-${to}`, labels: hole(`include "kruise.aggregateLabels" (list . "${to}") | nindent 4`) },
          rules: list,
        })}`;
  const changing = ["create", "delete", "deletecollection", "patch", "update"];
  return (
    banner +
    role(
      "view",
      byGroup(["get", "list", "watch"], (plural) => !forAdmins(plural), ["", "/status"]),
    ) +
    role(
      "edit",
      byGroup(changing, (plural) => !forAdmins(plural), [""]),
    ) +
    role("admin", byGroup(["get", "list", "watch", ...changing], forAdmins, [""]))
  );
}

/** A feature's rules stand under the gates that its controllers and its parts in pod admission need. */
function blocksOf(features: readonly Feature[], pick: (feature: Feature) => readonly Permission[]): RoleText["blocks"] {
  return features.flatMap((feature) => {
    const parts = [
      ...(feature.controllers ?? []).map(({ enabled = () => true }) => enabled),
      ...(feature.podMutations ?? []).map(({ gate }) => (gate === undefined ? () => true : enabledBy(gate))),
      ...(feature.podGuards ?? []).map(({ active }) => active),
    ];
    const needed = parts.length === 0 ? [] : gatesNeeded((settings) => parts.some((part) => part(settings)));
    const conditions = needed.map(gateCondition);
    const permissions = pick(feature);
    const byGate = Map.groupBy(
      permissions.filter(({ gate }) => gate !== undefined),
      ({ gate }) => gate as NonNullable<typeof gate>,
    );
    return [
      { conditions, permissions: permissions.filter(({ gate }) => gate === undefined) },
      ...[...byGate].map(([gate, gated]) => ({
        conditions: [...conditions, gateCondition(gate), ...nameGroups(gated)],
        permissions: gated,
      })),
    ];
  });
}

/** A rule needs at least one group. */
const nameGroups = (permissions: readonly Permission[]) => (permissions.some(isEverything) ? [".Values.installation.roleListGroups"] : []);

const isEverything = ({ group, resources }: Pick<Permission, "group" | "resources">) => group === "*" && resources.includes("*");

const enabledBy =
  (gate: Parameters<typeof gateCondition>[0]) =>
  ({ gates }: Parameters<Parameters<typeof gatesNeeded>[0]>[0]) =>
    gates.enabled(gate);

/** One block per set of conditions; blocks without rules go. */
function merged(blocks: RoleText["blocks"]): RoleText["blocks"] {
  const byConditions = new Map<string, { conditions: readonly string[]; permissions: Permission[] }>();
  for (const { conditions, permissions } of blocks) {
    const key = conditions.join("|");
    const block = byConditions.get(key) ?? { conditions, permissions: [] };
    block.permissions.push(...permissions);
    byConditions.set(key, block);
  }
  return [...byConditions.values()]
    .filter((block) => block.permissions.length > 0)
    .sort((a, b) => a.conditions.length - b.conditions.length);
}

function roleText(role: RoleText): string {
  if (role.blocks.length === 0) return "";
  const metadata = (name: string) => ({ name, ...(role.namespace ? { namespace: role.namespace } : {}), labels: labelsHole(4) });
  const kind = role.namespace ? "Role" : "ClusterRole";
  const head = printTemplate({ apiVersion: api, kind, metadata: metadata(role.name) });
  const body = role.blocks.map(({ conditions, permissions }) => when(conditions, ruleText(permissions))).join("");
  const binding = printTemplate({
    apiVersion: api,
    kind: `${kind}Binding`,
    metadata: metadata(role.binding),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: role.name },
    subjects: [{ kind: "ServiceAccount", name: role.account, namespace: install }],
  });
  return `---\n${head}rules:\n${body}---\n${binding}`;
}

function ruleText(permissions: readonly Permission[]): string {
  return rules(permissions)
    .map((rule) => {
      const everything = isEverything({ group: rule.apiGroups[0] ?? "", resources: rule.resources });
      const printed = everything ? { ...rule, apiGroups: hole(".Values.installation.roleListGroups | toJson") } : rule;
      return printTemplate([printed]).replace(/^/gm, "  ").trimEnd();
    })
    .join("\n")
    .concat("\n");
}
