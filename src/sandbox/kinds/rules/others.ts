/** Kinds that nobody in the sandbox acts on, or few: they are refused where a cluster would refuse them, so that manifests can be checked. */
import { fillAbsent, fillZero, inField, inItems } from "../../../kube/defaults/fill.ts";
import { deepEqual, type Fields, fieldsOf, isAbsent, itemsOf, textOf, withFields } from "../../../kube/json.ts";
import type { FieldErrors } from "../../../kube/validate/field-error.ts";
import { labelProblems, portNameProblems, portNumberProblems, subdomainProblems } from "../../../kube/validate/names.ts";
import type { Stored } from "../../storage/store.ts";
import type { Rules } from "../resource.ts";
import { collect, keptStatus, specGeneration, specOf, withSpec } from "./common.ts";

// autoscaling

/** A target that one says nothing about is the share of a CPU. */
const metricsDefault = [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } }];

function checkAutoscaler(errors: FieldErrors, object: Stored): void {
  const { minReplicas, maxReplicas = 0, scaleTargetRef, metrics } = specOf(object);
  if (Number(minReplicas) < 1) errors.invalid("spec.minReplicas", minReplicas, "must be greater than or equal to 1");
  if (Number(maxReplicas) < 1) errors.invalid("spec.maxReplicas", maxReplicas, "must be greater than 0");
  if (Number(maxReplicas) < Number(minReplicas))
    errors.invalid("spec.maxReplicas", maxReplicas, "must be greater than or equal to `minReplicas`");
  for (const field of ["kind", "name"]) if (textOf(fieldsOf(scaleTargetRef)[field]) === "") errors.required(`spec.scaleTargetRef.${field}`);
  for (const [index, metric] of itemsOf(metrics).map(fieldsOf).entries()) checkMetric(errors, metric, `spec.metrics[${index}]`);
}

const sources: Readonly<Record<string, string>> = {
  ContainerResource: "containerResource",
  External: "external",
  Object: "object",
  Pods: "pods",
  Resource: "resource",
};

function checkMetric(errors: FieldErrors, metric: Fields, at: string): void {
  const type = textOf(metric["type"]);
  const field = sources[type];
  if (type === "") errors.required(`${at}.type`, "must specify a metric source type");
  else if (field === undefined) errors.notSupported(`${at}.type`, type, Object.keys(sources));
  else if (metric[field] === undefined) errors.required(`${at}.${field}`, `must populate information for the given metric source`);
}

const autoscalerRules: Rules = {
  ...keptStatus,
  withDefaults: (object) =>
    withSpec(object, (spec) => {
      const filled = fillAbsent(spec, { minReplicas: 1 });
      return itemsOf(filled["metrics"]).length > 0 ? filled : withFields(filled, { metrics: metricsDefault });
    }),
  validate: (object) => collect((errors) => checkAutoscaler(errors, object)),
};

// networking

function checkIngress(errors: FieldErrors, object: Stored): void {
  const { rules, defaultBackend, ingressClassName } = specOf(object);
  if (itemsOf(rules).length === 0 && defaultBackend === undefined)
    errors.invalid("spec", null, "either `defaultBackend` or `rules` must be specified");
  if (defaultBackend !== undefined) checkBackend(errors, fieldsOf(defaultBackend), "spec.defaultBackend");
  for (const [index, rule] of itemsOf(rules).map(fieldsOf).entries()) {
    const at = `spec.rules[${index}]`;
    const host = textOf(rule["host"]);
    if (host !== "" && !host.startsWith("*.")) errors.invalidAll(`${at}.host`, host, subdomainProblems(host));
    const paths = fieldsOf(rule["http"])["paths"];
    if (rule["http"] !== undefined && itemsOf(paths).length === 0) errors.required(`${at}.http.paths`);
    for (const [place, path] of itemsOf(paths).map(fieldsOf).entries()) checkPath(errors, path, `${at}.http.paths[${place}]`);
  }
  if (ingressClassName !== undefined)
    errors.invalidAll("spec.ingressClassName", ingressClassName, subdomainProblems(textOf(ingressClassName)));
}

const pathTypes = ["Exact", "ImplementationSpecific", "Prefix"];

function checkPath(errors: FieldErrors, path: Fields, at: string): void {
  const { pathType } = path;
  if (pathType === undefined) {
    errors.required(`${at}.pathType`, "pathType must be specified");
    return;
  }
  const text = textOf(path["path"]);
  if (!pathTypes.includes(textOf(pathType))) errors.notSupported(`${at}.pathType`, pathType, pathTypes);
  else if (!text.startsWith("/") && (text !== "" || pathType !== "ImplementationSpecific"))
    errors.invalid(`${at}.path`, text, "must be an absolute path");
  checkBackend(errors, fieldsOf(path["backend"]), `${at}.backend`);
}

function checkBackend(errors: FieldErrors, { resource, service }: Fields, at: string): void {
  if (resource !== undefined && service !== undefined) errors.invalid(at, "", "cannot set both resource and service backends");
  else if (resource === undefined && service === undefined) errors.invalid(at, "", "resource or service backend is required");
  if (service === undefined || resource !== undefined) return;
  const name = textOf(fieldsOf(service)["name"]);
  if (name === "") errors.required(`${at}.service.name`);
  else errors.invalidAll(`${at}.service.name`, name, labelProblems(name));
  const port = fieldsOf(fieldsOf(service)["port"]);
  const [portName, number] = [textOf(port["name"]), Number(port["number"] ?? 0)];
  if (portName !== "" && number !== 0) errors.invalid(at, "", "cannot set both port name & port number");
  else if (portName !== "") errors.invalidAll(`${at}.service.port.name`, portName, portNameProblems(portName));
  else if (number !== 0) errors.invalidAll(`${at}.service.port.number`, number, portNumberProblems(number));
  else errors.required(at, "port name or number is required");
}

const networkPolicyRules: Rules = {
  ...specGeneration,
  withDefaults: (object) =>
    withSpec(object, (spec) => {
      const types = ["Ingress", ...(itemsOf(spec["egress"]).length > 0 ? ["Egress"] : [])];
      const protocol = (rule: Fields) => inItems(rule, "ports", (port) => fillAbsent(port, { protocol: "TCP" }));
      return inItems(inItems(fillAbsent(spec, { policyTypes: types }), "ingress", protocol), "egress", protocol);
    }),
};

// rbac

const rbacGroup = "rbac.authorization.k8s.io";

function checkRules(errors: FieldErrors, object: Stored, namespaced: boolean): void {
  for (const [index, rule] of itemsOf(object["rules"]).map(fieldsOf).entries()) {
    const at = `rules[${index}]`;
    const none = (field: string) => itemsOf(rule[field]).length === 0;
    if (none("verbs")) errors.required(`${at}.verbs`, "verbs must contain at least one value");
    if (!none("nonResourceURLs")) {
      const urls = rule["nonResourceURLs"];
      if (namespaced) errors.invalid(`${at}.nonResourceURLs`, urls, "namespaced rules cannot apply to non-resource URLs");
      if (!none("apiGroups") || !none("resources") || !none("resourceNames"))
        errors.invalid(`${at}.nonResourceURLs`, urls, "rules cannot apply to both regular resources and non-resource URLs");
      continue;
    }
    if (none("apiGroups")) errors.required(`${at}.apiGroups`, "resource rules must supply at least one api group");
    if (none("resources")) errors.required(`${at}.resources`, "resource rules must supply at least one resource");
  }
}

const bindingRules = (namespaced: boolean): Rules => ({
  withDefaults: (object) =>
    inItems(
      inField(object, "roleRef", (role) => fillZero(role, { apiGroup: rbacGroup })),
      "subjects",
      (subject) => (subject["kind"] === "User" || subject["kind"] === "Group" ? fillZero(subject, { apiGroup: rbacGroup }) : subject),
    ) as Stored,
  validate: (object) => collect((errors) => checkBinding(errors, object, namespaced)),
  validateUpdate: (object, old) =>
    collect((errors) => {
      if (!deepEqual(object["roleRef"], old["roleRef"])) errors.invalid("roleRef", object["roleRef"] ?? null, "cannot change roleRef");
    }),
});

function checkBinding(errors: FieldErrors, object: Stored, namespaced: boolean): void {
  const { apiGroup, kind, name } = fieldsOf(object["roleRef"]);
  if (apiGroup !== rbacGroup) errors.notSupported("roleRef.apiGroup", textOf(apiGroup), [rbacGroup]);
  const kinds = namespaced ? ["Role", "ClusterRole"] : ["ClusterRole"];
  if (!kinds.includes(textOf(kind))) errors.notSupported("roleRef.kind", textOf(kind), kinds);
  if (textOf(name) === "") errors.required("roleRef.name");
  for (const [index, subject] of itemsOf(object["subjects"]).map(fieldsOf).entries()) {
    const at = `subjects[${index}]`;
    if (textOf(subject["name"]) === "") errors.required(`${at}.name`);
    const group = textOf(subject["apiGroup"]);
    if (subject["kind"] === "ServiceAccount") {
      if (group !== "") errors.notSupported(`${at}.apiGroup`, group, [""]);
      if (!namespaced && textOf(subject["namespace"]) === "") errors.required(`${at}.namespace`);
    } else if (subject["kind"] === "User" || subject["kind"] === "Group") {
      if (group !== rbacGroup) errors.notSupported(`${at}.apiGroup`, group, [rbacGroup]);
    } else errors.notSupported(`${at}.kind`, textOf(subject["kind"]), ["ServiceAccount", "User", "Group"]);
  }
}

// storage

const volumeFields: ReadonlySet<string> = new Set([
  "accessModes",
  "capacity",
  "claimRef",
  "mountOptions",
  "nodeAffinity",
  "persistentVolumeReclaimPolicy",
  "storageClassName",
  "volumeAttributesClassName",
  "volumeMode",
]);

function checkVolume(errors: FieldErrors, object: Stored): void {
  const spec = specOf(object);
  if (itemsOf(spec["accessModes"]).length === 0) errors.required("spec.accessModes");
  if (Object.keys(fieldsOf(spec["capacity"])).length === 0) errors.required("spec.capacity");
  const kinds = Object.keys(spec).filter((field) => !volumeFields.has(field) && !isAbsent(spec[field]));
  if (kinds.length === 0) errors.required("spec", "must specify a volume type");
  for (const kind of kinds.slice(1)) errors.forbidden(`spec.${kind}`, "may not specify more than 1 volume type");
}

export const otherRules: Readonly<Record<string, Rules>> = {
  "horizontalpodautoscalers.autoscaling": autoscalerRules,
  "ingresses.networking.k8s.io": {
    ...keptStatus,
    ...specGeneration,
    validate: (object) => collect((errors) => checkIngress(errors, object)),
  },
  "networkpolicies.networking.k8s.io": networkPolicyRules,
  "ingressclasses.networking.k8s.io": specGeneration,
  "roles.rbac.authorization.k8s.io": {
    validate: (object) => collect((errors) => checkRules(errors, object, true)),
    nameProblems: pathSegmentProblems,
  },
  "clusterroles.rbac.authorization.k8s.io": {
    validate: (object) => collect((errors) => checkRules(errors, object, false)),
    nameProblems: pathSegmentProblems,
  },
  "rolebindings.rbac.authorization.k8s.io": { ...bindingRules(true), nameProblems: pathSegmentProblems },
  "clusterrolebindings.rbac.authorization.k8s.io": { ...bindingRules(false), nameProblems: pathSegmentProblems },
  "storageclasses.storage.k8s.io": {
    withDefaults: (object) => fillAbsent(fillZero(object, { reclaimPolicy: "Delete" }), { volumeBindingMode: "Immediate" }) as Stored,
    validate: (object) =>
      collect((errors) => {
        if (textOf(object["provisioner"]) === "") errors.required("provisioner");
        const modes = ["Immediate", "WaitForFirstConsumer"];
        if (!modes.includes(textOf(object["volumeBindingMode"])))
          errors.notSupported("volumeBindingMode", object["volumeBindingMode"], modes);
      }),
  },
  persistentvolumes: {
    withDefaults: (object) =>
      withSpec(object, (spec) => fillAbsent(fillZero(spec, { persistentVolumeReclaimPolicy: "Retain" }), { volumeMode: "Filesystem" })),
    prepareCreate: (object) => withFields(object, { status: { phase: "Pending" } }) as Stored,
    prepareUpdate: (object, old) => withFields(object, { status: old["status"] }) as Stored,
    prepareStatus: (object, old) => withFields(object, { spec: old["spec"] }) as Stored,
    validate: (object) => collect((errors) => checkVolume(errors, object)),
  },
};

/** Names that only have to fit into a path: "system:node". */
function pathSegmentProblems(name: string): readonly string[] {
  if (name === "." || name === "..") return [`may not be '${name}'`];
  return ["/", "%"].filter((part) => name.includes(part)).map((part) => `may not contain '${part}'`);
}
