/** What happened, in order: who wrote what, which faults came, what the user did. Told in words only when somebody asks. */
import { deepEqual, type Fields, fieldsOf, isFields } from "../../src/kube/json.ts";
import type { KubeObject } from "../../src/kube/types.ts";
import type { Write } from "../../src/sandbox/index.ts";

interface Entry {
  readonly atMs: number;
  readonly tell: () => readonly [actor: string, verb: string, object: string, detail: string];
}

export class Trace {
  readonly #entries: Entry[] = [];
  readonly #startMs: number;

  constructor(
    private readonly clock: { monotonicMs(): number },
    startMs = 0,
  ) {
    this.#startMs = startMs;
  }

  wrote(write: Write): void {
    this.#add(() => [shortActor(write), verbOf(write), `${write.resource.kind.kind} ${write.key.name}`, changeOf(write)]);
  }

  note(actor: string, verb: string, object: string, detail = ""): void {
    this.#add(() => [actor, verb, object, detail]);
  }

  get length(): number {
    return this.#entries.length;
  }

  /** One line an entry. @param from the first entry that is told */
  lines(from = 0): readonly string[] {
    return this.#entries.slice(from).map(({ atMs, tell }) => {
      const [actor, verb, object, detail] = tell();
      const seconds = ((atMs - this.#startMs) / 1000).toFixed(3).padStart(9);
      return `${seconds}s  ${actor.padEnd(34)} ${verb.padEnd(10)} ${object}${detail === "" ? "" : `  ${detail}`}`;
    });
  }

  #add(tell: Entry["tell"]): void {
    this.#entries.push({ atMs: this.clock.monotonicMs(), tell });
  }
}

function shortActor({ actor }: Write): string {
  return actor.userAgent.replace("kube-controller-manager/", "").replace("kruise-manager", "manager");
}

function verbOf({ verb, subresource, before, after }: Write): string {
  if (before === undefined) return "create";
  if (after === undefined) return "remove";
  const did = before.metadata.deletionTimestamp === undefined && after.metadata.deletionTimestamp !== undefined ? "delete" : verb;
  return subresource === "" ? did : `${did}/${subresource}`;
}

/** The paths that differ, with their new values where these are short. */
function changeOf({ before, after }: Write): string {
  if (before === undefined) return factsOf(after);
  if (after === undefined) return "";
  const changes: string[] = [];
  compare("", before as Fields, after as Fields, changes);
  const shown = changes.filter((change) => !/^metadata\.(resourceVersion|generation|managedFields)/.test(change));
  const text = shown.slice(0, 8).join(", ");
  return shown.length > 8 ? `${text} and ${shown.length - 8} more` : text;
}

function factsOf(object: KubeObject | undefined): string {
  return object?.metadata.ownerReferences?.[0] === undefined ? "" : `of ${object.metadata.ownerReferences[0].name}`;
}

function compare(path: string, before: Fields, after: Fields, changes: string[]): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [before[name], after[name]];
    if (deepEqual(was, is)) continue;
    const at = path === "" ? name : `${path}.${name}`;
    if (isFields(was) && isFields(is)) compare(at, was, is, changes);
    else if (name === "conditions") changes.push(`${at}: ${conditions(was, is)}`);
    else changes.push(is === undefined ? `-${at}` : `${at}=${short(is)}`);
  }
}

function conditions(before: unknown, after: unknown): string {
  const by = (list: unknown) => new Map((Array.isArray(list) ? list : []).map(fieldsOf).map((entry) => [entry["type"], entry["status"]]));
  const [was, is] = [by(before), by(after)];
  const changed = [...is].filter(([type, status]) => was.get(type) !== status).map(([type, status]) => `${String(type)}=${String(status)}`);
  return changed.join(" ") || "times";
}

function short(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
