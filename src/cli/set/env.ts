/** `set env`: the variables of containers. */
import { type Fields, fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { configMaps, secrets } from "../../kube/kinds.ts";
import type { KubeObject } from "../../kube/types.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";
import { dryRunFlags, fileFlags, printFlags, selectFlags } from "../globals.ts";
import { keyIn, kindNamed, type Target, targetsOf } from "../objects.ts";
import { note, out, Printer } from "../output.ts";
import { Misused, Refused } from "../refused.ts";
import { must, type Session } from "../session.ts";
import type { ContainerAt } from "../shapes.ts";
import { dryRunOf, write } from "../write.ts";
import { containerName, containersOf, matchesName, withContainers } from "./containers.ts";

const flags = {
  ...fileFlags,
  ...printFlags,
  ...selectFlags,
  ...dryRunFlags,
  containers: { kind: "string", short: "c", default: "*", help: "names of containers; * any run" },
  env: { kind: "array", short: "e", help: "NAME=VALUE, NAME-, or - for lines of the standard input" },
  from: { kind: "string", help: "secret/NAME or configmap/NAME: each of its keys becomes a variable" },
  prefix: { kind: "string", help: "before the names of --from" },
  keys: { kind: "list", help: "only these keys of --from" },
  list: { kind: "boolean", help: "show the variables, and change nothing" },
  resolve: { kind: "boolean", help: "with --list: values of secrets and config maps" },
  overwrite: { kind: "boolean", default: true, help: "false: a variable that is there is an error" },
  init: { kind: "boolean", help: "init containers too" },
} as const;

export const env = command(
  {
    summary: "Change the environment of containers",
    usage: "(TYPE NAME | TYPE/NAME | -f FILE) NAME=VALUE ... NAME- ... [flags]",
    examples: "  kubectl-kruise set env cloneset/web LOG=debug OLD-\n  kubectl-kruise set env cloneset/web --list",
  },
  flags,
  async ({ words, values, session: open }) => {
    const { pairs, others } = pairsIn(words);
    const edits = [...pairs, ...(await fromFlag(values.env))];
    if (edits.length === 0 && values.from === "" && !values.list)
      throw new Misused("error: at least one environment variable must be provided");
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    const sourced = values.from === "" ? [] : await variablesOf(session, values.from, values.prefix, values.keys);
    return each(await targetsOf(session, { ...values, words: others }), async (target) => {
      const isChosen = (found: ContainerAt) => (values.init || !found.isInit) && matchesName(values.containers, containerName(found));
      const chosen = containersOf(target).filter(isChosen);
      if (chosen.length === 0)
        return note(
          `error: ${target.of.kind.toLowerCase()}/${target.object.metadata.name} does not have any containers matching "${values.containers}"\n`,
        );
      if (values.list) return list(session, target, chosen, values.resolve);
      const object = await write(
        session,
        target,
        (fresh: Readonly<KubeObject>) =>
          withContainers(target, fresh, (found) =>
            isChosen(found) ? edited(found.container, edits, sourced, values.overwrite) : undefined,
          ),
        { dryRun, fieldManager: values["field-manager"] },
      );
      if (object !== undefined) await printer.print(target, "env updated", object);
    });
  },
);

type Edit = { readonly name: string; readonly value: string } | { readonly remove: string };
const variableName = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

/** Variables among the words; the others are objects. */
export function pairsIn(words: readonly string[]): { readonly pairs: readonly Edit[]; readonly others: readonly string[] } {
  const pairs: Edit[] = [];
  const others: string[] = [];
  for (const word of words) {
    const edit = editOf(word);
    if (edit !== undefined && (others.length > 0 || word.includes("="))) pairs.push(edit);
    else others.push(word);
  }
  return { pairs, others };
}

function editOf(word: string): Edit | undefined {
  const equals = word.indexOf("=");
  if (equals > 0) {
    const name = word.slice(0, equals);
    if (!variableName.test(name)) throw new Misused(`error: "${name}" is not a valid name of a variable`);
    return { name, value: word.slice(equals + 1) };
  }
  return word.length > 1 && word.endsWith("-") && !word.includes("/") ? { remove: word.slice(0, -1) } : undefined;
}

async function fromFlag(given: readonly string[]): Promise<readonly Edit[]> {
  const lines: string[] = [];
  for (const each of given) {
    if (each !== "-") lines.push(each);
    else lines.push(...(await Bun.stdin.text()).split(/\r?\n/).filter((line) => line.trim() !== "" && !line.startsWith("#")));
  }
  return lines.map((line) => {
    const edit = editOf(line);
    if (edit === undefined) throw new Misused(`error: "${line}": expected NAME=VALUE or NAME-`);
    return edit;
  });
}

async function variablesOf(session: Session, from: string, prefix: string, keys: readonly string[]): Promise<readonly Fields[]> {
  const [type = "", name = ""] = from.split("/");
  const { kind } = kindNamed(session, type);
  const source =
    kind === "Secret"
      ? { of: secrets, field: "secretKeyRef" }
      : kind === "ConfigMap"
        ? { of: configMaps, field: "configMapKeyRef" }
        : undefined;
  if (source === undefined || name === "")
    throw new Misused(`error: unsupported resource specified in --from=${from}: expected secret/NAME or configmap/NAME`);
  const object: KubeObject = must(await session.client.get<KubeObject>(source.of, keyIn(session, source.of, name)));
  const all = Object.keys(fieldsOf(fieldsOf(object)["data"])).sort();
  return all
    .filter((key) => keys.length === 0 || keys.includes(key))
    .map((key) => ({ name: prefix + key.toUpperCase().replace(/[^A-Z0-9_]/g, "_"), valueFrom: { [source.field]: { key, name } } }));
}

function edited(container: Fields, edits: readonly Edit[], sourced: readonly Fields[], overwrite: boolean): Fields | undefined {
  let variables = itemsOf(container["env"]).map(fieldsOf);
  const put = (variable: Fields) => {
    const isThere = variables.some(({ name }) => name === variable["name"]);
    if (isThere && !overwrite) throw new Refused(`error: '${textOf(variable["name"])}' already has a value, and --overwrite is false`);
    variables = isThere ? variables.map((each) => (each["name"] === variable["name"] ? variable : each)) : [...variables, variable];
  };
  for (const variable of sourced) put(variable);
  for (const edit of edits) {
    if ("remove" in edit) variables = variables.filter(({ name }) => name !== edit.remove);
    else put({ name: edit.name, value: edit.value });
  }
  const { env: _, ...others } = container;
  return variables.length === 0 ? others : { ...others, env: variables };
}

async function list(session: Session, target: Target, containers: readonly ContainerAt[], resolve: boolean): Promise<void> {
  for (const found of containers) {
    out(`# ${target.of.kind} ${target.object.metadata.name}, container ${containerName(found)}\n`);
    for (const variable of itemsOf(found.container["env"]).map(fieldsOf)) out(`${await lineOf(session, target, variable, resolve)}\n`);
  }
}

async function lineOf(session: Session, { object }: Target, { name, value, valueFrom }: Fields, resolve: boolean): Promise<string> {
  const from = fieldsOf(valueFrom);
  for (const [field, what, of] of [
    ["secretKeyRef", "secret", secrets],
    ["configMapKeyRef", "configmap", configMaps],
  ] as const) {
    if (!isFields(from[field])) continue;
    const { name: source, key } = from[field];
    if (!resolve) return `# ${textOf(name)} from ${what} ${textOf(source)}, key ${textOf(key)}`;
    const held = must(
      await session.client.get<KubeObject>(of, { namespace: object.metadata.namespace ?? session.namespace, name: textOf(source) }),
    );
    const raw = textOf(fieldsOf(fieldsOf(held)["data"])[textOf(key)]);
    return `${textOf(name)}=${what === "secret" ? Buffer.from(raw, "base64").toString("utf8") : raw}`;
  }
  if (isFields(from["fieldRef"])) return `# ${textOf(name)} from field path ${textOf(from["fieldRef"]["fieldPath"])}`;
  if (isFields(from["resourceFieldRef"])) return `# ${textOf(name)} from resource ${textOf(from["resourceFieldRef"]["resource"])}`;
  return `${textOf(name)}=${textOf(value)}`;
}
