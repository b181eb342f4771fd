/** Which objects are meant: TYPE NAME…, TYPE/NAME…, TYPE1,TYPE2 NAME, -f FILE, or all of a type. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import type { ServedResource } from "../kube/discovery.ts";
import { type Fields, fieldsOf, isFields, itemsOf, textOf } from "../kube/json.ts";
import { groupOf, type Kind, type Ref, refOf, resourceName } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import { kubectlText } from "./delegate.ts";
import { Misused, Refused } from "./refused.ts";
import { must, type Session } from "./session.ts";

/** An object as the server has it, untouched. */
export interface Target {
  readonly of: Kind;
  readonly object: Readonly<KubeObject>;
}

export interface Wanted {
  readonly words: readonly string[];
  readonly filename?: readonly string[];
  readonly kustomize?: string;
  readonly recursive?: boolean;
  readonly selector?: string;
  readonly all?: boolean;
}

export interface WantedRules {
  /** A bare type means all of them without a word more. */
  readonly bareTypeIsFine?: true;
  /** A type for words without one. */
  readonly type?: string;
}

/** @throws Refused when one of them is not there */
export async function targetsOf(session: Session, wanted: Wanted, rules: WantedRules = {}): Promise<readonly Target[]> {
  const { filename = [], kustomize = "", recursive = false } = wanted;
  if (kustomize !== "" && (filename.length > 0 || recursive)) throw new Misused("error: only one of -f or -k can be specified");
  if (filename.length > 0 || kustomize !== "") {
    const documents = kustomize === "" ? await readManifests(filename, recursive) : await readKustomization(kustomize);
    return Promise.all(documents.map((document) => fetchManifest(session, document)));
  }
  if (wanted.selector && wanted.all) throw new Misused("error: cannot set --all and --selector at the same time");
  const { types, names } = split(wanted.words, rules.type);
  if (names.length > 0) return fetchNamed(session, types, names);
  if (!(rules.bareTypeIsFine || wanted.all || wanted.selector))
    throw new Misused(`error: ${types.join(",")} without a name means all of them: say --all, or choose with -l`);
  const found: Target[] = [];
  for (const type of types) {
    const of = kindNamed(session, type);
    const scope = of.namespaced ? { namespace: session.namespace } : {};
    const listed = must(await session.client.list(of, { ...scope, ...(wanted.selector ? { labelSelector: wanted.selector } : {}) }));
    found.push(...listed.map((object) => ({ of, object })));
  }
  if (found.length === 0)
    throw new Refused(`error: no ${types.join(",")} found${session.namespace ? ` in namespace "${session.namespace}"` : ""}`);
  return found;
}

interface Split {
  readonly types: readonly string[];
  readonly names: readonly { readonly type: string; readonly name: string }[];
}

function split(words: readonly string[], assumed: string | undefined): Split {
  const [first] = words;
  if (first === undefined) throw new Misused("error: required resource not specified");
  if (words.some((word) => word.includes("/"))) {
    const names = words.map((word) => {
      const slash = word.indexOf("/");
      const [type, name] = [word.slice(0, slash), word.slice(slash + 1)];
      if (slash < 0)
        throw new Misused(
          "error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form",
        );
      if (type === "" || name === "" || name.includes("/"))
        throw new Misused(`error: arguments in resource/name form must have a single resource and name: "${word}"`);
      return { type, name };
    });
    return { types: [], names };
  }
  if (words.length === 1 && assumed !== undefined) return { types: [], names: [{ type: assumed, name: first }] };
  const types = first.split(",").filter((type) => type !== "");
  return { types, names: words.slice(1).flatMap((name) => types.map((type) => ({ type, name }))) };
}

async function fetchNamed(session: Session, _types: readonly string[], names: Split["names"]): Promise<readonly Target[]> {
  const targets: Target[] = [];
  for (const { type, name } of names) {
    const of = kindNamed(session, type);
    targets.push({ of, object: must(await session.client.get(of, keyIn(session, of, name))) });
  }
  return targets;
}

export function keyIn(session: Pick<Session, "namespace">, of: Kind, name: string) {
  return { namespace: of.namespaced ? session.namespace : "", name };
}

/** What a person means by a type. Kubernetes' own kinds come before ours of the same name. */
export function kindNamed(session: Pick<Session, "discovery">, type: string): Kind {
  const found = session.discovery.lookup(type);
  const [first] = [...found].sort((a, b) => Number(isOurs(a)) - Number(isOurs(b)));
  if (first === undefined) throw new Refused(`error: the server doesn't have a resource type "${type}"`, "", 0, missingHint(type));
  return first.kind;
}

function isOurs({ kind }: ServedResource): boolean {
  return kind.group.endsWith("kruise.io");
}

function missingHint(type: string): string {
  return `kubectl api-resources lists what there is; "${type}" may be a kind whose definition is not installed`;
}

async function fetchManifest(session: Session, document: Fields): Promise<Target> {
  const { apiVersion, kind } = document;
  const metadata = fieldsOf(document["metadata"]);
  const group = groupOf(textOf(apiVersion));
  const served = session.discovery.byKind(group, textOf(kind), textOf(apiVersion).split("/").at(-1));
  if (served === undefined) throw new Refused(`error: no matches for kind "${textOf(kind)}" in version "${textOf(apiVersion)}"`);
  const of = served.kind;
  const namespace = of.namespaced ? textOf(metadata["namespace"]) || session.namespace : "";
  return { of, object: must(await session.client.get(of, { namespace, name: textOf(metadata["name"]) })) };
}

/** Objects of YAML or JSON files, lists taken apart. */
export async function readManifests(paths: readonly string[], recursive: boolean): Promise<readonly Fields[]> {
  const documents: Fields[] = [];
  for (const path of paths.flatMap((each) => filesOf(each, recursive)))
    documents.push(...(await documentsIn(path === "-" ? await Bun.stdin.text() : readText(path), path)));
  if (documents.length === 0) throw new Refused("error: no objects passed");
  return documents;
}

async function readKustomization(directory: string): Promise<readonly Fields[]> {
  return documentsIn(await kubectlText(["kustomize", directory]), directory);
}

async function documentsIn(text: string, path: string): Promise<readonly Fields[]> {
  const { parseAllDocuments } = await import("yaml");
  const documents: Fields[] = [];
  for (const parsed of parseAllDocuments(text)) {
    const [error] = "errors" in parsed ? parsed.errors : [];
    if (error !== undefined) throw new Refused(`error: error parsing ${path}: ${error.message}`);
    const value: unknown = "toJS" in parsed ? parsed.toJS() : undefined;
    if (!isFields(value)) continue;
    const items = textOf(value["kind"]).endsWith("List") ? itemsOf(value["items"]) : [value];
    documents.push(...items.filter(isFields));
  }
  return documents;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new Refused(`error: the path "${path}" does not exist`);
  }
}

const manifestEndings: ReadonlySet<string> = new Set([".json", ".yaml", ".yml"]);

function filesOf(path: string, recursive: boolean): readonly string[] {
  if (path === "-") return [path];
  if (!(statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false)) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const at = join(path, entry.name);
      if (entry.isDirectory()) return recursive ? filesOf(at, true) : [];
      return manifestEndings.has(extname(entry.name)) ? [at] : [];
    });
}

export function refTo({ of, object }: Target): Ref {
  return refOf(of, object as KubeObject);
}

/** "cloneset.apps.kruise.io/web"; for an object that the server has yet to name, what its name begins with. */
export function nameOf({ of, object }: Target): string {
  const { name, generateName = "" } = object.metadata as { readonly name?: string; readonly generateName?: string };
  return `${of.kind.toLowerCase()}${of.group === "" ? "" : `.${of.group}`}/${name ?? generateName}`;
}

/** `clonesets.apps.kruise.io "web"` */
export function quotedName({ of, object }: Target): string {
  return `${resourceName(of)} "${object.metadata.name}"`;
}
