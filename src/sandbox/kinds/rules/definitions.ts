/** CustomResourceDefinitions: what they must say of themselves. Turning one into a served resource is kinds/custom.ts. */
import { fillAbsent, fillZero, inField, inItems } from "../../../kube/defaults/fill.ts";
import { type Fields, fieldsOf, isFields, itemsOf, textOf, withFields } from "../../../kube/json.ts";
import type { FieldErrors } from "../../../kube/validate/field-error.ts";
import { checkRuleTexts } from "../../schema/rules.ts";
import type { Stored } from "../../storage/store.ts";
import type { Rules } from "../resource.ts";
import { collect, immutable, specGeneration, specOf, statusOf, withSpec } from "./common.ts";

export const definitionRules: Rules = {
  ...specGeneration,
  withDefaults: (object) =>
    withSpec(object, (spec) => {
      const filled = inField(fillAbsent(spec, { conversion: { strategy: "None" } }), "names", (names) =>
        fillZero(names, { singular: textOf(names["kind"]).toLowerCase(), listKind: `${textOf(names["kind"])}List` }),
      );
      return inField(
        inItems(filled, "versions", (version) => version),
        "conversion",
        (conversion) =>
          inField(conversion, "webhook", (webhook) =>
            inField(webhook, "clientConfig", (config) => inField(config, "service", (service) => fillAbsent(service, { port: 443 }))),
          ),
      );
    }),
  prepareCreate: (object) => {
    const stored = itemsOf(specOf(object)["versions"])
      .map(fieldsOf)
      .find((version) => version["storage"] === true);
    return withFields(object, {
      status: { conditions: [], acceptedNames: { kind: "", plural: "" }, storedVersions: stored === undefined ? [] : [stored["name"]] },
    }) as Stored;
  },
  prepareUpdate: (object, old) => {
    const stored = itemsOf(specOf(object)["versions"])
      .map(fieldsOf)
      .find((version) => version["storage"] === true)?.["name"];
    const known = itemsOf(statusOf(old)["storedVersions"]);
    const status =
      stored === undefined || known.includes(stored) ? old["status"] : { ...statusOf(old), storedVersions: [...known, stored] };
    return withFields(object, { status }) as Stored;
  },
  prepareStatus: (object, old) => withFields(object, { spec: old["spec"] }) as Stored,
  validate: (object) => collect((errors) => checkDefinition(errors, object)),
  validateUpdate: (object, old) =>
    collect((errors) => {
      for (const field of ["group", "scope"]) immutable(errors, specOf(object)[field], specOf(old)[field], `spec.${field}`);
      const [names, oldNames] = [fieldsOf(specOf(object)["names"]), fieldsOf(specOf(old)["names"])];
      for (const field of ["plural", "kind"]) immutable(errors, names[field], oldNames[field], `spec.names.${field}`);
    }),
};

function checkDefinition(errors: FieldErrors, object: Stored): void {
  const spec = specOf(object);
  const names = fieldsOf(spec["names"]);
  const wanted = `${textOf(names["plural"])}.${textOf(spec["group"])}`;
  if (object.metadata.name !== wanted) errors.invalid("metadata.name", object.metadata.name, `must be spec.names.plural+"."+spec.group`);
  if (textOf(spec["group"]) === "") errors.required("spec.group");
  if (spec["scope"] === undefined) errors.required("spec.scope");
  else if (spec["scope"] !== "Namespaced" && spec["scope"] !== "Cluster")
    errors.notSupported("spec.scope", spec["scope"], ["Cluster", "Namespaced"]);
  for (const field of ["plural", "kind"]) if (textOf(names[field]) === "") errors.required(`spec.names.${field}`);
  const versions = itemsOf(spec["versions"]).map(fieldsOf);
  if (versions.filter((version) => version["storage"] === true).length !== 1)
    errors.invalid("spec.versions", spec["versions"] ?? null, "must have exactly one version marked as storage version");
  for (const [index, version] of versions.entries()) {
    const json = fieldsOf(version["schema"])["openAPIV3Schema"];
    const path = `spec.versions[${index}].schema.openAPIV3Schema`;
    if (!isFields(json)) errors.required(path, "schemas are required");
    else checkStructural(errors, json, path);
  }
}

/** Every part has a type, as structural schemas must. */
function checkStructural(errors: FieldErrors, node: Fields, path: string): void {
  const free = node["x-kubernetes-int-or-string"] === true || node["x-kubernetes-preserve-unknown-fields"] === true;
  if (!free && textOf(node["type"]) === "") errors.required(`${path}.type`, "must not be empty for specified object fields");
  for (const [name, child] of Object.entries(fieldsOf(node["properties"])))
    if (isFields(child)) checkStructural(errors, child, `${path}.properties[${name}]`);
  checkRuleTexts(errors, node, path);
  if (isFields(node["items"])) checkStructural(errors, node["items"], `${path}.items`);
  if (isFields(node["additionalProperties"])) checkStructural(errors, node["additionalProperties"], `${path}.additionalProperties`);
}
