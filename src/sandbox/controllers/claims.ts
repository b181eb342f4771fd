/** Claims are bound to volumes that suit or are made for them, grow when asked to, and stay while pods use them; volumes go as their policy says. */
import { type Fields, fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { compareQuantityValues } from "../../kube/quantity.ts";
import { selectorMatches } from "../../kube/selector.ts";
import type { LabelSelector } from "../../kube/types.ts";
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
    [volumes]: (change) => [
      ...itself(change),
      ...inside
        .list(resource)
        .filter((claim) => statusOf(claim)["phase"] === "Pending")
        .map(keyOf),
    ],
  },
  async reconcile(key) {
    if (key.namespace === "") return settle(inside, key);
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

const noProvisioner = "kubernetes.io/no-provisioner";

async function bind(inside: Inside, claim: Stored): Promise<"again" | undefined> {
  const spec = specOf(claim);
  const className = textOf(spec["storageClassName"]);
  const storageClass = inside.get(classes, { namespace: "", name: className });
  // Bound when its first pod comes, where the class says so.
  if (storageClass?.["volumeBindingMode"] === "WaitForFirstConsumer" && !usedBy(inside, claim)) return undefined;
  const suitable = inside.list(volumes).filter((volume) => suits(claim, volume));
  const [smallest] = suitable.sort((a, b) => compareQuantityValues(capacityOf(a), capacityOf(b)));
  if (smallest !== undefined) return join(inside, claim, smallest);
  if (storageClass === undefined || storageClass["provisioner"] === noProvisioner || textOf(spec["volumeName"]) !== "") return undefined;
  const name = `pvc-${claim.metadata.uid}`;
  const known = inside.get(volumes, { namespace: "", name });
  if (known !== undefined) return join(inside, claim, known);
  const created = await inside.create(volumes, "", {
    metadata: { name },
    spec: {
      capacity: { storage: requestOf(claim) },
      accessModes: spec["accessModes"],
      persistentVolumeReclaimPolicy: storageClass["reclaimPolicy"] ?? "Delete",
      storageClassName: className,
      volumeMode: spec["volumeMode"],
      hostPath: { path: `/sandbox/${name}`, type: "" },
      claimRef: referenceTo(claim),
    },
  });
  return created.ok ? join(inside, claim, created.object) : "again";
}

const capacityOf = (volume: Stored): unknown => fieldsOf(specOf(volume)["capacity"])["storage"];
const requestOf = (claim: Stored): unknown => fieldsOf(fieldsOf(specOf(claim)["resources"])["requests"])["storage"];
const referenceTo = (claim: Stored): Fields => ({
  kind: "PersistentVolumeClaim",
  apiVersion: "v1",
  ...keyOf(claim),
  uid: claim.metadata.uid,
});

function suits(claim: Stored, volume: Stored): boolean {
  const wanted = specOf(claim);
  const spec = specOf(volume);
  const reference = fieldsOf(spec["claimRef"]);
  const name = textOf(wanted["volumeName"]);
  if (volume.metadata.deletionTimestamp !== undefined || (name !== "" && name !== volume.metadata.name)) return false;
  if (spec["claimRef"] !== undefined) {
    const meant = reference["name"] === claim.metadata.name && reference["namespace"] === claim.metadata.namespace;
    if (!meant || (textOf(reference["uid"]) !== "" && reference["uid"] !== claim.metadata.uid)) return false;
  }
  const modes = itemsOf(spec["accessModes"]);
  return (
    textOf(spec["storageClassName"]) === textOf(wanted["storageClassName"]) &&
    (spec["volumeMode"] ?? "Filesystem") === (wanted["volumeMode"] ?? "Filesystem") &&
    itemsOf(wanted["accessModes"]).every((mode) => modes.includes(mode)) &&
    compareQuantityValues(capacityOf(volume), requestOf(claim)) >= 0 &&
    (wanted["selector"] === undefined || selectorMatches(wanted["selector"] as LabelSelector, volume.metadata.labels))
  );
}

/** Both sides name each other. */
async function join(inside: Inside, claim: Stored, volume: Stored): Promise<"again" | undefined> {
  const key = keyOf(volume);
  const capacity = { storage: capacityOf(volume) };
  const claimStatus = { phase: "Bound", accessModes: specOf(volume)["accessModes"], capacity };
  return retryOf(
    await inside.update(
      volumes,
      key,
      (current) => withFields(current, { spec: withFields(specOf(current), { claimRef: referenceTo(claim) }) }) as Stored,
    ),
    await inside.update(volumes, key, (current) => withFields(current, { status: { phase: "Bound" } }) as Stored, "status"),
    await inside.update(
      resource,
      keyOf(claim),
      (current) => withFields(current, { spec: withFields(specOf(current), { volumeName: volume.metadata.name }) }) as Stored,
    ),
    await inside.update(resource, keyOf(claim), (current) => withFields(current, { status: claimStatus }) as Stored, "status"),
  );
}

/** A volume that nobody has is to be had; one whose claim is gone waits for a person. */
async function settle(inside: Inside, key: Key): Promise<"again" | undefined> {
  const volume = inside.get(volumes, key);
  if (volume === undefined) return undefined;
  const reference = fieldsOf(specOf(volume)["claimRef"]);
  const claim = inside.get(resource, { namespace: textOf(reference["namespace"]), name: textOf(reference["name"]) });
  const before = statusOf(volume)["phase"];
  let phase = "Available";
  if (textOf(reference["uid"]) !== "") phase = claim?.metadata.uid === reference["uid"] ? "Bound" : "Released";
  if (phase === before || (phase === "Bound" && statusOf(claim as Stored)["phase"] !== "Bound")) return undefined;
  return retryOf(await inside.update(volumes, key, (current) => withFields(current, { status: { phase } }) as Stored, "status"));
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
  if (outcome.ok && volume !== undefined) {
    if (specOf(volume)["persistentVolumeReclaimPolicy"] === "Delete") await inside.remove(volumes, volume);
    else await settle(inside, keyOf(volume));
  }
  return retryOf(outcome);
}
