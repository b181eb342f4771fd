/** Can a pod go from one revision to another in place, and what changes then? The pod itself is not looked at. */
import type { Gates } from "../../api/gates.ts";
import { annotation } from "../../api/names.ts";
import { type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import { qosClass } from "../../kube/qos.ts";
import { canonicalQuantity } from "../../kube/quantity.ts";
import type { Container, ControllerRevision } from "../../kube/types.ts";
import { metadataEnvOf } from "../container-env.ts";
import { equalBesideTemplate, normalisedTemplateOf } from "../revision/data.ts";
import { diff, type Operation } from "./diff.ts";
import { type MetadataKind, metadataPatchOf, without } from "./metadata-patch.ts";
import type { RefMetadata, ResourceChange, UpdateSpec } from "./spec.ts";

export interface EligibilityOptions {
  readonly gates: Gates;
  /** Differing volume claim templates do not matter: pods are never to be recreated. */
  readonly ignoreClaimTemplates?: boolean;
}

/** Everything of an UpdateSpec that follows from the two revisions alone. */
export type TemplateChange = Omit<UpdateSpec, "revision" | "graceSeconds">;

interface Changes {
  readonly images: Map<string, string>;
  readonly resources: Map<string, { readonly limits: Map<string, string>; readonly requests: Map<string, string> }>;
  readonly metadata: Operation[];
}

/** Either what changes, or why pods have to be recreated: "spec.containers[0].env is added". */
export type Eligibility = { readonly ok: true; readonly change: TemplateChange } | { readonly ok: false; readonly why: string };
const no = (why: string): Eligibility => ({ ok: false, why });

const memo = new WeakMap<object, WeakMap<object, Map<string, Eligibility>>>();

/** Computed once for two revisions. */
export function eligibility(
  before: Readonly<ControllerRevision> | undefined,
  after: Readonly<ControllerRevision> | undefined,
  options: EligibilityOptions,
): Eligibility {
  if (before === undefined || after === undefined) return no("the revision that the pod runs is not known any more");
  const { gates } = options;
  const flags = [
    gates.enabled("InPlaceUpdateEnvFromMetadata"),
    gates.enabled("InPlaceWorkloadVerticalScaling"),
    gates.enabled("RecreatePodWhenChangeVCTInCloneSetGate") && options.ignoreClaimTemplates !== true,
  ] as const;
  const ofBefore = memo.get(before) ?? new WeakMap<object, Map<string, Eligibility>>();
  memo.set(before, ofBefore);
  const known = ofBefore.get(after) ?? new Map<string, Eligibility>();
  ofBefore.set(after, known);
  const key = flags.join();
  const found = known.get(key) ?? compute(before, after, ...flags);
  known.set(key, found);
  return found;
}

function compute(
  before: Readonly<ControllerRevision>,
  after: Readonly<ControllerRevision>,
  envFromMetadata: boolean,
  resize: boolean,
  claimTemplatesMatter: boolean,
): Eligibility {
  const from = normalisedTemplateOf(before);
  const to = normalisedTemplateOf(after);
  if (from === undefined || to === undefined) return no("a revision holds no pod template");
  if (!equalBesideTemplate(before, after)) return no("the revisions differ beside their pod templates");
  if (claimTemplatesMatter && claimTemplatesDiffer(before, after)) return no("the volumeClaimTemplates differ");
  const changes: Changes = { images: new Map(), resources: new Map(), metadata: [] };
  const containers = itemsOf(fieldsOf(from["spec"])["containers"]) as readonly Container[];
  const obstacle = diff(from, to).find((operation) => !collect(operation, containers, resize, changes));
  if (obstacle !== undefined) return no(operationText(obstacle));
  const [oldQos, newQos] = [qosClass(from["spec"]), qosClass(to["spec"])];
  if (changes.resources.size > 0 && oldQos !== newQos) return no(`the quality-of-service class changes from ${oldQos} to ${newQos}`);
  const { images, resources, metadata } = changes;
  return { ok: true, change: { images, resources, ...metadataChange(from, to, metadata, envFromMetadata) } };
}

const verbs = { add: "is added", remove: "is removed", replace: "changes" } as const;

function operationText({ op, path }: Operation): string {
  const where = path.map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`)).join("");
  return `${where === "" ? "the template" : where} ${verbs[op]}`;
}

function claimTemplatesDiffer(before: Readonly<ControllerRevision>, after: Readonly<ControllerRevision>): boolean {
  const [a, b] = [before, after].map((revision) => revision.metadata.annotations?.[annotation.cloneSetVolumeClaimTemplateHash]);
  return a !== undefined && b !== undefined && a !== b;
}

/** Whether the operation may happen in place; if so it is noted. */
function collect(operation: Operation, containers: readonly Container[], resize: boolean, changes: Changes): boolean {
  const { op, path, value } = operation;
  const [part, list, index = "", field, ...rest] = path;
  if (part === "metadata" && path.length > 1) {
    changes.metadata.push(operation);
    return true;
  }
  if (op !== "replace" || part !== "spec" || list !== "containers") return false;
  const container = containers[Number(index)];
  if (container === undefined) return false;
  if (field === "image" && rest.length === 0 && typeof value === "string") {
    changes.images.set(container.name, value);
    return true;
  }
  return resize && field === "resources" && rest.length === 2 && collectResource(container.name, rest, value, changes);
}

function collectResource(name: string, [list, resource]: readonly string[], value: unknown, { resources }: Changes): boolean {
  const quantity = typeof value === "string" ? canonicalQuantity(value) : undefined;
  if (quantity === undefined || (list !== "limits" && list !== "requests")) return false;
  if (resource !== "cpu" && resource !== "memory") return false;
  const change = resources.get(name) ?? { limits: new Map<string, string>(), requests: new Map<string, string>() };
  change[list].set(resource, quantity);
  resources.set(name, change);
  return true;
}

function metadataChange(
  from: Fields,
  to: Fields,
  operations: readonly Operation[],
  envFromMetadata: boolean,
): Pick<TemplateChange, "refMetadata" | "envFromMetadata" | "metadataPatch"> {
  const refMetadata = new Map<string, { readonly labels: Map<string, string>; readonly annotations: Map<string, string> }>();
  if (operations.length === 0) return { refMetadata, envFromMetadata: false };
  const taken: { readonly kind: MetadataKind; readonly key: string }[] = [];
  const containers = itemsOf(fieldsOf(to["spec"])["containers"]) as readonly Container[];
  const readers = envFromMetadata
    ? containers.flatMap((container) => metadataEnvOf(container).map(({ from: kind, key }) => ({ name: container.name, kind, key })))
    : [];
  for (const { kind, key, value } of operations.flatMap(perKey)) {
    const interested = readers.filter((reader) => reader.kind === kind && reader.key === key);
    if (interested.length > 0) taken.push({ kind, key });
    for (const { name } of interested) {
      const entry = refMetadata.get(name) ?? { labels: new Map<string, string>(), annotations: new Map<string, string>() };
      entry[kind].set(key, value);
      refMetadata.set(name, entry);
    }
  }
  const metadataPatch = metadataPatchOf(without(fieldsOf(from["metadata"]), taken), without(fieldsOf(to["metadata"]), taken));
  return { refMetadata, envFromMetadata: refMetadata.size > 0, metadataPatch };
}

/** The labels and annotations that an operation adds or replaces. The first label of a template arrives as a whole map. */
function perKey({ op, path, value }: Operation): { readonly kind: MetadataKind; readonly key: string; readonly value: string }[] {
  const [, kind, key] = path;
  if (op === "remove" || (kind !== "labels" && kind !== "annotations")) return [];
  if (path.length === 2) return Object.entries(fieldsOf(value)).map(([name, text]) => ({ kind, key: name, value: textOf(text) }));
  return path.length === 3 && typeof value === "string" ? [{ kind, key: key as string, value }] : [];
}

export type { RefMetadata, ResourceChange };
