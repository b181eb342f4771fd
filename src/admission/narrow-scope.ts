/**
 * Which pods something that exists brings to a webhook, as data and as CEL. Scopes only ever grow when they are put together or shortened:
 * a pod too many costs a question, a pod too few costs its sidecars. The CEL never fails, whatever object it meets.
 */
import type { Kind } from "../kube/kind.ts";
import type { Requirement } from "../kube/selector.ts";
import type { KubeObject } from "../kube/types.ts";

/** Pods in one of these namespaces whose labels meet all of these; absent: any. */
export interface PodScope {
  readonly namespaces?: readonly string[];
  readonly labels?: readonly Requirement[];
}

/** Objects that bring pods to a webhook. */
export interface PodSource<T extends KubeObject = KubeObject> {
  readonly of: Kind<T>;
  /** The pods of one object; undefined: none. Pods too many do no harm. */
  scope(object: Readonly<T>): PodScope | undefined;
}

/** As text; a list whose conditions come to more than this is told as "any pod". */
const scopesTextMax = 20_000;

/** Sorted, each condition on labels once, equal text for equal scopes. */
export function normalised(scopes: readonly PodScope[]): readonly PodScope[] {
  const groups = new Map<string, { labels: readonly Requirement[]; namespaces: Set<string> | undefined }>();
  for (const { namespaces, labels = [] } of scopes) {
    const wanted = labels.map(({ key, operator, values }) => ({ key, operator, values: [...values].sort() }));
    const text = wanted.map((requirement) => JSON.stringify(requirement)).sort();
    const group = groups.get(text.join()) ?? { labels: text.map((each) => JSON.parse(each) as Requirement), namespaces: new Set() };
    if (namespaces === undefined) group.namespaces = undefined;
    else for (const namespace of namespaces) group.namespaces?.add(namespace);
    groups.set(text.join(), group);
  }
  const any = groups.get("");
  if (any !== undefined && any.namespaces === undefined) return [{}];
  const found = [...groups.keys()].sort().map((text) => {
    const { labels, namespaces } = groups.get(text) as { labels: readonly Requirement[]; namespaces: Set<string> | undefined };
    return { ...(namespaces && { namespaces: [...namespaces].sort() }), ...(labels.length > 0 && { labels }) };
  });
  return JSON.stringify(found).length > scopesTextMax ? [{}] : found;
}

/**
 * One clause a scope, to be joined by "or"; none: no pod.
 * @param at what carries the labels ("object"); absent: the request carries no pod, so labels are not asked
 */
export function scopeClauses(scopes: readonly PodScope[], at?: string): readonly string[] {
  const asked = at === undefined ? normalised(scopes.map(({ namespaces }) => (namespaces === undefined ? {} : { namespaces }))) : scopes;
  return asked.flatMap(({ namespaces, labels = [] }) => {
    if (namespaces?.length === 0) return [];
    const conditions = [
      ...(namespaces === undefined ? [] : [`request.namespace in ${JSON.stringify(namespaces)}`]),
      ...(at === undefined ? [] : labels.map((requirement) => labelCondition(requirement, at))),
    ];
    return [conditions.length === 0 ? "true" : conditions.join(" && ")];
  });
}

function labelCondition({ key, operator, values }: Requirement, at: string): string {
  const name = JSON.stringify(key);
  const there = `has(${at}.metadata.labels) && ${name} in ${at}.metadata.labels`;
  const isOneOf = `${there} && ${at}.metadata.labels[${name}] in ${JSON.stringify(values)}`;
  switch (operator) {
    case "In":
      return `(${isOneOf})`;
    case "NotIn":
      return `!(${isOneOf})`;
    case "Exists":
      return `(${there})`;
    case "DoesNotExist":
      return `!(${there})`;
  }
}
