/**
 * A CustomResourceDefinition as lines of facts, one a field: path, type, then what else the schema says. Descriptions are left out.
 * The files *.tsv beside this one hold these lines as OpenKruise 1.9 has them.
 */
type Json = Record<string, unknown>;

export function factsOf(crd: Json): string[] {
  const { metadata, spec } = crd as { metadata: Json; spec: Json };
  const names = spec["names"] as Json;
  const joined = (field: string) => ((names[field] as string[] | undefined) ?? []).join(",");
  const conversion = (spec["conversion"] as Json)["strategy"];
  const lines = [
    `# ${spec["group"]} ${names["kind"]} (list ${names["listKind"]}) plural=${names["plural"]} singular=${names["singular"]} short=${joined("shortNames")} categories=${joined("categories")} scope=${spec["scope"]} conversion=${conversion}`,
  ];
  if (metadata["name"] !== `${names["plural"]}.${spec["group"]}`) lines.push(`# name=${metadata["name"]}`);
  for (const version of spec["versions"] as Json[]) lines.push("", ...versionFacts(version));
  return lines;
}

function versionFacts(version: Json): string[] {
  const lines = [
    `## ${version["name"]} served=${version["served"]} storage=${version["storage"]} subresources=${sortedJson(version["subresources"])}`,
  ];
  for (const column of (version["additionalPrinterColumns"] as Json[] | undefined) ?? []) {
    const cells = ["column", column["name"], column["type"], column["jsonPath"]];
    if (column["priority"]) cells.push(`priority=${column["priority"]}`);
    if (column["format"]) cells.push(`format=${column["format"]}`);
    lines.push(cells.join("\t"));
  }
  const walk = (path: string, schema: Json): void => {
    lines.push([path || ".", typeOf(schema), ...keywords(schema)].join("\t"));
    const properties = (schema["properties"] as Record<string, Json> | undefined) ?? {};
    for (const name of Object.keys(properties).sort()) walk(path === "" ? name : `${path}.${name}`, properties[name]!);
    if (schema["items"]) walk(`${path}[]`, schema["items"] as Json);
    if (schema["additionalProperties"]) walk(`${path}{}`, schema["additionalProperties"] as Json);
  };
  walk("", (version["schema"] as Json)["openAPIV3Schema"] as Json);
  return lines;
}

function typeOf(schema: Json): string {
  return schema["x-kubernetes-int-or-string"] ? "int-or-string" : ((schema["type"] as string | undefined) ?? "any");
}

const plain = ["format", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"];
const structure = ["type", "description", "properties", "items", "additionalProperties", "required", "enum", "default", "anyOf"];

function keywords(schema: Json): string[] {
  const words: string[] = [];
  if (schema["enum"]) words.push(`enum=${(schema["enum"] as string[]).join("|")}`);
  for (const word of plain) if (schema[word] !== undefined) words.push(`${word}=${schema[word]}`);
  if (schema["default"] !== undefined) words.push(`default=${JSON.stringify(schema["default"])}`);
  for (const word of Object.keys(schema).sort()) {
    if (plain.includes(word) || structure.includes(word)) continue;
    words.push(`${word.replace("x-kubernetes-", "x-")}=${JSON.stringify(schema[word])}`);
  }
  if (schema["required"]) words.push(`required=[${[...(schema["required"] as string[])].sort().join(",")}]`);
  return words.length > 0 ? [words.join(" ")] : [];
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_, item) =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
