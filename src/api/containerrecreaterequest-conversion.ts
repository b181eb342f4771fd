/** ContainerRecreateRequest between v1alpha1 and v1beta1: what one keeps in annotations, the other has in its status. */
import { deepEqual, type Fields, fieldsOf, itemsOf, textOf, withFields } from "../kube/json.ts";
import { annotationsOf, filled, withMetadata } from "./conversion.ts";
import type { VersionConversion } from "./definition.ts";
import { annotation, conditionType } from "./names.ts";

/** Annotations that cannot be read stay where they are, and mean nothing. */
export const containerRecreateRequestConversion: VersionConversion = {
  toStorage(object) {
    const converted = { ...object, apiVersion: "apps.kruise.io/v1beta1" };
    const annotations = annotationsOf(object);
    const containerStatusSnapshot = snapshotOf(filled(annotations[annotation.crrSyncContainerStatuses]));
    const acquiredAt = timeOf(filled(annotations[annotation.crrUnreadyAcquired]));
    if (containerStatusSnapshot === undefined && acquiredAt === undefined) return converted;
    const status = fieldsOf((object as unknown as Fields)["status"]);
    const changes: Record<string, unknown> = {};
    if (containerStatusSnapshot !== undefined) changes["containerStatusSnapshot"] = containerStatusSnapshot;
    if (acquiredAt !== undefined) changes["conditions"] = withGrace(itemsOf(status["conditions"]), acquiredAt);
    return withFields(converted, { status: withFields(status, changes) });
  },

  fromStorage(object) {
    const status = fieldsOf((object as unknown as Fields)["status"]);
    const snapshot = status["containerStatusSnapshot"];
    const converted = withFields(
      { ...object, apiVersion: "apps.kruise.io/v1alpha1" },
      "containerStatusSnapshot" in status || "conditions" in status
        ? { status: withFields(status, { containerStatusSnapshot: undefined, conditions: undefined }) }
        : {},
    );
    const changes: Record<string, unknown> = {};
    const annotations = annotationsOf(object);
    const said = snapshotOf(filled(annotations[annotation.crrSyncContainerStatuses]));
    if (Array.isArray(snapshot) && !deepEqual(said, snapshot))
      changes[annotation.crrSyncContainerStatuses] = JSON.stringify(entriesOf(snapshot));
    const acquiredAt = graceOf(status);
    if (acquiredAt !== undefined) changes[annotation.crrUnreadyAcquired] = acquiredAt;
    return withMetadata(converted, "annotations", changes);
  },
};

function snapshotOf(text: string | undefined): readonly Fields[] | undefined {
  const parsed = parsedOr(text, undefined);
  return Array.isArray(parsed) ? entriesOf(parsed) : undefined;
}

/** With their fields in the order in which OpenKruise writes them: the annotation is a text. */
function entriesOf(items: readonly unknown[]): readonly Fields[] {
  return items.map((item) => {
    const { name, ready, restartCount, containerID } = fieldsOf(item);
    return {
      name: textOf(name),
      ready: ready === true,
      restartCount: typeof restartCount === "number" ? restartCount : 0,
      ...(textOf(containerID) === "" ? {} : { containerID }),
    };
  });
}

function parsedOr(text: string | undefined, otherwise: undefined): unknown {
  try {
    return text === undefined ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Whole seconds in UTC, as Kubernetes writes times. */
function timeOf(text: string | undefined): string | undefined {
  if (text === undefined || !rfc3339.test(text)) return undefined;
  const timeMs = Date.parse(text);
  return Number.isNaN(timeMs) ? undefined : new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}

function withGrace(conditions: readonly unknown[], acquiredAt: string): readonly unknown[] {
  const grace = {
    type: conditionType.preRecreateGrace,
    status: "True",
    lastTransitionTime: acquiredAt,
    reason: conditionType.preRecreateGrace,
    message: "the pod has been forced to be not-ready",
  };
  return [...conditions.filter((condition) => fieldsOf(condition)["type"] !== grace.type), grace];
}

function graceOf(status: Fields): string | undefined {
  const grace = itemsOf(status["conditions"])
    .map(fieldsOf)
    .find((condition) => condition["type"] === conditionType.preRecreateGrace && condition["status"] === "True");
  return timeOf(textOf(grace?.["lastTransitionTime"]));
}
