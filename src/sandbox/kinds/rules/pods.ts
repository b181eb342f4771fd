/** Pods: what the server fills in, what may never change, and how long a deletion waits. */

import { inField } from "../../../kube/defaults/fill.ts";
import { defaultPod, mirrorServiceAccount } from "../../../kube/defaults/pod.ts";
import { deepEqual, type Fields, fieldsOf, itemsOf, textOf, withFields } from "../../../kube/json.ts";
import { qosClass } from "../../../kube/qos.ts";
import type { FieldErrors } from "../../../kube/validate/field-error.ts";
import { strictRules, validatePodSpec } from "../../../kube/validate/pod.ts";
import type { Stored } from "../../storage/store.ts";
import type { Rules } from "../resource.ts";
import { collect, immutable, specOf, statusOf } from "./common.ts";

const changeableText =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** Everything that may change is put back, so that what remains has to be equal. */
function checkPodUpdate(errors: FieldErrors, object: Stored, old: Stored): void {
  const before = specOf(old);
  const after = specOf(object);
  checkContainerCount(errors, after, before);
  if (errors.any) return;
  checkTolerations(errors, after, before);
  checkDeadline(errors, after, before);
  const comparable = withFields(withImagesOf(after, before), {
    activeDeadlineSeconds: before["activeDeadlineSeconds"],
    tolerations: before["tolerations"],
    schedulingGates: before["schedulingGates"],
    ...(before["nodeName"] === undefined && itemsOf(before["schedulingGates"]).length > 0
      ? { nodeSelector: before["nodeSelector"], affinity: before["affinity"] }
      : {}),
  });
  if (!deepEqual(comparable, before)) errors.forbidden("spec", changeableText);
  checkGates(errors, after, before);
}

function checkContainerCount(errors: FieldErrors, after: Fields, before: Fields): void {
  for (const field of ["containers", "initContainers"])
    if (itemsOf(after[field]).length !== itemsOf(before[field]).length)
      errors.forbidden(`spec.${field}`, "pod updates may not add or remove containers");
}

function checkTolerations(errors: FieldErrors, after: Fields, before: Fields): void {
  const now = itemsOf(after["tolerations"]);
  const gone = itemsOf(before["tolerations"]).some((toleration) => !now.some((other) => sameButForTime(toleration, other)));
  if (gone) errors.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
}

function sameButForTime(a: unknown, b: unknown): boolean {
  return deepEqual(withFields(fieldsOf(a), { tolerationSeconds: undefined }), withFields(fieldsOf(b), { tolerationSeconds: undefined }));
}

function checkDeadline(errors: FieldErrors, after: Fields, before: Fields): void {
  const [now, was] = [after["activeDeadlineSeconds"], before["activeDeadlineSeconds"]];
  if (now === was || was === undefined) return;
  if (now === undefined) errors.invalid("spec.activeDeadlineSeconds", null, "must not update from a positive integer to nil value");
  else if (Number(now) > Number(was)) errors.invalid("spec.activeDeadlineSeconds", now, "must be less than or equal to previous value");
}

function checkGates(errors: FieldErrors, after: Fields, before: Fields): void {
  const known = new Set(itemsOf(before["schedulingGates"]).map((gate) => textOf(fieldsOf(gate)["name"])));
  const added = itemsOf(after["schedulingGates"])
    .map((gate) => textOf(fieldsOf(gate)["name"]))
    .filter((name) => !known.has(name));
  if (added.length > 0)
    errors.forbidden("spec.schedulingGates", `only deletion is allowed, but found new scheduling gates '${added.join(",")}'`);
}

function withImagesOf(after: Fields, before: Fields): Fields {
  let result = after;
  for (const field of ["containers", "initContainers"]) {
    if (after[field] === undefined) continue;
    const old = itemsOf(before[field]).map(fieldsOf);
    const containers = itemsOf(after[field]).map((container, index) => withFields(fieldsOf(container), { image: old[index]?.["image"] }));
    result = withFields(result, { [field]: containers });
  }
  return result;
}

/** Metadata and status may change there, the spec not. */
function prepareStatus(object: Stored, old: Stored): Stored {
  const metadata = withFields(object.metadata, {
    ownerReferences: old.metadata.ownerReferences,
    deletionTimestamp: old.metadata.deletionTimestamp,
  });
  return withFields(object, { spec: old["spec"], metadata }) as Stored;
}

export const podRules: Rules = {
  withDefaults: (object) => inField(defaultPod(object), "spec", mirrorServiceAccount) as Stored,
  prepareCreate: (object) => withFields(object, { status: { phase: "Pending", qosClass: qosClass(specOf(object)) } }) as Stored,
  prepareUpdate: (object, old) => withFields(object, { status: old["status"] }) as Stored,
  prepareStatus,
  generation: (object) => object["spec"],
  validate: (object) => validatePodSpec(specOf(object), "spec", { ...strictRules, isPod: true }),
  validateCreate: (object) =>
    collect((errors) => {
      if (itemsOf(specOf(object)["ephemeralContainers"]).length > 0)
        errors.forbidden("spec.ephemeralContainers", "cannot be set on create");
    }),
  validateUpdate: (object, old) => collect((errors) => checkPodUpdate(errors, object, old)),
  validateStatus: (object, old) =>
    collect((errors) => {
      const before = statusOf(old)["qosClass"];
      if (before !== undefined && statusOf(object)["qosClass"] !== undefined)
        immutable(errors, statusOf(object)["qosClass"], before, "status.qosClass");
    }),
  fields: (object) => {
    const spec = specOf(object);
    const status = statusOf(object);
    return {
      "spec.nodeName": textOf(spec["nodeName"]),
      "spec.restartPolicy": textOf(spec["restartPolicy"]),
      "spec.schedulerName": textOf(spec["schedulerName"]),
      "spec.serviceAccountName": textOf(spec["serviceAccountName"]),
      "spec.hostNetwork": String(spec["hostNetwork"] === true),
      "status.phase": textOf(status["phase"]),
      "status.podIP": textOf(status["podIP"]),
      "status.nominatedNodeName": textOf(status["nominatedNodeName"]),
    };
  },
  graceSeconds: (object, asked) => {
    const spec = specOf(object);
    const phase = statusOf(object)["phase"];
    // Nobody runs it: nobody needs time.
    if (textOf(spec["nodeName"]) === "" || phase === "Succeeded" || phase === "Failed") return 0;
    const own = typeof spec["terminationGracePeriodSeconds"] === "number" ? spec["terminationGracePeriodSeconds"] : 30;
    const seconds = asked ?? own;
    return seconds < 0 ? 1 : seconds;
  },
};

/** What `pods/ephemeralcontainers` may change: it only adds. */
export function ephemeralContainersOnly(object: Stored, old: Stored): Stored {
  return withFields(old, {
    metadata: { ...old.metadata, resourceVersion: object.metadata.resourceVersion },
    spec: withFields(specOf(old), { ephemeralContainers: specOf(object)["ephemeralContainers"] }),
  }) as Stored;
}

/** What `pods/resize` may change: amounts, and how containers take a new one. */
export function resourcesOnly(object: Stored, old: Stored): Stored {
  const given = specOf(object);
  let spec = specOf(old);
  for (const field of ["containers", "initContainers"]) {
    if (spec[field] === undefined) continue;
    const wanted = new Map(itemsOf(given[field]).map((container) => [fieldsOf(container)["name"], fieldsOf(container)]));
    const containers = itemsOf(spec[field])
      .map(fieldsOf)
      .map((container) => {
        const other = wanted.get(container["name"]);
        return other === undefined
          ? container
          : withFields(container, { resources: other["resources"], resizePolicy: other["resizePolicy"] });
      });
    spec = withFields(spec, { [field]: containers });
  }
  return withFields(old, { metadata: { ...old.metadata, resourceVersion: object.metadata.resourceVersion }, spec }) as Stored;
}

const resizable: ReadonlySet<string> = new Set(["cpu", "memory"]);

/** What a resize may not do, beside what no pod may. */
export function checkResize(errors: FieldErrors, object: Stored, old: Stored): void {
  const before = textOf(statusOf(old)["qosClass"]) || qosClass(specOf(old));
  if (qosClass(specOf(object)) !== before) errors.invalid("spec", before, "Pod QOS Class may not change as a result of resizing");
  const now = itemsOf(specOf(object)["containers"]).map(fieldsOf);
  for (const [index, container] of itemsOf(specOf(old)["containers"]).map(fieldsOf).entries()) {
    const resources = fieldsOf(container["resources"]);
    const wanted = fieldsOf(now[index]?.["resources"]);
    for (const side of ["requests", "limits"]) {
      const given = fieldsOf(wanted[side]);
      if (Object.keys(fieldsOf(resources[side])).some((name) => given[name] === undefined))
        errors.forbidden(`spec.containers[${index}].resources.${side}`, `resource ${side} cannot be removed`);
    }
    if (!deepEqual(otherAmounts(wanted), otherAmounts(resources))) errors.forbidden("spec", "only cpu and memory resources are mutable");
  }
}

function otherAmounts(resources: Fields): Fields {
  const others = (side: string) => Object.entries(fieldsOf(resources[side])).filter(([name]) => !resizable.has(name));
  return { requests: Object.fromEntries(others("requests")), limits: Object.fromEntries(others("limits")) };
}
