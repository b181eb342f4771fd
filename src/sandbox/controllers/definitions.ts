/** CustomResourceDefinitions become served resources; one that goes takes its objects along. */
import { fieldsOf, withFields } from "../../kube/json.ts";
import { formatTime } from "../../kube/time.ts";
import { customResource } from "../kinds/custom.ts";
import type { Stored } from "../storage/store.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

export const definitionsResource = "customresourcedefinitions.apiextensions.k8s.io";
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
    registry.set(customResource(guarded.object));
    const established = await inside.update(definitionsResource, key, (current) => establishedBy(current, env.nowMs()), "status");
    return retryOf(established);
  },
});

const without = (object: Stored): string[] => (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== cleanup);

function withFinalizers(object: Stored, finalizers: readonly string[]): Stored {
  return withFields(object, { metadata: withFields(object.metadata, { finalizers }) }) as Stored;
}

function establishedBy(definition: Stored, nowMs: number): Stored {
  const status = fieldsOf(definition["status"]);
  const names = fieldsOf(definition["spec"])["names"];
  const known = Array.isArray(status["conditions"]) && status["conditions"].length > 0;
  const conditions = [
    { type: "NamesAccepted", reason: "NoConflicts", message: "no conflicts found" },
    { type: "Established", reason: "InitialNamesAccepted", message: "the initial names have been accepted" },
  ].map((condition) => ({ ...condition, status: "True", lastTransitionTime: formatTime(nowMs) }));
  return withFields(definition, {
    status: withFields(status, { acceptedNames: names, conditions: known ? status["conditions"] : conditions }),
  }) as Stored;
}
