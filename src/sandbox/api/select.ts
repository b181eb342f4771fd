/** Which objects a list or watch is about: label and field selectors. */
import { matcherOf } from "../../kube/selector.ts";
import { parseSelector } from "../../kube/selector-text.ts";
import type { Resource } from "../kinds/resource.ts";
import type { Stored } from "../storage/store.ts";
import { badRequest } from "./refusal.ts";

export type Selection = (object: Stored) => boolean;

const everything: Selection = () => true;

export function selectionOf(resource: Resource, query: URLSearchParams, name: string): Selection {
  const byLabel = labelSelection(query.get("labelSelector"));
  const byField = fieldSelection(resource, query.get("fieldSelector"));
  const byName: Selection = name === "" ? everything : (object) => object.metadata.name === name;
  return (object) => byName(object) && byLabel(object) && byField(object);
}

function labelSelection(text: string | null): Selection {
  if (!text) return everything;
  const parsed = parseSelector(text);
  if (!parsed.ok) throw badRequest(parsed.problem);
  const matcher = matcherOf(parsed.requirements);
  return (object) => matcher.matches(object.metadata.labels);
}

interface Term {
  readonly field: string;
  readonly value: string;
  readonly equal: boolean;
}

function fieldSelection(resource: Resource, text: string | null): Selection {
  if (!text) return everything;
  const terms = splitTerms(text).map(termOf);
  const known = knownFields(resource);
  for (const { field } of terms)
    if (!known.has(field))
      throw badRequest(
        resource.rules.fields === undefined
          ? `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`
          : `field label not supported: ${field}`,
      );
  return (object) => {
    const fields: Readonly<Record<string, string>> = {
      "metadata.name": object.metadata.name,
      "metadata.namespace": object.metadata.namespace ?? "",
      ...resource.rules.fields?.(object),
    };
    return terms.every(({ field, value, equal }) => ((fields[field] ?? "") === value) === equal);
  };
}

function knownFields(resource: Resource): ReadonlySet<string> {
  const sample = {
    apiVersion: "",
    kind: "",
    metadata: { name: "", uid: "", resourceVersion: "", creationTimestamp: "" },
  } as unknown as Stored;
  return new Set(["metadata.name", "metadata.namespace", ...Object.keys(resource.rules.fields?.(sample) ?? {})]);
}

/** A comma or equals sign in a value is escaped by a backslash. */
function splitTerms(text: string): readonly string[] {
  return text.split(/(?<!\\),/).filter((term) => term !== "");
}

function termOf(text: string): Term {
  const match = /^([^=!]+?)(!=|==|=)(.*)$/.exec(text);
  if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${text}'`);
  const [, field = "", operator, value = ""] = match;
  return { field: field.trim(), value: value.replaceAll(/\\(.)/g, "$1"), equal: operator !== "!=" };
}
