/** ResourceQuotas: what is used, for people to see. Refusing is admission's. */
import { fieldsOf } from "../../kube/json.ts";
import { quantityText } from "../../kube/quantity.ts";
import { usedOf } from "../admission/quota.ts";
import type { Stored } from "../storage/store.ts";
import { keyOf, specOf, writeStatus } from "./pods.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

const resource = "resourcequotas";

export const quotas: MakeController = (inside): Controller => {
  const ofNamespace = ({ before, after }: { before: Stored | undefined; after: Stored | undefined }) =>
    before === undefined || after === undefined || fieldsOf(before["status"])["phase"] !== fieldsOf(after["status"])["phase"]
      ? inside.list(resource, (after ?? before)?.metadata.namespace).map(keyOf)
      : [];
  const counted = ["pods", "services", "secrets", "configmaps", "persistentvolumeclaims"];
  return {
    name: "resourcequota-controller",
    watches: { [resource]: itself, ...Object.fromEntries(counted.map((name) => [name, ofNamespace])) },
    async reconcile(key) {
      const quota = inside.get(resource, key);
      if (quota === undefined) return undefined;
      const hard = fieldsOf(specOf(quota)["hard"]);
      const used = Object.fromEntries(Object.keys(hard).map((name) => [name, quantityText(usedOf(inside.api.store, quota, name))]));
      return retryOf(await writeStatus(inside, resource, quota, { hard, used }));
    },
  };
};
