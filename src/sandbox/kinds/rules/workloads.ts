/** Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers, Jobs: defaults, what may change, what may not. */

import { fillAbsent, fillZero, inField, inItems } from "../../../kube/defaults/fill.ts";
import { defaultPodTemplate, mirrorServiceAccount } from "../../../kube/defaults/pod.ts";
import { parseIntOrPercent, scaledCount } from "../../../kube/int-or-percent.ts";
import { deepEqual, type Fields, fieldsOf, isAbsent, textOf, withFields } from "../../../kube/json.ts";
import type { FieldErrors } from "../../../kube/validate/field-error.ts";
import type { Stored } from "../../storage/store.ts";
import type { Rules } from "../resource.ts";
import { parseSchedule } from "../schedule.ts";
import {
  checkNonNegative,
  checkRestartPolicy,
  checkWorkload,
  collect,
  immutable,
  keptStatus,
  specGeneration,
  specOf,
  withMeta,
  withSpec,
} from "./common.ts";

const template = (spec: Fields): Fields =>
  inField(spec, "template", (child) => inField(defaultPodTemplate(child), "spec", mirrorServiceAccount));

/** A workload without labels takes those of its template. */
function labelled(object: Stored): Stored {
  const labels = fieldsOf(fieldsOf(specOf(object)["template"])["metadata"])["labels"];
  return Object.keys(object.metadata.labels ?? {}).length === 0 && labels !== undefined ? withMeta(object, { labels }) : object;
}

function checkBudget(errors: FieldErrors, value: unknown, path: string): void {
  if (isAbsent(value)) return;
  const parsed = parseIntOrPercent(value);
  if (parsed === undefined)
    errors.invalid(
      path,
      value,
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    );
  else if (typeof value === "number" && value < 0) errors.invalid(path, value, "must be greater than or equal to 0");
}

const deploymentRules: Rules = {
  ...keptStatus,
  ...specGeneration,
  withDefaults: (object) =>
    withSpec(object, (spec) => {
      const filled = template(fillAbsent(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {} }));
      return inField(filled, "strategy", (strategy) => {
        const typed = fillZero(strategy, { type: "RollingUpdate" });
        if (typed["type"] !== "RollingUpdate") return typed;
        return inField(fillAbsent(typed, { rollingUpdate: {} }), "rollingUpdate", (rolling) =>
          fillAbsent(rolling, { maxUnavailable: "25%", maxSurge: "25%" }),
        );
      });
    }),
  validate: (object) =>
    collect((errors) => {
      const spec = specOf(object);
      checkNonNegative(errors, spec, ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"]);
      checkWorkload(errors, spec, "deployment");
      checkRestartPolicy(errors, spec, ["Always"]);
      const strategy = fieldsOf(spec["strategy"]);
      if (strategy["type"] === "Recreate" && !isAbsent(strategy["rollingUpdate"]))
        errors.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
      else if (strategy["type"] !== "Recreate" && strategy["type"] !== "RollingUpdate")
        errors.notSupported("spec.strategy", { Type: strategy["type"], RollingUpdate: strategy["rollingUpdate"] ?? null }, [
          "Recreate",
          "RollingUpdate",
        ]);
      const { maxSurge, maxUnavailable } = fieldsOf(strategy["rollingUpdate"]);
      checkBudget(errors, maxUnavailable, "spec.strategy.rollingUpdate.maxUnavailable");
      checkBudget(errors, maxSurge, "spec.strategy.rollingUpdate.maxSurge");
      if (strategy["type"] === "RollingUpdate" && scaledCount(maxSurge, 100, "up") === 0 && scaledCount(maxUnavailable, 100, "up") === 0)
        errors.invalid("spec.strategy.rollingUpdate.maxUnavailable", maxUnavailable, "may not be 0 when `maxSurge` is 0");
      const { minReadySeconds, progressDeadlineSeconds } = spec;
      if (typeof progressDeadlineSeconds === "number" && progressDeadlineSeconds <= Number(minReadySeconds ?? 0))
        errors.invalid("spec.progressDeadlineSeconds", progressDeadlineSeconds, "must be greater than minReadySeconds");
    }),
  validateUpdate: (object, old) =>
    collect((errors) => immutable(errors, specOf(object)["selector"], specOf(old)["selector"], "spec.selector")),
};

const replicaSetRules: Rules = {
  ...keptStatus,
  ...specGeneration,
  prepareCreate: (object) => withFields(object, { status: { replicas: 0 } }) as Stored,
  withDefaults: (object) => withSpec(object, (spec) => template(fillAbsent(spec, { replicas: 1 }))),
  validate: (object) =>
    collect((errors) => {
      const spec = specOf(object);
      checkNonNegative(errors, spec, ["replicas", "minReadySeconds"]);
      checkWorkload(errors, spec, "deployment");
      checkRestartPolicy(errors, spec, ["Always"]);
    }),
  validateUpdate: (object, old) =>
    collect((errors) => immutable(errors, specOf(object)["selector"], specOf(old)["selector"], "spec.selector")),
};

const statefulSetFields = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;

const claimTemplate = (claim: Fields): Fields =>
  inField(fillAbsent({ ...claim, apiVersion: "v1", kind: "PersistentVolumeClaim" }, { status: {} }), "status", (status) =>
    fillZero(status, { phase: "Pending" }),
  );

const statefulSetRules: Rules = {
  ...keptStatus,
  ...specGeneration,
  prepareCreate: (object) => withFields(object, { status: { replicas: 0, availableReplicas: 0 } }) as Stored,
  withDefaults: (object) =>
    withSpec(object, (spec) => {
      let filled = fillAbsent(spec, {
        replicas: 1,
        revisionHistoryLimit: 10,
        updateStrategy: {},
        persistentVolumeClaimRetentionPolicy: {},
      });
      filled = template(fillZero(filled, { podManagementPolicy: "OrderedReady" }));
      filled = inField(filled, "persistentVolumeClaimRetentionPolicy", (policy) =>
        fillZero(policy, { whenDeleted: "Retain", whenScaled: "Retain" }),
      );
      filled = inItems(filled, "volumeClaimTemplates", (claim) =>
        inField(claimTemplate(claim), "spec", (inner) => fillAbsent(inner, { volumeMode: "Filesystem" })),
      );
      return inField(filled, "updateStrategy", (strategy) => {
        const typed = fillZero(strategy, { type: "RollingUpdate" });
        if (typed["type"] !== "RollingUpdate") return typed;
        return inField(fillAbsent(typed, { rollingUpdate: {} }), "rollingUpdate", (rolling) => fillAbsent(rolling, { partition: 0 }));
      });
    }),
  validate: (object) =>
    collect((errors) => {
      const spec = specOf(object);
      checkNonNegative(errors, spec, ["replicas", "minReadySeconds", "revisionHistoryLimit"]);
      checkWorkload(errors, spec, "statefulset");
      checkRestartPolicy(errors, spec, ["Always"]);
      const strategy = fieldsOf(spec["updateStrategy"])["type"];
      if (strategy !== "RollingUpdate" && strategy !== "OnDelete")
        errors.invalid("spec.updateStrategy", fieldsOf(spec["updateStrategy"]), "must be 'RollingUpdate' or 'OnDelete'");
      const policy = spec["podManagementPolicy"];
      if (policy !== "OrderedReady" && policy !== "Parallel")
        errors.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'");
    }),
  validateUpdate: (object, old) =>
    collect((errors) => {
      const rest = Object.fromEntries(statefulSetFields.map((field) => [field, undefined]));
      if (!deepEqual(withFields(specOf(object), rest), withFields(specOf(old), rest)))
        errors.forbidden(
          "spec",
          "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
    }),
};

const daemonSetRules: Rules = {
  ...keptStatus,
  ...specGeneration,
  prepareCreate: (object) =>
    withFields(object, {
      status: { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 },
    }) as Stored,
  withDefaults: (object) =>
    withSpec(object, (spec) => {
      const filled = template(fillAbsent(spec, { revisionHistoryLimit: 10, updateStrategy: {} }));
      return inField(filled, "updateStrategy", (strategy) => {
        const typed = fillZero(strategy, { type: "RollingUpdate" });
        if (typed["type"] !== "RollingUpdate") return typed;
        return inField(fillAbsent(typed, { rollingUpdate: {} }), "rollingUpdate", (rolling) =>
          fillAbsent(rolling, { maxUnavailable: 1, maxSurge: 0 }),
        );
      });
    }),
  validate: (object) =>
    collect((errors) => {
      const spec = specOf(object);
      checkNonNegative(errors, spec, ["minReadySeconds", "revisionHistoryLimit"]);
      checkWorkload(errors, spec, "daemonset");
      checkRestartPolicy(errors, spec, ["Always"]);
    }),
  validateUpdate: (object, old) =>
    collect((errors) => immutable(errors, specOf(object)["selector"], specOf(old)["selector"], "spec.selector")),
};

const jobLabels = (object: Stored): Fields => ({
  "batch.kubernetes.io/controller-uid": object.metadata.uid,
  "batch.kubernetes.io/job-name": object.metadata.name,
  "controller-uid": object.metadata.uid,
  "job-name": object.metadata.name,
});

const jobRules: Rules = {
  ...keptStatus,
  ...specGeneration,
  orphanByDefault: true,
  prepareCreate: (object) => {
    const spec = specOf(object);
    const manual = spec["manualSelector"] === true;
    const chosen = manual
      ? spec
      : inField(
          withFields(spec, {
            selector: { matchLabels: { "batch.kubernetes.io/controller-uid": object.metadata.uid } },
            template: fillAbsent(fieldsOf(spec["template"]), { metadata: {} }),
          }),
          "template",
          (child) =>
            inField(child, "metadata", (meta) => withFields(meta, { labels: { ...fieldsOf(meta["labels"]), ...jobLabels(object) } })),
        );
    return labelled(withFields(object, { spec: chosen, status: {} }) as Stored);
  },
  withDefaults: (object) =>
    withSpec(object, (spec) => {
      const both = isAbsent(spec["completions"]) && isAbsent(spec["parallelism"]) ? { completions: 1, parallelism: 1 } : { parallelism: 1 };
      const filled = fillAbsent(spec, {
        ...both,
        backoffLimit: 6,
        completionMode: "NonIndexed",
        suspend: false,
        manualSelector: undefined,
      });
      return template(
        fillAbsent(withFields(filled, {}), { podReplacementPolicy: isAbsent(spec["podFailurePolicy"]) ? "TerminatingOrFailed" : "Failed" }),
      );
    }),
  validate: (object) =>
    collect((errors) => {
      const spec = specOf(object);
      checkNonNegative(errors, spec, ["completions", "parallelism", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"]);
      checkWorkload(errors, spec, "job");
      const policy = fieldsOf(fieldsOf(spec["template"])["spec"])["restartPolicy"];
      if (policy === "Always") errors.required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"');
    }),
  validateUpdate: (object, old) =>
    collect((errors) => {
      for (const field of ["completions", "selector", "completionMode"] as const)
        immutable(errors, specOf(object)[field], specOf(old)[field], `spec.${field}`);
      if (specOf(old)["suspend"] !== true) immutable(errors, specOf(object)["template"], specOf(old)["template"], "spec.template");
    }),
};

const cronJobRules: Rules = {
  ...keptStatus,
  ...specGeneration,
  withDefaults: (object) =>
    withSpec(object, (spec) =>
      inField(
        fillAbsent(fillZero(spec, { concurrencyPolicy: "Allow" }), {
          suspend: false,
          successfulJobsHistoryLimit: 3,
          failedJobsHistoryLimit: 1,
        }),
        "jobTemplate",
        (job) => inField(job, "spec", template),
      ),
    ),
  validate: (object) => collect((errors) => checkCronJob(errors, object)),
};

const concurrencyPolicies = ["Allow", "Forbid", "Replace"];

function checkCronJob(errors: FieldErrors, object: Stored): void {
  const spec = specOf(object);
  const schedule = textOf(spec["schedule"]);
  const parsed = parseSchedule(schedule);
  if (schedule === "") errors.required("spec.schedule");
  else if (typeof parsed === "string") errors.invalid("spec.schedule", schedule, parsed);
  if (!concurrencyPolicies.includes(textOf(spec["concurrencyPolicy"])))
    errors.notSupported("spec.concurrencyPolicy", spec["concurrencyPolicy"], concurrencyPolicies);
  checkNonNegative(errors, spec, ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]);
}

const replicationControllerRules: Rules = {
  ...keptStatus,
  ...specGeneration,
  orphanByDefault: true,
  prepareCreate: (object) => withFields(object, { status: { replicas: 0 } }) as Stored,
  withDefaults: (object) =>
    labelled(
      withSpec(object, (spec) => {
        const labels = fieldsOf(fieldsOf(spec["template"])["metadata"])["labels"];
        return template(fillAbsent(spec, { replicas: 1, ...(labels === undefined ? {} : { selector: labels }) }));
      }),
    ),
  fields: (object) => ({ "status.replicas": String(fieldsOf(object["status"])["replicas"] ?? 0) }),
};

export const workloadRules: Readonly<Record<string, Rules>> = {
  "deployments.apps": deploymentRules,
  "replicasets.apps": { ...replicaSetRules, fields: replicationControllerRules.fields as NonNullable<Rules["fields"]> },
  "statefulsets.apps": statefulSetRules,
  "daemonsets.apps": daemonSetRules,
  "jobs.batch": { ...jobRules, fields: (object) => ({ "status.successful": String(fieldsOf(object["status"])["succeeded"] ?? 0) }) },
  "cronjobs.batch": cronJobRules,
  replicationcontrollers: replicationControllerRules,
};
