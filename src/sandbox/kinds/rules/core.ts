/** The smaller kinds of the core group and their like. */
import { fillAbsent, fillZero, inField, inItems } from "../../../kube/defaults/fill.ts";
import { deepEqual, type Fields, fieldsOf, isAbsent, itemsOf, textOf, withFields } from "../../../kube/json.ts";
import { validateClaim } from "../../../kube/validate/claims.ts";
import { type FieldError, FieldErrors } from "../../../kube/validate/field-error.ts";
import { configKeyProblems, labelProblems, portNumberProblems } from "../../../kube/validate/names.ts";
import type { Stored } from "../../storage/store.ts";
import type { Rules } from "../resource.ts";
import { collect, immutable, keptStatus, specGeneration, specOf, statusOf, withMeta, withSpec } from "./common.ts";

function checkKeys(errors: FieldErrors, object: Stored, fields: readonly string[]): void {
  for (const field of fields)
    for (const key of Object.keys(fieldsOf(object[field]))) errors.invalidAll(`${field}[${key}]`, key, configKeyProblems(key));
}

function checkImmutableData(object: Stored, old: Stored, fields: readonly string[]): readonly FieldError[] {
  return collect((errors) => {
    if (old["immutable"] !== true) return;
    if (object["immutable"] !== true) errors.forbidden("immutable", "field is immutable when `immutable` is set");
    for (const field of fields)
      if (!deepEqual(object[field] ?? {}, old[field] ?? {})) errors.forbidden(field, "field is immutable when `immutable` is set");
  });
}

const configMapRules: Rules = {
  validate: (object) => collect((errors) => checkKeys(errors, object, ["data", "binaryData"])),
  validateUpdate: (object, old) => checkImmutableData(object, old, ["data", "binaryData"]),
};

const secretRules: Rules = {
  withDefaults: (object) => {
    const given = fieldsOf(object["stringData"]);
    const encoded = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, Buffer.from(textOf(value)).toString("base64")]));
    const merged =
      object["stringData"] === undefined
        ? object
        : withFields(object, { stringData: undefined, data: { ...fieldsOf(object["data"]), ...encoded } });
    return fillZero(merged, { type: "Opaque" }) as Stored;
  },
  validate: (object) =>
    collect((errors) => {
      checkKeys(errors, object, ["data"]);
      if (object["type"] === "kubernetes.io/tls")
        for (const key of ["tls.crt", "tls.key"]) if (fieldsOf(object["data"])[key] === undefined) errors.required(`data[${key}]`);
    }),
  validateUpdate: (object, old) => {
    const errors = new FieldErrors();
    immutable(errors, object["type"], old["type"], "type");
    return [...errors.list, ...checkImmutableData(object, old, ["data"])];
  },
  fields: (object) => ({ type: textOf(object["type"]) }),
};

const namespaceRules: Rules = {
  nameProblems: labelProblems,
  withDefaults: (object) =>
    object.metadata.name
      ? withMeta(object, { labels: { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name } })
      : object,
  prepareCreate: (object) =>
    withFields(object, {
      metadata: { ...object.metadata, labels: { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name } },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    }) as Stored,
  prepareUpdate: (object, old) => withFields(object, { spec: old["spec"], status: old["status"] }) as Stored,
  prepareStatus: (object, old) => withFields(object, { spec: old["spec"] }) as Stored,
  fields: (object) => ({ "status.phase": textOf(statusOf(object)["phase"]) }),
};

const nodeRules: Rules = {
  prepareUpdate: (object, old) => withFields(object, { status: old["status"] }) as Stored,
  prepareStatus: (object, old) => withFields(object, { spec: old["spec"] }) as Stored,
  fields: (object) => ({ "spec.unschedulable": String(specOf(object)["unschedulable"] === true) }),
};

const claimRules: Rules = {
  withDefaults: (object) => withSpec(object, (spec) => fillAbsent(spec, { volumeMode: "Filesystem" })),
  prepareCreate: (object) => withFields(object, { status: { phase: "Pending" } }) as Stored,
  prepareUpdate: (object, old) => withFields(object, { status: old["status"] }) as Stored,
  prepareStatus: (object, old) => withFields(object, { spec: old["spec"] }) as Stored,
  validate: (object) => validateClaim(object, "").map((error) => ({ ...error, path: error.path.replace(/^\./, "") })),
  validateUpdate: (object, old) =>
    collect((errors) => {
      const unbound = specOf(old)["volumeName"] === undefined;
      const free = (spec: Fields): Fields =>
        withFields(spec, { resources: undefined, volumeAttributesClassName: undefined, ...(unbound ? { volumeName: undefined } : {}) });
      if (!deepEqual(free(specOf(object)), free(specOf(old))))
        errors.forbidden(
          "spec",
          "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        );
    }),
};

const serviceRules: Rules = {
  nameProblems: labelProblems,
  prepareCreate: (object) => withFields(object, { status: { loadBalancer: {} } }) as Stored,
  prepareUpdate: (object, old) => {
    // The addresses stay when the user does not say them again.
    const kept = specOf(old);
    const spec = fillZero(specOf(object), {
      clusterIP: kept["clusterIP"],
      ...(isAbsent(specOf(object)["clusterIPs"]) ? { clusterIPs: kept["clusterIPs"] } : {}),
    });
    return withFields(object, { spec, status: old["status"] }) as Stored;
  },
  prepareStatus: (object, old) => withFields(object, { spec: old["spec"] }) as Stored,
  withDefaults: (object) =>
    withSpec(object, (spec) => {
      const filled = fillZero(spec, { sessionAffinity: "None", type: "ClusterIP" });
      const external = filled["type"] === "ExternalName";
      const families = external
        ? filled
        : fillAbsent(filled, { ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack", internalTrafficPolicy: "Cluster" });
      return inItems(families, "ports", (port) => {
        const typed = fillZero(port, { protocol: "TCP" });
        return isAbsent(typed["targetPort"]) || typed["targetPort"] === 0 ? withFields(typed, { targetPort: typed["port"] }) : typed;
      });
    }),
  validate: (object) =>
    collect((errors) => {
      const spec = specOf(object);
      const ports = itemsOf(spec["ports"]).map(fieldsOf);
      if (ports.length === 0 && spec["clusterIP"] !== "None" && spec["type"] !== "ExternalName") errors.required("spec.ports");
      const names = new Set<string>();
      for (const [index, port] of ports.entries()) {
        const at = `spec.ports[${index}]`;
        errors.invalidAll(`${at}.port`, port["port"], portNumberProblems(Number(port["port"] ?? 0)));
        const name = textOf(port["name"]);
        if (ports.length > 1 && name === "") errors.required(`${at}.name`);
        else if (name !== "" && names.has(name)) errors.duplicate(`${at}.name`, name);
        names.add(name);
      }
      const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
      if (!types.includes(textOf(spec["type"]))) errors.notSupported("spec.type", spec["type"], types);
    }),
  validateUpdate: (object, old) =>
    collect((errors) => {
      const before = specOf(old);
      if (before["type"] === "ExternalName" || specOf(object)["type"] === "ExternalName") return;
      if (specOf(object)["clusterIP"] !== before["clusterIP"])
        errors.invalid("spec.clusterIPs[0]", [specOf(object)["clusterIP"]], "may not change once set");
    }),
};

const budgetRules: Rules = {
  ...specGeneration,
  prepareCreate: (object) =>
    withFields(object, { status: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 } }) as Stored,
  prepareUpdate: (object, old) => withFields(object, { status: old["status"] }) as Stored,
  prepareStatus: (object, old) => withFields(object, { spec: old["spec"] }) as Stored,
  validate: (object) =>
    collect((errors) => {
      const { minAvailable, maxUnavailable } = specOf(object);
      if (!isAbsent(minAvailable) && !isAbsent(maxUnavailable))
        errors.invalid("spec", specOf(object), "minAvailable and maxUnavailable cannot be both set");
    }),
};

const priorityClassRules: Rules = {
  withDefaults: (object) => fillAbsent(object, { preemptionPolicy: "PreemptLowerPriority" }) as Stored,
  generation: (object) => object["value"],
  validate: (object) =>
    collect((errors) => {
      const name = object.metadata.name ?? "";
      if (name.startsWith("system-") && name !== "system-node-critical" && name !== "system-cluster-critical")
        errors.forbidden(
          "metadata.name",
          "priority class names with 'system-' prefix are reserved for system use only. error: this class is not recognized",
        );
      else if (Number(object["value"] ?? 0) > 1_000_000_000 && !name.startsWith("system-"))
        errors.forbidden("value", "maximum allowed value of a user defined priority is 1000000000");
    }),
  validateUpdate: (object, old) =>
    collect((errors) => {
      if (Number(object["value"] ?? 0) !== Number(old["value"] ?? 0)) errors.forbidden("value", "may not be changed in an update.");
      immutable(errors, object["preemptionPolicy"], old["preemptionPolicy"], "preemptionPolicy");
    }),
};

const revisionRules: Rules = {
  validate: (object) =>
    collect((errors) => {
      if (typeof object["revision"] === "number" && object["revision"] < 0)
        errors.invalid("revision", object["revision"], "must be greater than or equal to 0");
    }),
  validateUpdate: (object, old) => collect((errors) => immutable(errors, object["data"], old["data"], "data")),
};

const leaseRules: Rules = {
  validate: (object) =>
    collect((errors) => {
      const { leaseDurationSeconds: seconds, leaseTransitions: transitions } = specOf(object);
      if (typeof seconds === "number" && seconds <= 0) errors.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
      if (typeof transitions === "number" && transitions < 0)
        errors.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0");
    }),
};

function checkWebhooks(errors: FieldErrors, object: Stored): void {
  const names = new Set<string>();
  for (const [index, webhook] of itemsOf(object["webhooks"]).map(fieldsOf).entries()) {
    const at = `webhooks[${index}]`;
    const name = textOf(webhook["name"]);
    if (name === "") errors.required(`${at}.name`);
    else if (name.split(".").length < 3)
      errors.invalid(`${at}.name`, name, "should be a domain with at least three segments separated by dots");
    else if (names.has(name)) errors.duplicate(`${at}.name`, name);
    names.add(name);
    const effects = webhook["sideEffects"];
    if (effects === undefined) errors.required(`${at}.sideEffects`, "must specify one of None, NoneOnDryRun");
    else if (effects !== "None" && effects !== "NoneOnDryRun") errors.notSupported(`${at}.sideEffects`, effects, ["None", "NoneOnDryRun"]);
    const versions = itemsOf(webhook["admissionReviewVersions"]);
    if (versions.length === 0) errors.required(`${at}.admissionReviewVersions`, "must specify one of v1, v1beta1");
    else if (!versions.includes("v1") && !versions.includes("v1beta1"))
      errors.invalid(`${at}.admissionReviewVersions`, versions, "must include at least one of v1, v1beta1");
    const seconds = Number(webhook["timeoutSeconds"]);
    if (seconds > 30 || seconds < 1) errors.invalid(`${at}.timeoutSeconds`, seconds, "the timeout value must be between 1 and 30 seconds");
    const { url, service } = fieldsOf(webhook["clientConfig"]);
    if ((url === undefined) === (service === undefined)) errors.required(`${at}.clientConfig`, "exactly one of url or service is required");
    if (url !== undefined && !textOf(url).startsWith("https://"))
      errors.invalid(
        `${at}.clientConfig.url`,
        textOf(url).split(":")[0],
        "'https' is the only allowed URL scheme; desired format: https://host[/path]",
      );
  }
}

const webhookRules: Rules = {
  generation: (object) => object["webhooks"],
  withDefaults: (object) =>
    inItems(object, "webhooks", (webhook) => {
      const filled = fillAbsent(webhook, {
        failurePolicy: "Fail",
        matchPolicy: "Equivalent",
        timeoutSeconds: 10,
        namespaceSelector: {},
        objectSelector: {},
        ...(object.kind === "MutatingWebhookConfiguration" ? { reinvocationPolicy: "Never" } : {}),
      });
      return inField(
        inItems(filled, "rules", (rule) => fillAbsent(rule, { scope: "*" })),
        "clientConfig",
        (config) => inField(config, "service", (service) => fillAbsent(service, { port: 443 })),
      );
    }) as Stored,
  validate: (object) => collect((errors) => checkWebhooks(errors, object)),
};

/** Core events name their subject "involvedObject". */
const eventFields = (object: Stored): Readonly<Record<string, string>> => {
  const involved = fieldsOf(object["involvedObject"]);
  const named = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"] as const;
  return {
    ...Object.fromEntries(named.map((field) => [`involvedObject.${field}`, textOf(involved[field])])),
    ...Object.fromEntries(named.map((field) => [`regarding.${field}`, textOf(involved[field])])),
    reason: textOf(object["reason"]),
    reportingComponent: textOf(object["reportingComponent"]) || textOf(fieldsOf(object["source"])["component"]),
    source: textOf(fieldsOf(object["source"])["component"]) || textOf(object["reportingComponent"]),
    type: textOf(object["type"]),
  };
};

export const coreRules: Readonly<Record<string, Rules>> = {
  configmaps: configMapRules,
  secrets: secretRules,
  namespaces: namespaceRules,
  nodes: nodeRules,
  persistentvolumeclaims: claimRules,
  services: serviceRules,
  events: { fields: eventFields },
  resourcequotas: keptStatus,
  "events.events.k8s.io": { fields: eventFields },
  "poddisruptionbudgets.policy": budgetRules,
  "priorityclasses.scheduling.k8s.io": priorityClassRules,
  "controllerrevisions.apps": revisionRules,
  "leases.coordination.k8s.io": leaseRules,
  "mutatingwebhookconfigurations.admissionregistration.k8s.io": webhookRules,
  "validatingwebhookconfigurations.admissionregistration.k8s.io": webhookRules,
};
