/** `metadata.managedFields`: who said what last. Kept by updates here, by server-side apply in apply.ts. */
import { deepEqual, type Fields, fieldsOf, itemsOf, mapShared, textOf, withFields } from "../../kube/json.ts";
import { formatTime } from "../../kube/time.ts";
import type { Call } from "../api/call.ts";
import { normalised } from "../schema/decode.ts";
import type { Stored } from "../storage/store.ts";
import { difference, type FieldSet, isEmpty, sameSet, setFromJson, setToJson, union, withoutBelow } from "./set.ts";
import { compare } from "./typed.ts";

export interface Manager {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly set: FieldSet;
}

/** What no client owns. */
const systemFields = setFromJson({
  "f:apiVersion": {},
  "f:kind": {},
  "f:metadata": {
    "f:name": {},
    "f:namespace": {},
    "f:creationTimestamp": {},
    "f:selfLink": {},
    "f:uid": {},
    "f:generation": {},
    "f:managedFields": {},
    "f:resourceVersion": {},
    "f:deletionTimestamp": {},
    "f:deletionGracePeriodSeconds": {},
  },
});
const statusOnly = setFromJson({ "f:status": {} });

/** Leaves out what the request cannot say. */
export function ownable(call: Call, set: FieldSet): FieldSet {
  const rest = withoutBelow(set, systemFields);
  const withoutStatus = call.version.status && call.subresource !== "status" ? withoutBelow(rest, statusOnly) : rest;
  const metadata = withoutStatus.children.get("f:metadata");
  if (metadata === undefined || !metadata.member || metadata.children.size > 0) return withoutStatus;
  return difference(withoutStatus, setFromJson({ "f:metadata": {} }));
}

export function managersOf(object: Stored | undefined): Manager[] {
  return itemsOf(fieldsOf(object?.metadata)["managedFields"])
    .map(fieldsOf)
    .filter((entry) => textOf(entry["operation"]) !== "")
    .map((entry) => ({
      manager: textOf(entry["manager"]),
      operation: entry["operation"] === "Apply" ? "Apply" : "Update",
      apiVersion: textOf(entry["apiVersion"]),
      subresource: textOf(entry["subresource"]),
      time: textOf(entry["time"]),
      set: setFromJson(entry["fieldsV1"]),
    }));
}

export function withManagers(object: Stored, managers: readonly Manager[]): Stored {
  const entries = managers
    .filter(({ set }) => !isEmpty(set))
    .map(({ manager, operation, apiVersion, subresource, time, set }) => ({
      manager,
      operation,
      apiVersion,
      time,
      fieldsType: "FieldsV1",
      fieldsV1: setToJson(set),
      ...(subresource === "" ? {} : { subresource }),
    }));
  return withFields(object, {
    metadata: withFields(object.metadata, { managedFields: entries.length === 0 ? undefined : entries }),
  }) as Stored;
}

export const isManager = (manager: Manager, of: Pick<Manager, "manager" | "operation" | "subresource">): boolean =>
  manager.manager === of.manager && manager.operation === of.operation && manager.subresource === of.subresource;

/** The object as it is after an update, with what changed on the account of who changed it. */
export function trackUpdate(call: Call, current: Stored | undefined, next: Stored, nowMs: number): Stored {
  const given = fieldsOf(next.metadata)["managedFields"];
  const base =
    given !== undefined && current !== undefined && !deepEqual(given, fieldsOf(current.metadata)["managedFields"]) ? next : current;
  // A new object is compared with an empty one, which has the parts that are no pointers.
  const before = current ?? (call.resource.custom === undefined ? normalised(call.version.schema, {}) : { metadata: {} });
  const { added, modified, removed } = compare(call.version.schema, before, next);
  const mine = ownable(call, union(added, modified));
  const self = { manager: call.fieldManager, operation: "Update" as const, subresource: call.subresource };
  const managers = managersOf(base).map((manager) => {
    const kept = difference(isManager(manager, self) ? manager.set : difference(manager.set, mine), removed);
    return { ...manager, set: isManager(manager, self) ? union(kept, mine) : kept };
  });
  if (!isEmpty(mine) && !managers.some((manager) => isManager(manager, self)))
    managers.push({ ...self, apiVersion: next.apiVersion ?? "", time: "", set: mine });
  return withManagers(next, timed(managers, managersOf(current), nowMs));
}

/** The time of an entry is that of its last change. */
export function timed(managers: readonly Manager[], before: readonly Manager[], nowMs: number): readonly Manager[] {
  return managers.map((manager) => {
    const old = before.find((other) => isManager(other, manager));
    if (old !== undefined && sameSet(old.set, manager.set) && manager.time !== "") return manager;
    return { ...manager, time: formatTime(nowMs) };
  });
}

/** For comparing: a later time alone is no change. */
export function withoutTimes(object: Stored): Stored {
  const entries = fieldsOf(object.metadata)["managedFields"];
  if (!Array.isArray(entries)) return object;
  const bare = mapShared(entries as readonly Fields[], (entry) => withFields(fieldsOf(entry), { time: undefined }));
  return withFields(object, { metadata: withFields(object.metadata, { managedFields: bare }) }) as Stored;
}
