/** Which SidecarSets want a pod: found through an index, so that hundreds that do not match cost next to nothing. */
import type { PodSource } from "../../admission/narrow-scope.ts";
import { annotation, label } from "../../api/names.ts";
import { type SidecarSet, sidecarSets } from "../../api/sidecarset.ts";
import type { Reader } from "../../kube/access.ts";
import { isFields } from "../../kube/json.ts";
import type { Index } from "../../kube/kind.ts";
import { memo } from "../../kube/memo.ts";
import { compileSelector, isEmptySelector, type Labels, type Matcher, matchNothing, type Requirement } from "../../kube/selector.ts";
import type { LabelSelector } from "../../kube/types.ts";

export interface Selection {
  /** An empty or unreadable selector matches nothing. */
  readonly pods: Matcher;
  /** undefined: all namespaces. An unreadable one matches none. */
  readonly namespaces: Matcher | undefined;
}

/** Compiled once per version of the spec. */
export const selectionOf: (spec: Pick<SidecarSet["spec"], "selector" | "namespaceSelector">) => Selection = memo((spec) => ({
  pods: isEmptySelector(spec.selector) ? matchNothing : compiled(spec.selector),
  namespaces: spec.namespaceSelector ? compiled(spec.namespaceSelector) : undefined,
}));

function compiled(selector: LabelSelector | undefined): Matcher {
  const result = compileSelector(selector);
  return result.ok ? result.matcher : matchNothing;
}

const everywhere = "";
const anyLabels = "";

/**
 * SidecarSets by where they look: the namespaces they name, and one thing they ask of a pod's labels. A set is found under one of the
 * values of `placesOf` for every pod that it matches.
 */
export const setsByPlace: Index<SidecarSet> = {
  name: "place",
  of: sidecarSets,
  keys: ({ spec }) => {
    const { pods, namespaces } = selectionOf(spec);
    if (pods.requirements === undefined) return [];
    const anchors = anchorsOf(pods.requirements);
    return scopesOf(namespaces).flatMap((scope) => anchors.map((anchor) => `${scope}\n${anchor}`));
  },
};

/** The first half of the places. */
export const setsByScope: Index<SidecarSet> = {
  name: "scope",
  of: sidecarSets,
  keys: ({ spec }) => {
    const { pods, namespaces } = selectionOf(spec);
    return pods.requirements === undefined ? [] : scopesOf(namespaces);
  },
};

function scopesOf(namespaces: Matcher | undefined): readonly string[] {
  return namedNamespaces(namespaces?.requirements) ?? [everywhere];
}

/** The pods that a set may want: it may look at more of a namespace than its name, which nobody can ask before the namespace is read. */
export const selectedPods: PodSource<SidecarSet> = {
  of: sidecarSets,
  scope: (set) => {
    if (!isFields(set.spec)) return undefined;
    const { pods, namespaces } = selectionOf(set.spec);
    if (pods.requirements === undefined) return undefined;
    const named = namedNamespaces(namespaces?.requirements);
    return { ...(named && { namespaces: named }), labels: pods.requirements };
  },
};

/** The names that a selector of namespaces insists on; undefined when it insists on none. */
function namedNamespaces(requirements: readonly Requirement[] | undefined): readonly string[] | undefined {
  return requirements?.find(({ key, operator }) => key === label.namespaceName && operator === "In")?.values;
}

/**
 * What to file a selector under: the requirement that names values, and of several the one with the longest text, which tells most apart
 * ("app=storefront-web" rather than "env=prod").
 */
function anchorsOf(requirements: readonly Requirement[]): readonly string[] {
  let best: Requirement | undefined;
  for (const requirement of requirements) {
    if (requirement.operator === "In" && (best === undefined || weightOf(requirement) > weightOf(best))) best = requirement;
  }
  if (best !== undefined) return [...new Set(best.values.map((value) => `${best.key}=${value}`))];
  const exists = requirements.find(({ operator }) => operator === "Exists");
  return [exists === undefined ? anyLabels : exists.key];
}

function weightOf({ key, values }: Requirement): number {
  return values.length === 0 ? Number.POSITIVE_INFINITY : (key.length + Math.min(...values.map((value) => value.length))) / values.length;
}

/** SidecarSets that may want a pod with these labels in this namespace; each once, in no order. */
export function candidateSets(read: Pick<Reader, "find">, namespace: string, labels: Labels | undefined): readonly Readonly<SidecarSet>[] {
  let found: readonly Readonly<SidecarSet>[] = [];
  let places = 0;
  const look = (place: string) => {
    const here = read.find(setsByPlace, place);
    if (here.length === 0) return;
    places += 1;
    found = places === 1 ? here : [...found, ...here];
  };
  for (const scope of [everywhere, namespace]) {
    // Few clusters have SidecarSets that name a namespace, and fewer pods are in one of these.
    if (read.find(setsByScope, scope).length === 0) continue;
    look(`${scope}\n${anyLabels}`);
    for (const key in labels) {
      look(`${scope}\n${key}`);
      look(`${scope}\n${key}=${labels[key]}`);
    }
  }
  return places > 1 ? [...new Set(found)] : found;
}

export function matchesLabels(set: Readonly<SidecarSet>, labels: Labels | undefined): boolean {
  return selectionOf(set.spec).pods.matches(labels);
}

/** @param namespaceLabels undefined: nobody knows such a namespace, so only a set for all namespaces matches */
export function matchesNamespace(set: Readonly<SidecarSet>, namespaceLabels: Labels | undefined): boolean {
  const { namespaces } = selectionOf(set.spec);
  return namespaces === undefined || (namespaceLabels !== undefined && namespaces.matches(namespaceLabels));
}

/** The SidecarSet that a canary stands in for; undefined when it is no canary. */
export function baseOf({
  metadata,
}: {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}): string | undefined {
  const base = metadata.annotations?.[annotation.sidecarSetBase];
  return metadata.annotations?.[annotation.sidecarSetCanary] === "true" && base ? base : undefined;
}
