/** Claims are bound to volumes made for them, grow when asked to, and stay while pods use them; volumes go with their claims. */
import { type Fields, fieldsOf, withFields } from "../../kube/json.ts";
import { compareQuantityValues } from "../../kube/quantity.ts";
import { claimFinalizer } from "../admission/claims.ts";
import type { Change, Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { asPod, isFinishedPod, keyOf, specOf, statusOf } from "./pods.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

const resource = "persistentvolumeclaims";
const volumes = "persistentvolumes";
const classes = "storageclasses.storage.k8s.io";

export const claims: MakeController = (inside): Controller => ({
  name: "persistent-volume-binder",
  watches: {
    [resource]: itself,
    pods: (change) =>
      change.after === undefined || isFinishedPod(change.after) ? claimsOf(change) : change.before === undefined ? claimsOf(change) : [],
  },
  async reconcile(key) {
    const claim = inside.get(resource, key);
    if (claim === undefined) return undefined;
    if (claim.metadata.deletionTimestamp !== undefined) return release(inside, claim);
    if (statusOf(claim)["phase"] !== "Bound") return bind(inside, claim);
    return grow(inside, claim);
  },
});

function claimsOf({ before, after }: Change) {
  const pod = asPod((after ?? before) as Stored);
  return (pod.spec.volumes ?? []).flatMap((volume) =>
    volume.persistentVolumeClaim === undefined
      ? []
      : [{ namespace: pod.metadata.namespace ?? "", name: volume.persistentVolumeClaim.claimName }],
  );
}

function usedBy(inside: Inside, claim: Stored): boolean {
  return inside
    .list("pods", claim.metadata.namespace)
    .some(
      (pod) =>
        !isFinishedPod(pod) &&
        (asPod(pod).spec.volumes ?? []).some((volume) => volume.persistentVolumeClaim?.claimName === claim.metadata.name),
    );
}

async function bind(inside: Inside, claim: Stored): Promise<"again" | undefined> {
  const spec = specOf(claim);
  const storageClass = inside.get(classes, { namespace: "", name: String(spec["storageClassName"] ?? "") });
  if (storageClass === undefined) return undefined;
  // Bound when its first pod comes, where the class says so.
  if (storageClass["volumeBindingMode"] === "WaitForFirstConsumer" && !usedBy(inside, claim)) return undefined;
  const name = `pvc-${claim.metadata.uid}`;
  const capacity = { storage: fieldsOf(fieldsOf(spec["resources"])["requests"])["storage"] };
  if (inside.get(volumes, { namespace: "", name }) === undefined) {
    const created = await inside.create(volumes, "", {
      metadata: { name },
      spec: {
        capacity,
        accessModes: spec["accessModes"],
        persistentVolumeReclaimPolicy: storageClass["reclaimPolicy"] ?? "Delete",
        storageClassName: storageClass.metadata.name,
        volumeMode: spec["volumeMode"],
        hostPath: { path: `/sandbox/${name}`, type: "" },
        claimRef: { kind: "PersistentVolumeClaim", apiVersion: "v1", ...keyOf(claim), uid: claim.metadata.uid },
      },
    });
    if (!created.ok) return "again";
    const bound = (volume: Stored) => withFields(volume, { status: { phase: "Bound" } }) as Stored;
    await inside.update(volumes, { namespace: "", name }, bound, "status");
  }
  const status = { phase: "Bound", accessModes: spec["accessModes"], capacity };
  return retryOf(
    await inside.update(
      resource,
      keyOf(claim),
      (current) => withFields(current, { spec: withFields(specOf(current), { volumeName: name }) }) as Stored,
    ),
    await inside.update(resource, keyOf(claim), (current) => withFields(current, { status }) as Stored, "status"),
  );
}

async function grow(inside: Inside, claim: Stored): Promise<"again" | undefined> {
  const wanted = fieldsOf(fieldsOf(specOf(claim)["resources"])["requests"])["storage"];
  const capacity: Fields = fieldsOf(statusOf(claim)["capacity"]);
  if (compareQuantityValues(wanted, capacity["storage"]) <= 0) return undefined;
  const grown = (current: Stored) =>
    withFields(current, { status: withFields(statusOf(current), { capacity: { ...capacity, storage: wanted } }) }) as Stored;
  return retryOf(await inside.update(resource, keyOf(claim), grown, "status"));
}

async function release(inside: Inside, claim: Stored): Promise<"again" | undefined> {
  if (usedBy(inside, claim)) return undefined;
  const finalizers = (claim.metadata.finalizers ?? []).filter((finalizer) => finalizer !== claimFinalizer);
  const outcome = await inside.update(
    resource,
    keyOf(claim),
    (current) => withFields(current, { metadata: withFields(current.metadata, { finalizers }) }) as Stored,
  );
  const volume = inside.get(volumes, { namespace: "", name: String(specOf(claim)["volumeName"] ?? "") });
  if (outcome.ok && volume !== undefined && specOf(volume)["persistentVolumeReclaimPolicy"] === "Delete")
    await inside.remove(volumes, volume);
  return retryOf(outcome);
}
