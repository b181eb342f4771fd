/** Server-side apply: what a manager says is merged in, what it no longer says goes, and what others said needs force to change. */
import { fieldsOf } from "../../kube/json.ts";
import type { Call } from "../api/call.ts";
import { badRequest, Refusal } from "../api/refusal.ts";
import type { Stored } from "../storage/store.ts";
import { isManager, type Manager, managersOf, ownable, timed, withManagers } from "./manage.ts";
import { difference, type FieldSet, intersection, isEmpty, pathsOf, setFromJson, union } from "./set.ts";
import { compare, merge, removeFields, setOf } from "./typed.ts";

/**
 * @param live undefined: the object is made
 * @param config as the manager sent it, decoded but without defaults
 * @throws Refusal when others own what would change, and `force` is not set
 */
export function applyConfig(call: Call, live: Stored | undefined, config: Stored, force: boolean, nowMs: number): Stored {
  if (fieldsOf(config.metadata)["managedFields"] !== undefined) throw badRequest("metadata.managedFields must be nil");
  const { schema } = call.version;
  const self = { manager: call.fieldManager, operation: "Apply" as const, subresource: call.subresource };
  const said = ownable(call, setOf(schema, config));
  const managers = managersFor(call, live);
  const own = managers.find((manager) => isManager(manager, self));
  const others = managers.filter((manager) => !isManager(manager, self));
  const merged = live === undefined ? config : (merge(schema, live, config) as Stored);
  const claimed = others.reduce((set, other) => union(set, other.set), said);
  const gone = own === undefined ? undefined : droppable(own.set, claimed);
  const result = gone === undefined || isEmpty(gone) ? merged : (removeFields(schema, merged, gone) as Stored);
  const changes = compare(schema, live, result);
  const touched = union(changes.added, changes.modified);
  const conflicts = live === undefined ? [] : others.flatMap((other) => conflictsWith(other, touched));
  const unsettled = force || live === undefined ? [] : withoutLastApplied(call, live, conflicts);
  if (unsettled.length > 0) throw conflictRefusal(unsettled);
  const kept = others.map((other) => ({
    ...other,
    set: difference(difference(other.set, conflicts.length > 0 ? touched : noFields), changes.removed),
  }));
  const mine: Manager = { ...self, apiVersion: config.apiVersion ?? "", time: own?.time ?? "", set: said };
  const order =
    own === undefined
      ? [...kept, mine]
      : managers.map((manager) => (isManager(manager, self) ? mine : (kept.find((other) => isManager(other, manager)) ?? manager)));
  return withManagers(result, timed(order, managers, nowMs));
}

const noFields = setFromJson({});

/** What was said before, is not said now, and nobody else holds. An item stays as long as anything in it is held. */
function droppable(before: FieldSet, claimed: FieldSet): FieldSet {
  const walk = (set: FieldSet, held: FieldSet | undefined): FieldSet => ({
    member: set.member && held === undefined,
    children: new Map(
      [...set.children]
        .map(([element, child]) => [element, walk(child, held?.children.get(element))] as const)
        .filter(([, child]) => child.member || child.children.size > 0),
    ),
  });
  return walk(before, claimed);
}

const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

/** What kubectl applied client-side, and nobody has changed since, is its own: so one moves from one way to the other. */
function withoutLastApplied(call: Call, live: Stored, conflicts: readonly Conflict[]): readonly Conflict[] {
  const text = live.metadata.annotations?.[lastAppliedAnnotation];
  if (conflicts.length === 0 || call.fieldManager !== "kubectl" || text === undefined) return conflicts;
  let applied: unknown;
  try {
    applied = JSON.parse(text);
  } catch {
    return conflicts;
  }
  const { schema } = call.version;
  const { added, modified, removed } = compare(schema, applied, live);
  const own = new Set(pathsOf(difference(setOf(schema, applied), union(union(added, modified), removed))));
  return conflicts.filter(({ path }) => !own.has(path));
}

interface Conflict {
  readonly manager: Manager;
  readonly path: string;
}

function conflictsWith(manager: Manager, touched: FieldSet): Conflict[] {
  return pathsOf(intersection(manager.set, touched)).map((path) => ({ manager, path }));
}

function conflictRefusal(conflicts: readonly Conflict[]): Refusal {
  const described = conflicts.map(({ manager, path }) => ({ who: whoText(manager), path }));
  const [first] = described;
  const names = [...new Set(described.map(({ who }) => who))].sort();
  const lines = names.flatMap((who) => [
    `conflicts with ${who}:`,
    ...described.filter((entry) => entry.who === who).map(({ path }) => `- ${path}`),
  ]);
  const message =
    described.length === 1
      ? `Apply failed with 1 conflict: conflict with ${first?.who}: ${first?.path}`
      : `Apply failed with ${described.length} conflicts: ${lines.join("\n")}`;
  return new Refusal(409, "Conflict", message, {
    causes: described.map(({ who, path }) => ({ reason: "FieldManagerConflict", message: `conflict with ${who}`, field: path })),
  });
}

/** What is there without anybody's name on it was there before the first apply. */
function managersFor(call: Call, live: Stored | undefined): readonly Manager[] {
  const known = managersOf(live);
  if (live === undefined || known.length > 0) return known;
  const set = ownable(call, setOf(call.version.schema, live));
  return [{ manager: "before-first-apply", operation: "Update", apiVersion: live.apiVersion ?? "", subresource: "", time: "", set }];
}

function whoText({ manager, operation, apiVersion, subresource }: Manager): string {
  const named = subresource === "" ? JSON.stringify(manager) : `${JSON.stringify(manager)} with subresource "${subresource}"`;
  return operation === "Apply" ? named : `${named} using ${apiVersion}`;
}
