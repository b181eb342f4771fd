/** What admission fills in, in both versions. Whatever the JSON, there is an answer; parts of the wrong shape stay as they are. */
import type { Gates } from "../../api/gates.ts";
import { defaultPodTemplate, workloadDefaults } from "../../kube/defaults/pod.ts";
import { defaultClaimTemplate } from "../../kube/defaults/volume.ts";
import { deepEqual, type Fields, fieldsOf, isAbsent, isFields, mapShared, withFields } from "../../kube/json.ts";

export type CloneSetVersion = "v1alpha1" | "v1beta1";

const defaultReplicas = 1;
const defaultRevisionHistoryLimit = 10;
const rollingDefaults = { partition: 0, maxUnavailable: "20%", maxSurge: 0 } as const;

/** @param old what is stored, in the same version; absent on CREATE */
export function defaultCloneSet(object: Fields, version: CloneSetVersion, gates: Gates, old?: Fields): Fields {
  const spec = isAbsent(object["spec"]) ? {} : object["spec"];
  if (!isFields(spec)) return object;
  const strategy = isAbsent(spec["updateStrategy"]) ? {} : spec["updateStrategy"];
  const oldStrategy = fieldsOf(fieldsOf(old?.["spec"])["updateStrategy"]);
  const fill = version === "v1beta1" ? strategyV1Beta1 : strategyV1Alpha1;
  const defaulted = withFields(spec, {
    ...(isAbsent(spec["replicas"]) ? { replicas: defaultReplicas } : {}),
    ...(isAbsent(spec["revisionHistoryLimit"]) ? { revisionHistoryLimit: defaultRevisionHistoryLimit } : {}),
    ...(isFields(strategy) ? { updateStrategy: fill(strategy, oldStrategy) } : {}),
  });
  return withFields(object, { spec: withTemplates(defaulted, gates, old) });
}

function withTemplates(spec: Fields, gates: Gates, old: Fields | undefined): Fields {
  const given = spec["template"];
  if (!isFields(given)) return spec;
  // `kubectl kruise rollout undo` sends a revision's data as a merge patch, directive and all.
  const template = withFields(given, { $patch: undefined });
  const plain = withFields(spec, { template });
  if (gates.enabled("TemplateNoDefaults")) return plain;
  if (old !== undefined && deepEqual(fieldsOf(old["spec"])["template"], template)) return plain;
  const claims = spec["volumeClaimTemplates"];
  return withFields(plain, {
    template: defaultPodTemplate(template, {
      ...workloadDefaults,
      hostPorts: gates.enabled("DefaultHostNetworkHostPortsInPodTemplates"),
    }),
    ...(Array.isArray(claims)
      ? { volumeClaimTemplates: mapShared(claims, (claim) => (isFields(claim) ? defaultClaimTemplate(claim) : claim)) }
      : {}),
  });
}

// What conversion drops on the way to storage or back is filled in once, not at every write: else each write would look like a change.

function strategyV1Alpha1(strategy: Fields, old: Fields): Fields {
  const typed = isEmpty(strategy["type"]) ? withFields(strategy, { type: "ReCreate" }) : strategy;
  if (typed["type"] === "OnDelete" && old["type"] === "OnDelete") return typed;
  return withRollingDefaults(withInPlaceStrategy(typed, "type", old));
}

function strategyV1Beta1(strategy: Fields, old: Fields): Fields {
  const typed = isEmpty(strategy["type"]) ? withFields(strategy, { type: "RollingUpdate" }) : strategy;
  const rolling = isAbsent(typed["rollingUpdate"]) ? {} : typed["rollingUpdate"];
  if (typed["type"] !== "RollingUpdate" || !isFields(rolling)) return typed;
  const policed = isEmpty(rolling["podUpdatePolicy"]) ? withFields(rolling, { podUpdatePolicy: "ReCreate" }) : rolling;
  const oldRolling = fieldsOf(old["rollingUpdate"]);
  return withFields(typed, { rollingUpdate: withRollingDefaults(withInPlaceStrategy(policed, "podUpdatePolicy", oldRolling)) });
}

const isInPlace = (policy: unknown): boolean => policy === "InPlaceIfPossible" || policy === "InPlaceOnly";

/** @param policy the name of the field that says how pods are updated */
function withInPlaceStrategy(fields: Fields, policy: "type" | "podUpdatePolicy", old: Fields): Fields {
  const goesWithout = isInPlace(old[policy]) && isAbsent(old["inPlaceUpdateStrategy"]);
  const missing = isInPlace(fields[policy]) && isAbsent(fields["inPlaceUpdateStrategy"]);
  return missing && !goesWithout ? withFields(fields, { inPlaceUpdateStrategy: {} }) : fields;
}

function withRollingDefaults(fields: Fields): Fields {
  return withFields(fields, Object.fromEntries(Object.entries(rollingDefaults).filter(([name]) => isAbsent(fields[name]))));
}

const isEmpty = (value: unknown): boolean => isAbsent(value) || value === "";
