/** CustomResourceDefinitions become served resources; one that goes takes its objects along. */
import { fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { formatTime } from "../../kube/time.ts";
import { customResource } from "../kinds/custom.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

export const definitionsResource = "customresourcedefinitions.apiextensions.k8s.io";
/** Until names that are taken are asked for again. */
const namesAgainMs = 1000;
const cleanup = "customresourcecleanup.apiextensions.k8s.io";

export const definitions: MakeController = (inside, env): Controller => ({
  name: "crd-controller",
  watches: { [definitionsResource]: itself },
  async reconcile(key) {
    const definition = inside.get(definitionsResource, key);
    const { registry } = inside.api;
    if (definition === undefined) {
      registry.delete(key.name);
      return undefined;
    }
    if (definition.metadata.deletionTimestamp !== undefined) {
      const resource = registry.get(key.name);
      const left = resource === undefined ? [] : inside.list(resource.storage);
      for (const object of left) await inside.remove(key.name, object);
      if (resource !== undefined && inside.list(resource.storage).length > 0) return 50;
      const released = await inside.update(definitionsResource, key, (current) => withFinalizers(current, without(current)));
      if (inside.get(definitionsResource, key) === undefined) registry.delete(key.name);
      return retryOf(released);
    }
    // Before it is served: a definition never goes without its objects.
    const guarded = await inside.update(definitionsResource, key, (current) =>
      (current.metadata.finalizers ?? []).includes(cleanup)
        ? current
        : withFinalizers(current, [...(current.metadata.finalizers ?? []), cleanup]),
    );
    if (!guarded.ok) return retryOf(guarded);
    const taken = takenName(inside, guarded.object);
    if (taken === undefined) registry.set(customResource(guarded.object));
    const told = await inside.update(definitionsResource, key, (current) => establishedBy(current, taken, env.nowMs()), "status");
    return retryOf(told) ?? (taken === undefined ? undefined : namesAgainMs);
  },
});

const without = (object: Stored): string[] => (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== cleanup);

function withFinalizers(object: Stored, finalizers: readonly string[]): Stored {
  return withFields(object, { metadata: withFields(object.metadata, { finalizers }) }) as Stored;
}

/** A name of another kind of the group that this one wants as well; of several the last. Kinds that are served keep theirs. */
function takenName(inside: Inside, definition: Stored): { readonly reason: string; readonly message: string } | undefined {
  const { group, names } = fieldsOf(definition["spec"]);
  const wanted = fieldsOf(names);
  const { registry } = inside.api;
  if (registry.get(definition.metadata.name) !== undefined) return undefined;
  let taken: { reason: string; message: string } | undefined;
  for (const other of registry.all()) {
    if (other.kind.group !== group) continue;
    const resources = new Set([other.kind.plural, other.singular, ...other.shortNames]);
    const kinds = new Set([other.kind.kind, other.listKind]);
    for (const [reason, values, known] of [
      ["SingularConflict", [wanted["singular"]], resources],
      ["ShortNamesConflict", itemsOf(wanted["shortNames"]), resources],
      ["KindConflict", [wanted["kind"]], kinds],
      ["ListKindConflict", [wanted["listKind"]], kinds],
    ] as const) {
      const found = values.map(textOf).find((value) => known.has(value));
      if (found !== undefined) taken = { reason, message: `"${found}" is already in use` };
    }
  }
  return taken;
}

function establishedBy(definition: Stored, taken: ReturnType<typeof takenName>, nowMs: number): Stored {
  const status = fieldsOf(definition["status"]);
  const names = fieldsOf(definition["spec"])["names"];
  const known = itemsOf(status["conditions"]).map(fieldsOf);
  const wanted =
    taken === undefined
      ? [
          { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "no conflicts found" },
          { type: "Established", status: "True", reason: "InitialNamesAccepted", message: "the initial names have been accepted" },
        ]
      : [
          { type: "NamesAccepted", status: "False", ...taken },
          { type: "Established", status: "False", reason: "NotAccepted", message: "not all names are accepted" },
        ];
  const conditions = wanted.map((condition) => {
    const before = known.find(({ type }) => type === condition.type);
    return before?.["status"] === condition.status ? before : { ...condition, lastTransitionTime: formatTime(nowMs) };
  });
  return withFields(definition, {
    status: withFields(status, { ...(taken === undefined ? { acceptedNames: names } : {}), conditions }),
  }) as Stored;
}
