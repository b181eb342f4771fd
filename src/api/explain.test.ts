/** What `kubectl explain` shows. */
import { expect, test } from "bun:test";
import { type Fields, fieldsOf, isFields } from "../kube/json.ts";
import { cloneSetDefinition } from "./cloneset.ts";
import { openApi } from "./crd.ts";

function undescribed(schema: Fields, path: string): readonly string[] {
  const below = Object.entries(fieldsOf(schema["properties"])).flatMap(([name, field]) => {
    const at = `${path}.${name}`;
    return [...(typeof fieldsOf(field)["description"] === "string" ? [] : [at]), ...undescribed(fieldsOf(field), at)];
  });
  const { items, additionalProperties } = schema;
  return [
    ...below,
    ...(isFields(items) ? undescribed(items, `${path}[]`) : []),
    ...(isFields(additionalProperties) ? undescribed(additionalProperties, `${path}.*`) : []),
  ];
}

test.each(cloneSetDefinition.versions.map((version) => [version.name, version.schema] as const))(
  "every field of a CloneSet in %s",
  (_, schema) => {
    expect(undescribed(openApi(schema), "")).toEqual([]);
  },
);
