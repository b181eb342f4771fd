/** The `data` of ControllerRevisions, as canonical JSON text: what of a workload makes a new revision when it changes. */
import { type Fields, fieldsOf, isAbsent, isFields, itemsOf } from "../json.ts";
import { encodeAs, encodeFields } from "./encode.ts";
import { objectType } from "./schema.ts";

function replaceData(typeName: string, template: unknown): string {
  // A revision sent back as a merge patch may have left its own directive in the object.
  const { $patch: _, ...content }: Fields = fieldsOf(template);
  const fields = encodeFields(objectType(typeName), content, true);
  return `{"spec":{"template":{"$patch":"replace"${fields === "" ? "" : `,${fields}`}}}}`;
}

/** CloneSet, Advanced StatefulSet, Advanced DaemonSet: the pod template and nothing else. */
export function podTemplateRevisionData(template: unknown): string {
  const { metadata, spec } = fieldsOf(template);
  return replaceData("PodTemplateSpec", { metadata: isFields(metadata) ? knownOf("ObjectMeta", metadata) : metadata, spec });
}

/** Without what no pod would ever have: a field of a pod's spec may be newer than the tables, one of its metadata may not. */
function knownOf(typeName: string, fields: Fields): Fields {
  const { byName } = objectType(typeName);
  if (Object.keys(fields).every((name) => byName.has(name))) return fields;
  return Object.fromEntries(Object.entries(fields).filter(([name]) => byName.has(name)));
}

/** UnitedDeployment: the template of its subsets' workloads. */
export function subsetTemplateRevisionData(template: unknown): string {
  return replaceData("SubsetTemplate", template);
}

/** SidecarSet: what is injected, of a v1beta1 spec. What is absent or empty is written as null. */
export function sidecarSetRevisionData(spec: unknown): string {
  const fields = fieldsOf(spec);
  const list = (name: string, typeName: string): string =>
    `"${name}":${itemsOf(fields[name]).length === 0 && (isAbsent(fields[name]) || Array.isArray(fields[name])) ? "null" : encodeAs(`[]${typeName}`, fields[name], { sorted: true })}`;
  const parts = [
    list("containers", "SidecarContainer"),
    list("imagePullSecrets", "LocalObjectReference"),
    list("initContainers", "SidecarContainer"),
    list("patchPodMetadata", "SidecarSetPatchPodMetadata"),
    list("volumes", "Volume"),
  ];
  return `{"spec":{"$patch":"replace",${parts.join(",")}}}`;
}

/** The pod template (or subset template) inside a revision's data, without its patch directive; undefined when it has none. */
export function templateOfRevisionData(data: unknown): Fields | undefined {
  const template = fieldsOf(fieldsOf(data)["spec"])["template"];
  if (!isFields(template)) return undefined;
  const { $patch: _, ...content } = template;
  return content;
}
