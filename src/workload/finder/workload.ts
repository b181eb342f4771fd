/** One workload by its reference. */
import { cloneSets } from "../../api/cloneset.ts";
import { advancedStatefulSets } from "../../api/foreign.ts";
import { configurationName } from "../../api/names.ts";
import { fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { groupOf, isOfKind, type Key, type Kind, resourceName } from "../../kube/kind.ts";
import { configMaps, deployments, replicaSets, replicationControllers, statefulSets } from "../../kube/kinds.ts";
import type { Failure } from "../../kube/outcome.ts";
import { compileSelector, type Matcher, matcherOf } from "../../kube/selector.ts";
import { parseSelector } from "../../kube/selector-text.ts";
import type { KubeObject, LabelSelector } from "../../kube/types.ts";
import { controllerOf } from "../owner.ts";
import { type Finder, type Found, finderReads, type Workload, type WorkloadReference } from "./finder.ts";
import { reservedOrdinals } from "./reserved.ts";

const known: readonly Kind[] = [
  replicationControllers,
  deployments,
  replicaSets,
  statefulSets,
  cloneSets,
  advancedStatefulSets,
] as readonly Kind[];

const nobody: Found = { ok: true, workload: undefined };

export async function findWorkload(finder: Finder, reference: WorkloadReference): Promise<Found> {
  const kind = known.find((candidate) => isOfKind(reference, candidate));
  if (kind === undefined) return findOther(finder, reference);
  const answer = await readObject(finder, kind, reference);
  if (!answer.ok) return answer;
  const object = answer.object;
  if (!isMeant(object, reference)) return nobody;
  const owner = kind === (replicaSets as Kind) ? controllerOf(object) : undefined;
  if (owner?.kind === deployments.kind) return findWorkload(finder, { ...owner, namespace: reference.namespace });
  const spec = fieldsOf(fieldsOf(object)["spec"]);
  const found = workload(reference, object, replicasOf(object));
  if (kind === (replicationControllers as Kind)) return { ok: true, workload: found };
  const selector = compileSelector(spec["selector"] as LabelSelector | undefined);
  const reserveOrdinals = kind === (advancedStatefulSets as Kind) ? reservedOrdinals(itemsOf(spec["reserveOrdinals"])) : undefined;
  return {
    ok: true,
    workload: { ...found, ...(selector.ok ? { matcher: selector.matcher } : {}), ...(reserveOrdinals ? { reserveOrdinals } : {}) },
  };
}

/** An object of a kind that nobody here knows: on the white list its replicas count, else its scale, else only that it exists. */
async function findOther(finder: Finder, reference: WorkloadReference): Promise<Found> {
  const { live } = finder.read;
  const kind = guessedKind(reference);
  const answer = await readObject(finder, kind, reference);
  // A right to read its scale is enough: the manager has that for all kinds, and a right to read them for few.
  if (!answer.ok) return answer.why === "denied" && answer.code === 403 ? findByScale(finder, kind, reference, answer) : answer;
  const object = answer.object;
  if (!isMeant(object, reference)) return nobody;
  const listed = await isWhiteListed(finder, reference);
  if (typeof listed !== "boolean") return listed;
  if (listed) return { ok: true, workload: workload(reference, object, replicasOf(object)) };
  const scale = await live.scale(kind, reference);
  if (!scale.ok) return scale.why === "notFound" ? { ok: true, workload: workload(reference, object, -1) } : scale;
  const matcher = matcherOfText(scale.object.selector);
  return { ok: true, workload: { ...workload(reference, object, scale.object.replicas), ...(matcher ? { matcher } : {}) } };
}

async function findByScale({ read }: Finder, kind: Kind, reference: WorkloadReference, denied: Failure): Promise<Found> {
  const scale = await read.live.scale(kind, reference);
  const { namespace, name } = reference;
  const seen = (uid: string) => ({ metadata: { namespace, name, uid, resourceVersion: "", creationTimestamp: "" } });
  if (!scale.ok) {
    if (scale.why !== "notFound") return scale;
    // The same answer, whether the object is gone or its kind has no scale; and of a kind that has none we may not even see that it is there.
    if (!(await isWithoutScale(read, kind))) return nobody;
    return reference.uid ? { ok: true, workload: workload(reference, seen(reference.uid), -1) } : denied;
  }
  const { uid = reference.uid ?? "", replicas, selector } = scale.object;
  const object = seen(uid);
  if (!isMeant(object, reference)) return nobody;
  const matcher = matcherOfText(selector);
  return { ok: true, workload: { ...workload(reference, object, replicas), ...(matcher ? { matcher } : {}) } };
}

/** Whether the definition of a custom kind says so. Of kinds without a definition nobody knows. */
async function isWithoutScale({ live }: Finder["read"], kind: Kind): Promise<boolean> {
  const answer = await live.get(definitions, { namespace: "", name: resourceName(kind) });
  if (!answer.ok) return false;
  const versions = itemsOf(fieldsOf(fieldsOf(answer.object)["spec"])["versions"]).map(fieldsOf);
  const version = versions.find(({ name }) => name === kind.version);
  return version !== undefined && !isFields(fieldsOf(version["subresources"])["scale"]);
}

const definitions: Kind = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
};

type Answer = { readonly ok: true; readonly object: Readonly<KubeObject> | undefined } | Failure;

/** An object that is not there is undefined. */
export async function readObject({ read, watched = finderReads }: Finder, kind: Kind, { namespace, name }: Key): Promise<Answer> {
  if (watched.some((candidate) => resourceName(candidate) === resourceName(kind)))
    return { ok: true, object: read.get(kind, { namespace, name }) };
  const answer = await read.live.get(kind, { namespace, name });
  return !answer.ok && answer.why === "notFound" ? { ok: true, object: undefined } : answer;
}

function isMeant(object: Readonly<KubeObject> | undefined, { uid }: WorkloadReference): object is Readonly<KubeObject> {
  return object !== undefined && (uid === undefined || uid === "" || object.metadata.uid === uid);
}

/** Absent replicas count as none: the server fills them in wherever they mean one. */
export function replicasOf(object: Readonly<KubeObject>): number {
  const replicas = fieldsOf(fieldsOf(object)["spec"])["replicas"];
  return typeof replicas === "number" ? replicas : 0;
}

function workload({ apiVersion, kind }: WorkloadReference, { metadata }: Readonly<KubeObject>, scale: number): Workload {
  const { namespace = "", name, uid } = metadata;
  return { reference: { apiVersion, kind, namespace, name, uid }, scale, metadata };
}

function matcherOfText(text: string): Matcher | undefined {
  if (text === "") return undefined;
  const parsed = parseSelector(text);
  return parsed.ok ? matcherOf(parsed.requirements) : undefined;
}

/** Kubernetes' own rule for the resource name of a kind. */
function guessedKind({ apiVersion, kind }: WorkloadReference): Kind {
  const singular = kind.toLowerCase();
  const plural = /s$/.test(singular) ? `${singular}es` : /y$/.test(singular) ? `${singular.slice(0, -1)}ies` : `${singular}s`;
  const version = apiVersion.slice(apiVersion.indexOf("/") + 1);
  return { group: groupOf(apiVersion), version, kind, plural, namespaced: true };
}

// ---- the white list of workloads that are like StatefulSets

const whiteListKey = "PPS_Watch_Custom_Workload_WhiteList";

async function isWhiteListed({ read, settings }: Finder, { apiVersion, kind }: WorkloadReference): Promise<boolean | Failure> {
  const answer = await read.live.get(configMaps, { namespace: settings.installNamespace, name: configurationName });
  if (!answer.ok) return answer.why === "notFound" ? false : answer;
  const entries = whiteListed(answer.object.data?.[whiteListKey] ?? "");
  return entries.some((entry) => entry.kind === kind && entry.group === groupOf(apiVersion));
}

/** Keys in any case; a text that cannot be read lists nobody. */
export function whiteListed(text: string): readonly { readonly group: string; readonly kind: string }[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [];
  }
  return itemsOf(lowerKeys(parsed)["workloads"]).map((entry) => {
    const { group, kind } = lowerKeys(entry);
    return { group: textOf(group), kind: textOf(kind) };
  });
}

function lowerKeys(value: unknown): Readonly<Record<string, unknown>> {
  if (!isFields(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key.toLowerCase(), entry]));
}
