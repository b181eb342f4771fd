/** Where a pod may run, and where it runs best. Pure. */
import { type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import { parseQuantity, quantityToNumber } from "../../kube/quantity.ts";
import { selectorMatches } from "../../kube/selector.ts";
import type { LabelSelector, Pod, Toleration, TopologySpreadConstraint } from "../../kube/types.ts";
import type { Stored } from "../storage/store.ts";

export interface NodeView {
  readonly node: Stored;
  readonly pods: readonly Pod[];
}

/** @returns why the pod cannot run there, in the scheduler's words; undefined when it can */
export function misfit(pod: Pod, view: NodeView, all: readonly NodeView[]): string | undefined {
  const { node } = view;
  const spec = fieldsOf(node["spec"]);
  const tolerations = pod.spec.tolerations ?? [];
  if (spec["unschedulable"] === true && !tolerates(tolerations, { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }))
    return "node(s) were unschedulable";
  for (const taint of itemsOf(spec["taints"]).map(fieldsOf)) {
    if (taint["effect"] === "PreferNoSchedule" || tolerates(tolerations, taint)) continue;
    return `node(s) had untolerated taint {${textOf(taint["key"])}: ${textOf(taint["value"])}}`;
  }
  if (!matchesNode(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  const short = lacking(pod, view);
  if (short !== undefined) return short === "pods" ? "Too many pods" : `Insufficient ${short}`;
  if (portClash(pod, view)) return "node(s) didn't have free ports for the requested pod ports";
  return affinityMisfit(pod, view, all) ?? spreadMisfit(pod, view, all);
}

export function tolerates(tolerations: readonly Toleration[], taint: Fields): boolean {
  return tolerations.some((toleration) => {
    if (toleration.effect && toleration.effect !== taint["effect"]) return false;
    if (!toleration.key) return toleration.operator === "Exists";
    if (toleration.key !== taint["key"]) return false;
    return toleration.operator === "Exists" || (toleration.value ?? "") === textOf(taint["value"]);
  });
}

export function toleratesAll(pod: Pod, node: Stored): boolean {
  const taints = itemsOf(fieldsOf(node["spec"])["taints"]).map(fieldsOf);
  return taints.every((taint) => taint["effect"] === "PreferNoSchedule" || tolerates(pod.spec.tolerations ?? [], taint));
}

export function matchesNode(pod: Pod, node: Stored): boolean {
  const labels = node.metadata.labels ?? {};
  if (Object.entries(pod.spec.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) return false;
  const required = fieldsOf(fieldsOf(fieldsOf(pod.spec.affinity)["nodeAffinity"])["requiredDuringSchedulingIgnoredDuringExecution"]);
  const terms = itemsOf(required["nodeSelectorTerms"]).map(fieldsOf);
  return terms.length === 0 || terms.some((term) => matchesTerm(term, node));
}

function matchesTerm(term: Fields, node: Stored): boolean {
  const expressions = itemsOf(term["matchExpressions"]).map(fieldsOf);
  const fields = itemsOf(term["matchFields"]).map(fieldsOf);
  if (expressions.length + fields.length === 0) return false;
  return (
    expressions.every((expression) => matchesValue(expression, node.metadata.labels?.[textOf(expression["key"])])) &&
    fields.every((field) => matchesValue(field, node.metadata.name))
  );
}

function matchesValue(expression: Fields, value: string | undefined): boolean {
  const values = itemsOf(expression["values"]).map(textOf);
  switch (expression["operator"]) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

const amounts = ["cpu", "memory"] as const;

/** What a pod asks for; a container that runs first only counts where it needs more than all that run together. */
export function requestOf(pod: Pod, resource: string): number {
  const of = (container: { resources?: { requests?: Record<string, unknown> } }): number => {
    const amount = parseQuantity(container.resources?.requests?.[resource]);
    return amount === undefined ? 0 : quantityToNumber(amount);
  };
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === "Always");
  const sum = [...pod.spec.containers, ...sidecars].reduce((total, container) => total + of(container), 0);
  return Math.max(sum, ...(pod.spec.initContainers ?? []).map(of));
}

function lacking(pod: Pod, { node, pods }: NodeView): string | undefined {
  const allocatable = fieldsOf(fieldsOf(node["status"])["allocatable"]);
  const room = parseQuantity(allocatable["pods"]);
  if (room !== undefined && pods.length + 1 > quantityToNumber(room)) return "pods";
  return amounts.find((resource) => {
    const asked = requestOf(pod, resource);
    const total = parseQuantity(allocatable[resource]);
    if (asked === 0 || total === undefined) return false;
    return asked + pods.reduce((used, other) => used + requestOf(other, resource), 0) > quantityToNumber(total);
  });
}

function hostPorts(pod: Pod): readonly string[] {
  return pod.spec.containers.flatMap((container) =>
    (container.ports ?? []).filter((port) => port.hostPort).map((port) => `${port.protocol ?? "TCP"}/${port.hostPort}`),
  );
}

function portClash(pod: Pod, { pods }: NodeView): boolean {
  const wanted = hostPorts(pod);
  return wanted.length > 0 && pods.some((other) => hostPorts(other).some((port) => wanted.includes(port)));
}

function domainOf(node: Stored, topologyKey: string): string | undefined {
  return node.metadata.labels?.[topologyKey];
}

function matchingPods(pod: Pod, term: Fields, views: readonly NodeView[]): readonly Pod[] {
  const namespaces = itemsOf(term["namespaces"]).map(textOf);
  const within = namespaces.length > 0 ? namespaces : [pod.metadata.namespace ?? ""];
  const selector = term["labelSelector"] as LabelSelector | undefined;
  return views
    .flatMap((view) => view.pods)
    .filter((other) => within.includes(other.metadata.namespace ?? "") && selectorMatches(selector, other.metadata.labels));
}

function affinityMisfit(pod: Pod, view: NodeView, all: readonly NodeView[]): string | undefined {
  const required = (kind: string, of: Pod) =>
    itemsOf(fieldsOf(fieldsOf(of.spec.affinity)[kind])["requiredDuringSchedulingIgnoredDuringExecution"]).map(fieldsOf);
  const near = (term: Fields) => matchingPods(pod, term, sameDomain(textOf(term["topologyKey"]), view, all)).length;
  for (const term of required("podAntiAffinity", pod)) if (near(term) > 0) return "node(s) didn't match pod anti-affinity rules";
  for (const other of all)
    for (const neighbour of other.pods)
      for (const term of required("podAntiAffinity", neighbour)) {
        const key = textOf(term["topologyKey"]);
        const shared = domainOf(other.node, key) !== undefined && domainOf(other.node, key) === domainOf(view.node, key);
        const selector = term["labelSelector"] as LabelSelector | undefined;
        if (shared && neighbour.metadata.namespace === pod.metadata.namespace && selectorMatches(selector, pod.metadata.labels))
          return "node(s) didn't satisfy existing pods anti-affinity rules";
      }
  for (const term of required("podAffinity", pod)) {
    if (near(term) > 0) continue;
    // The first of a group that wants to be together has nobody to join.
    const first = matchingPods(pod, term, all).length === 0 && selectorMatches(term["labelSelector"] as LabelSelector, pod.metadata.labels);
    if (!first || domainOf(view.node, textOf(term["topologyKey"])) === undefined) return "node(s) didn't match pod affinity rules";
  }
  return undefined;
}

/** With the pod's own values of the labels that the constraint names: so each revision spreads by itself. */
function spreadSelector(pod: Pod, { labelSelector, ...rest }: TopologySpreadConstraint): LabelSelector | undefined {
  const own = itemsOf(fieldsOf(rest)["matchLabelKeys"])
    .map(textOf)
    .flatMap((key) => {
      const value = pod.metadata.labels?.[key];
      return value === undefined ? [] : [[key, value] as const];
    });
  return own.length === 0
    ? labelSelector
    : { ...labelSelector, matchLabels: { ...labelSelector?.matchLabels, ...Object.fromEntries(own) } };
}

function spreadCounts(pod: Pod, constraint: TopologySpreadConstraint, all: readonly NodeView[]): Map<string, number> {
  const counts = new Map<string, number>();
  const selector = spreadSelector(pod, constraint);
  for (const view of all) {
    const domain = domainOf(view.node, constraint.topologyKey);
    if (domain === undefined || !matchesNode(pod, view.node)) continue;
    const matching = view.pods.filter(
      (other) =>
        other.metadata.namespace === pod.metadata.namespace &&
        other.metadata.deletionTimestamp === undefined &&
        selectorMatches(selector, other.metadata.labels),
    );
    counts.set(domain, (counts.get(domain) ?? 0) + matching.length);
  }
  return counts;
}

function spreadMisfit(pod: Pod, view: NodeView, all: readonly NodeView[]): string | undefined {
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    if (constraint.whenUnsatisfiable !== "DoNotSchedule") continue;
    const domain = domainOf(view.node, constraint.topologyKey);
    if (domain === undefined) return "node(s) didn't match pod topology spread constraints (missing required label)";
    const counts = spreadCounts(pod, constraint, all);
    const own = selectorMatches(constraint.labelSelector, pod.metadata.labels) ? 1 : 0;
    const fewest = counts.size < Number(fieldsOf(constraint)["minDomains"] ?? 1) ? 0 : Math.min(...counts.values());
    if ((counts.get(domain) ?? 0) + own - fewest > constraint.maxSkew) return "node(s) didn't match pod topology spread constraints";
  }
  return undefined;
}

/** Of the nodes that fit, the one with the fewest of its siblings, then of all pods; names decide ties. */
export function bestOf(pod: Pod, fitting: readonly NodeView[], all: readonly NodeView[]): NodeView | undefined {
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true)?.uid;
  const siblings = (view: NodeView) =>
    owner === undefined
      ? 0
      : view.pods.filter((other) => other.metadata.ownerReferences?.some((reference) => reference.uid === owner)).length;
  const liking = new Map(fitting.map((view) => [view, preference(pod, view, all)]));
  return [...fitting].sort(
    (a, b) =>
      (liking.get(b) ?? 0) - (liking.get(a) ?? 0) ||
      siblings(a) - siblings(b) ||
      a.pods.length - b.pods.length ||
      (a.node.metadata.name < b.node.metadata.name ? -1 : 1),
  )[0];
}

/** How much the pod would like the node: what it prefers and what it would rather avoid, by weight. */
function preference(pod: Pod, view: NodeView, all: readonly NodeView[]): number {
  const { node } = view;
  const affinity = fieldsOf(pod.spec.affinity);
  const preferred = (kind: string) => itemsOf(fieldsOf(affinity[kind])["preferredDuringSchedulingIgnoredDuringExecution"]).map(fieldsOf);
  let score = 0;
  for (const { weight, preference: term } of preferred("nodeAffinity")) if (matchesTerm(fieldsOf(term), node)) score += Number(weight ?? 0);
  const near = (term: Fields) => matchingPods(pod, term, sameDomain(textOf(term["topologyKey"]), view, all)).length;
  for (const { weight, podAffinityTerm } of preferred("podAffinity")) score += Number(weight ?? 0) * near(fieldsOf(podAffinityTerm));
  for (const { weight, podAffinityTerm } of preferred("podAntiAffinity")) score -= Number(weight ?? 0) * near(fieldsOf(podAffinityTerm));
  for (const taint of itemsOf(fieldsOf(node["spec"])["taints"]).map(fieldsOf))
    if (taint["effect"] === "PreferNoSchedule" && !tolerates(pod.spec.tolerations ?? [], taint)) score -= avoidedWeight;
  for (const constraint of pod.spec.topologySpreadConstraints ?? [])
    if (constraint.whenUnsatisfiable === "ScheduleAnyway")
      score -= avoidedWeight * (spreadCounts(pod, constraint, all).get(domainOf(node, constraint.topologyKey) ?? "") ?? 0);
  return score;
}

/** As much as the strongest wish. */
const avoidedWeight = 100;

function sameDomain(topologyKey: string, view: NodeView, all: readonly NodeView[]): readonly NodeView[] {
  const domain = domainOf(view.node, topologyKey);
  return domain === undefined ? [] : all.filter((other) => domainOf(other.node, topologyKey) === domain);
}
