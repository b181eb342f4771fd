/** From a CustomResourceDefinition to the resource that it defines. */
import { type Fields, fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { resourceName } from "../../kube/kind.ts";
import { structuralSchema } from "../schema/structural.ts";
import { validateCustom } from "../schema/validate-custom.ts";
import type { Stored } from "../storage/store.ts";
import { compilePath, customColumns, readPath } from "./columns.ts";
import { allVerbs, type Resource, type Rules, type ScalePaths, type Version } from "./resource.ts";

export function customResource(definition: Stored): Resource {
  const spec = fieldsOf(definition["spec"]);
  const names = fieldsOf(spec["names"]);
  const versions = itemsOf(spec["versions"]).map(fieldsOf);
  const storage = versions.find((version) => version["storage"] === true) ?? versions[0] ?? {};
  const kind = {
    group: textOf(spec["group"]),
    version: textOf(storage["name"]),
    kind: textOf(names["kind"]),
    plural: textOf(names["plural"]),
    namespaced: spec["scope"] !== "Cluster",
  };
  const conversion = fieldsOf(spec["conversion"]);
  return {
    kind,
    storage: resourceName(kind),
    listKind: textOf(names["listKind"]),
    singular: textOf(names["singular"]),
    shortNames: itemsOf(names["shortNames"]).map(textOf),
    categories: itemsOf(names["categories"]).map(textOf),
    versions: versions
      .filter((version) => version["served"] !== false)
      .map(versionOf)
      .sort((a, b) => compareVersions(a.name, b.name)),
    subresources: [],
    verbs: allVerbs,
    rules: rulesOf(versions),
    custom: { definition, ...(conversion["strategy"] === "Webhook" ? { conversion } : {}) },
  };
}

function versionOf(version: Fields): Version {
  const json = fieldsOf(fieldsOf(version["schema"])["openAPIV3Schema"]);
  const { scale, status } = fieldsOf(version["subresources"]);
  return {
    name: textOf(version["name"]),
    schema: structuralSchema(json),
    columns: customColumns(itemsOf(version["additionalPrinterColumns"]).map(fieldsOf)),
    status: status !== undefined,
    ...(scale === undefined ? {} : { scale: scale as unknown as ScalePaths }),
    ...(version["deprecated"] === true ? { deprecation: textOf(version["deprecationWarning"]) } : {}),
  };
}

function rulesOf(versions: readonly Fields[]): Rules {
  const byName = new Map(versions.map((version) => [textOf(version["name"]), version]));
  const of = (object: Stored): Fields => byName.get((object.apiVersion ?? "").split("/")[1] ?? "") ?? {};
  const hasStatus = (object: Stored): boolean => fieldsOf(of(object)["subresources"])["status"] !== undefined;
  const check = (object: Stored, old?: Stored) => validateCustom(fieldsOf(fieldsOf(of(object)["schema"])["openAPIV3Schema"]), object, old);
  return {
    prepareCreate: (object) => (hasStatus(object) ? (withFields(object, { status: undefined }) as Stored) : object),
    prepareUpdate: (object, old) => (hasStatus(object) ? (withFields(object, { status: old["status"] }) as Stored) : object),
    prepareStatus: (object, old) =>
      withFields(old, {
        status: object["status"],
        metadata: { ...old.metadata, managedFields: fieldsOf(object.metadata)["managedFields"] },
      }) as Stored,
    generation: (object) =>
      withFields(object, { metadata: undefined, apiVersion: undefined, ...(hasStatus(object) ? { status: undefined } : {}) }),
    validate: check,
    validateStatus: check,
    ...fieldsAsked(versions),
  };
}

/** `selectableFields`: what field selectors may ask for beside the name. */
function fieldsAsked(versions: readonly Fields[]): Pick<Rules, "fields"> {
  const paths = new Set(
    versions.flatMap((version) => itemsOf(version["selectableFields"]).map((field) => textOf(fieldsOf(field)["jsonPath"]))),
  );
  if (paths.size === 0) return {};
  const readers = [...paths].map((path) => [path.replace(/^\./, ""), compilePath(path)] as const);
  return {
    fields: (object) =>
      Object.fromEntries(
        readers.map(([name, steps]) => {
          const [value] = readPath(steps, object);
          return [name, value === undefined ? "" : String(value)];
        }),
      ),
  };
}

/** v2, v1, v1beta2, v1beta1, v1alpha1, then whatever else by name: the first is preferred. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [rank(a), rank(b)];
  if (left === undefined || right === undefined) {
    if (left === undefined && right === undefined) return a < b ? -1 : 1;
    return left === undefined ? 1 : -1;
  }
  for (const index of [0, 1, 2] as const) if (left[index] !== right[index]) return right[index] - left[index];
  return 0;
}

function rank(version: string): readonly [number, number, number] | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return undefined;
  const stability = match[2] === undefined ? 2 : match[2] === "beta" ? 1 : 0;
  return [stability, Number(match[1]), Number(match[3] ?? 0)];
}
