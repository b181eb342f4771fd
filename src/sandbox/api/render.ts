/** Objects and lists as the client wants to see them: whole, as metadata only, or as a table. */
import type { Fields } from "../../kube/json.ts";
import type { Resource, Version } from "../kinds/resource.ts";
import type { Stored } from "../storage/store.ts";
import { Refusal } from "./refusal.ts";

export type Form = "object" | "metadata" | "table";

/** The first accepted type that can be answered. */
export function formOf(accept: string | undefined, isList: boolean): Form {
  if (!accept) return "object";
  for (const part of accept.split(",")) {
    const [type = "", ...parameters] = part.split(";").map((word) => word.trim());
    const as = parameters.find((parameter) => parameter.startsWith("as="))?.slice(3);
    if (type !== "application/json" && type !== "*/*" && type !== "application/*" && type !== "application/yaml") continue;
    if (as === undefined) return "object";
    if (as === "Table") return "table";
    if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") return "metadata";
  }
  if (accept.includes("protobuf") || isList) throw notAcceptable();
  return "object";
}

function notAcceptable(): Refusal {
  return new Refusal(406, "NotAcceptable", "only the following media types are accepted: application/json", {});
}

const texts = new WeakMap<Stored, string>();

/** JSON of an object that never changes: written once. */
export function objectText(object: Stored): string {
  let text = texts.get(object);
  if (text === undefined) {
    text = JSON.stringify(object);
    texts.set(object, text);
  }
  return text;
}

export interface View {
  readonly form: Form;
  readonly resource: Resource;
  readonly version: Version;
  readonly nowMs: number;
  /** Of a table: what each row carries of its object. */
  readonly includeObject: "None" | "Metadata" | "Object";
}

export function viewText(view: View, object: Stored): string {
  switch (view.form) {
    case "object":
      return objectText(object);
    case "metadata":
      return JSON.stringify(metadataOf(object));
    case "table":
      return JSON.stringify(tableOf(view, [object], { resourceVersion: object.metadata.resourceVersion }));
  }
}

export function listText(view: View, objects: readonly Stored[], metadata: Fields): string {
  const { resource, version } = view;
  switch (view.form) {
    case "object": {
      const apiVersion = resource.kind.group === "" ? version.name : `${resource.kind.group}/${version.name}`;
      const head = JSON.stringify({ kind: resource.listKind, apiVersion, metadata });
      return `${head.slice(0, -1)},"items":[${objects.map(objectText).join(",")}]}`;
    }
    case "metadata":
      return JSON.stringify({
        kind: "PartialObjectMetadataList",
        apiVersion: "meta.k8s.io/v1",
        metadata,
        items: objects.map(metadataOf),
      });
    case "table":
      return JSON.stringify(tableOf(view, objects, metadata));
  }
}

export function metadataOf(object: Stored): Fields {
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
}

/** @param withColumns false: the client has them already */
export function tableOf(view: View, objects: readonly Stored[], metadata: Fields, withColumns = true): Fields {
  const { columns } = view.version;
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata,
    columnDefinitions: withColumns ? columns.definitions : null,
    rows: objects.map((object) => ({ cells: columns.cells(object, view.nowMs), ...rowObject(view, object) })),
  };
}

function rowObject(view: View, object: Stored): Fields {
  if (view.includeObject === "None") return {};
  if (view.includeObject === "Object") return { object };
  return { object: metadataOf(object) };
}
