/** Namespaces: what belongs into each, and emptying those that go. */
import { fieldsOf, withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { resourceId } from "../kinds/resource.ts";
import type { Change, Stored } from "../storage/store.ts";
import type { Inside, Outcome } from "./inside.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

/** Between two looks at a namespace whose objects take their time. */
const emptyingMs = 50;

export const namespaces: MakeController = (inside): Controller => ({
  name: "namespace-controller",
  watches: {
    namespaces: itself,
    serviceaccounts: ofFurniture,
    configmaps: ofFurniture,
  },
  async reconcile(key) {
    const namespace = inside.get("namespaces", key);
    if (namespace === undefined) return undefined;
    if (namespace.metadata.deletionTimestamp === undefined) return furnish(inside, key.name);
    let left = 0;
    for (const resource of inside.api.registry.all()) {
      if (!resource.kind.namespaced || resource.storage !== resourceId(resource.kind)) continue;
      const objects = inside.list(resource.storage, key.name);
      for (const object of objects) if (object.metadata.deletionTimestamp === undefined) await inside.remove(resource.storage, object);
      left += inside.list(resource.storage, key.name).length;
    }
    if (left > 0) return emptyingMs;
    const finalized = (current: Stored) =>
      withFields(current, { spec: withFields(fieldsOf(current["spec"]), { finalizers: undefined }) }) as Stored;
    return retryOf(await inside.update("namespaces", key, finalized, "finalize", { prepare: finalized, validate: () => [] }));
  },
});

const furniture: ReadonlySet<string> = new Set(["default", "kube-root-ca.crt"]);

/** What every namespace has comes back when it is deleted. */
function ofFurniture({ before, after }: Change): readonly Key[] {
  if (after !== undefined || before === undefined || !furniture.has(before.metadata.name)) return [];
  return [{ namespace: "", name: before.metadata.namespace ?? "" }];
}

/** Every pod needs the service account, and mounts the authority's certificate. */
async function furnish(inside: Inside, namespace: string): Promise<"again" | undefined> {
  const outcomes: Outcome[] = [];
  if (inside.get("serviceaccounts", { namespace, name: "default" }) === undefined)
    outcomes.push(await inside.create("serviceaccounts", namespace, { metadata: { name: "default" } }));
  if (inside.get("configmaps", { namespace, name: "kube-root-ca.crt" }) === undefined)
    outcomes.push(
      await inside.create("configmaps", namespace, {
        metadata: { name: "kube-root-ca.crt" },
        data: { "ca.crt": inside.api.caCertificate },
      }),
    );
  return retryOf(...outcomes);
}
