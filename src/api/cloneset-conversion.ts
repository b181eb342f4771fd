/** CloneSet between v1alpha1 and v1beta1: rolling-update fields move one level down, two switches turn around or move to a label. */
import { type Fields, fieldsOf, isAbsent, isFields, withFields } from "../kube/json.ts";
import type { KubeObject } from "../kube/types.ts";
import { annotationsOf, filled, int32Of, labelsOf, withMetadata, withPart } from "./conversion.ts";
import type { VersionConversion } from "./definition.ts";
import { annotation, label } from "./names.ts";

export const cloneSetConversion: VersionConversion = {
  toStorage(object) {
    const excludePreparingDelete = labelsOf(object)[label.cloneSetExcludePreparingDelete] === "true";
    return withPart({ ...object, apiVersion: "apps.kruise.io/v1beta1" }, "spec", (spec) =>
      withFields(spec, {
        scaleStrategy: scaleStrategyUp(fieldsOf(spec["scaleStrategy"]), excludePreparingDelete),
        updateStrategy: updateStrategyUp(fieldsOf(spec["updateStrategy"]), annotationsOf(object)),
      }),
    );
  },

  fromStorage(object) {
    const spec = fieldsOf((object as unknown as Fields)["spec"]);
    const converted = withPart({ ...object, apiVersion: "apps.kruise.io/v1alpha1" }, "spec", () =>
      withFields(spec, {
        scaleStrategy: scaleStrategyDown(fieldsOf(spec["scaleStrategy"])),
        updateStrategy: updateStrategyDown(fieldsOf(spec["updateStrategy"])),
      }),
    );
    return withPreDownloadAnnotations(withExclusionLabel(converted, spec), fieldsOf(spec["updateStrategy"]));
  },
};

function scaleStrategyUp(before: Fields, excludePreparingDelete: boolean): Fields {
  return withFields(before, {
    disablePVCReuse: undefined,
    enablePVCReuse: before["disablePVCReuse"] !== true,
    excludePreparingDelete: excludePreparingDelete || undefined,
  });
}

function scaleStrategyDown(before: Fields): Fields | undefined {
  const after = withFields(before, {
    enablePVCReuse: undefined,
    excludePreparingDelete: undefined,
    disablePVCReuse: before["enablePVCReuse"] === true ? undefined : true,
  });
  return Object.keys(after).length > 0 ? after : undefined;
}

const policies: readonly unknown[] = ["ReCreate", "InPlaceIfPossible", "InPlaceOnly"];
const policyOf = (value: unknown): unknown => (policies.includes(value) ? value : "ReCreate");

const rollingUpdateFields = [
  "partition",
  "maxUnavailable",
  "maxSurge",
  "paused",
  "priorityStrategy",
  "scatterStrategy",
  "inPlaceUpdateStrategy",
] as const;
const noRollingUpdate: Fields = Object.fromEntries(rollingUpdateFields.map((field) => [field, undefined]));

function updateStrategyUp(before: Fields, annotations: Fields): Fields {
  if (before["type"] === "OnDelete") return withFields(before, noRollingUpdate);
  const moved: Record<string, unknown> = { podUpdatePolicy: policyOf(before["type"]) };
  for (const field of rollingUpdateFields) if (!isAbsent(before[field])) moved[field] = before[field];
  const inPlaceUpdateStrategy = inPlaceUpdateStrategyUp(before["inPlaceUpdateStrategy"], annotations);
  return withFields(before, {
    ...noRollingUpdate,
    type: "RollingUpdate",
    rollingUpdate: withFields(moved, { inPlaceUpdateStrategy }),
  });
}

function updateStrategyDown(before: Fields): Fields {
  const rollingUpdate = fieldsOf(before["rollingUpdate"]);
  const moved: Record<string, unknown> = {};
  for (const field of rollingUpdateFields) if (!isAbsent(rollingUpdate[field])) moved[field] = rollingUpdate[field];
  return withFields(before, {
    ...moved,
    inPlaceUpdateStrategy: inPlaceUpdateStrategyDown(rollingUpdate["inPlaceUpdateStrategy"]),
    rollingUpdate: undefined,
    type: before["type"] === "OnDelete" ? "OnDelete" : policyOf(rollingUpdate["podUpdatePolicy"]),
  });
}

/** v1alpha1 keeps these in annotations; the fields of the same name in its schema never meant anything. */
const preDownloads = [
  {
    field: "imagePreDownloadParallelism",
    annotation: annotation.imagePreDownloadParallelism,
    read: (text: string | undefined) => int32Of(text) ?? text,
  },
  { field: "imagePreDownloadTimeoutSeconds", annotation: annotation.imagePreDownloadTimeoutSeconds, read: int32Of },
  { field: "imagePreDownloadMinUpdatedReadyPods", annotation: annotation.imagePreDownloadMinUpdatedReadyPods, read: int32Of },
] as const;
const noPreDownload: Fields = Object.fromEntries(preDownloads.map(({ field }) => [field, undefined]));

function inPlaceUpdateStrategyUp(before: unknown, annotations: Fields): Fields | undefined {
  const asked = preDownloads.some((setting) => filled(annotations[setting.annotation]) !== undefined);
  if (isAbsent(before) && !asked) return undefined;
  const settings = preDownloads.map((setting) => [setting.field, setting.read(filled(annotations[setting.annotation]))]);
  return withFields(fieldsOf(before), Object.fromEntries(settings));
}

function inPlaceUpdateStrategyDown(before: unknown): Fields | undefined {
  if (!isFields(before)) return undefined;
  const after = withFields(before, noPreDownload);
  const asked = preDownloads.some(({ field }) => !isAbsent(before[field]));
  const says = Object.entries(after).some(([field, value]) => field !== "gracePeriodSeconds" || (value !== 0 && !isAbsent(value)));
  return asked || says ? after : undefined;
}

/** The annotations say what the fields say, or else the next write through v1alpha1 would change the fields. */
function withPreDownloadAnnotations(object: KubeObject, updateStrategy: Fields): KubeObject {
  const rollingUpdate = updateStrategy["rollingUpdate"];
  if (!isFields(rollingUpdate)) return object;
  const fields = fieldsOf(rollingUpdate["inPlaceUpdateStrategy"]);
  const annotations = annotationsOf(object);
  const changes: Record<string, unknown> = {};
  for (const setting of preDownloads) {
    const field = fields[setting.field];
    const value = typeof field === "number" || typeof field === "string" ? field : undefined;
    const said = setting.read(filled(annotations[setting.annotation]));
    if (said === value) continue;
    changes[setting.annotation] = value === undefined ? undefined : String(value);
  }
  return withMetadata(object, "annotations", changes);
}

/** The same for the label: without it a scale through v1alpha1 would turn the setting off. */
function withExclusionLabel(object: KubeObject, spec: Fields): KubeObject {
  const excluded = fieldsOf(spec["scaleStrategy"])["excludePreparingDelete"] === true;
  const labelled = labelsOf(object)[label.cloneSetExcludePreparingDelete] === "true";
  return excluded === labelled
    ? object
    : withMetadata(object, "labels", { [label.cloneSetExcludePreparingDelete]: excluded ? "true" : undefined });
}
