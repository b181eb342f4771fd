/** A pod template in the words of `kubectl describe`. */
import { type Fields, fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";

export function describeTemplate(template: Fields): string {
  const metadata = fieldsOf(template["metadata"]);
  const spec = fieldsOf(template["spec"]);
  const annotations = Object.entries(fieldsOf(metadata["annotations"]));
  const lines = [
    "Pod Template:",
    ...mapLines("  Labels:", fieldsOf(metadata["labels"]), "=", "<none>"),
    ...(annotations.length > 0 ? mapLines("  Annotations:", fieldsOf(metadata["annotations"]), ": ", "") : []),
    ...(spec["serviceAccountName"] ? [`  Service Account:\t${textOf(spec["serviceAccountName"])}`] : []),
    ...containerLines("  Init Containers:", itemsOf(spec["initContainers"])),
    ...containerLines("  Containers:", itemsOf(spec["containers"]), true),
    ...volumeLines(itemsOf(spec["volumes"])),
    ...(spec["priorityClassName"] ? [`  Priority Class Name:\t${textOf(spec["priorityClassName"])}`] : []),
    ...mapLines("  Node-Selectors:", fieldsOf(spec["nodeSelector"]), "=", "<none>"),
    ...listLines(
      "  Tolerations:",
      itemsOf(spec["tolerations"]).map((item) => tolerationText(fieldsOf(item))),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

/** The containers of what has no pod template of its own. */
export function describeContainers(spec: Fields): string {
  const lines = [
    ...containerLines("Init Containers:", itemsOf(spec["initContainers"])),
    ...containerLines("Containers:", itemsOf(spec["containers"]), true),
  ];
  return `${lines.join("\n")}\n`;
}

function mapLines(head: string, map: Fields, joint: string, none: string): string[] {
  return listLines(
    head,
    Object.keys(map)
      .sort()
      .map((key) => `${key}${joint}${String(map[key])}`),
    none,
  );
}

function listLines(head: string, values: readonly string[], none = "<none>"): string[] {
  const [first = none, ...more] = values;
  return [`${head}\t${first}`, ...more.map((value) => `\t${value}`)];
}

function containerLines(head: string, containers: readonly unknown[], always = false): string[] {
  if (containers.length === 0) return always ? [`${head}\t<none>`] : [];
  return [head, ...containers.flatMap((container) => oneContainer(fieldsOf(container)))];
}

function oneContainer(container: Fields): string[] {
  const ports = itemsOf(container["ports"]).map(fieldsOf);
  const port = (field: string) =>
    ports.map((each) => `${Number(each[field] ?? 0)}/${textOf(each["protocol"]) || "TCP"}`).join(", ") || "<none>";
  const resources = fieldsOf(container["resources"]);
  const words = (field: string) => itemsOf(container[field]).map((word) => `      ${String(word)}`);
  const amounts = (field: string) => Object.entries(fieldsOf(resources[field])).map(([name, value]) => `      ${name}:\t${String(value)}`);
  const section = (head: string, lines: readonly string[]) => (lines.length > 0 ? [`    ${head}:`, ...lines] : []);
  const env = itemsOf(container["env"]).map((entry) => `      ${envText(fieldsOf(entry))}`);
  const mounts = itemsOf(container["volumeMounts"]).map(fieldsOf);
  return [
    `   ${textOf(container["name"])}:`,
    `    Image:\t${textOf(container["image"])}`,
    `    Port:\t${port("containerPort")}`,
    `    Host Port:\t${port("hostPort")}`,
    ...section("Command", words("command")),
    ...section("Args", words("args")),
    ...section("Limits", amounts("limits")),
    ...section("Requests", amounts("requests")),
    ...(env.length > 0 ? ["    Environment:", ...env] : ["    Environment:\t<none>"]),
    ...(mounts.length > 0
      ? [
          "    Mounts:",
          ...mounts.map(
            (mount) => `      ${textOf(mount["mountPath"])} from ${textOf(mount["name"])} (${mount["readOnly"] === true ? "ro" : "rw"})`,
          ),
        ]
      : ["    Mounts:\t<none>"]),
  ];
}

function envText({ name, value, valueFrom }: Fields): string {
  const from = fieldsOf(valueFrom);
  const ref = (field: string) => fieldsOf(from[field]);
  if (isFields(from["fieldRef"])) return `${textOf(name)}:\t (v1:${textOf(ref("fieldRef")["fieldPath"])})`;
  if (isFields(from["resourceFieldRef"])) return `${textOf(name)}:\t${textOf(ref("resourceFieldRef")["resource"])}`;
  for (const [field, what] of [
    ["secretKeyRef", "secret"],
    ["configMapKeyRef", "config map"],
  ] as const)
    if (isFields(from[field]))
      return `${textOf(name)}:\t<set to the key '${textOf(ref(field)["key"])}' ${what === "secret" ? "in secret" : "of config map"} '${textOf(ref(field)["name"])}'>`;
  return `${textOf(name)}:\t${textOf(value)}`;
}

function volumeLines(volumes: readonly unknown[]): string[] {
  if (volumes.length === 0) return ["  Volumes:\t<none>"];
  return [
    "  Volumes:",
    ...volumes.map(fieldsOf).flatMap(({ name, ...source }) => [`   ${textOf(name)}:`, `    Type:\t${Object.keys(source)[0] ?? "<none>"}`]),
  ];
}

function tolerationText({ key, operator, value, effect, tolerationSeconds }: Fields): string {
  const left = `${textOf(key)}${value ? `=${textOf(value)}` : ""}${effect ? `:${textOf(effect)}` : ""}`;
  const op = operator === "Exists" ? `${left === "" ? "" : " "}op=Exists` : "";
  return `${left}${op}${tolerationSeconds === undefined ? "" : ` for ${String(tolerationSeconds)}s`}`;
}
