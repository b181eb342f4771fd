/**
 * Pod templates and pod specs, held to the rules of kube-apiserver (up to 1.34) in its own words. The input may be any JSON: what has
 * the wrong type is reported, and nothing throws. Not repeated here: the deprecated seccomp and AppArmor annotations, and what the server's
 * feature gates decide; the server has the last word on those when a pod is made.
 */
import { normaliseAs } from "../canonical/encode.ts";
import { defaultPodSpec, defaultPodTemplate } from "../defaults/pod.ts";
import { type Fields, fieldsOf, isAbsent } from "../json.ts";
import { checkContainers, checkEnum, checkEphemeralContainers, checkInitContainers, type PodContext } from "./container.ts";
import { type FieldError, FieldErrors, keyPath } from "./field-error.ts";
import { checkAnnotations, checkLabels } from "./metadata.ts";
import { ipProblems, labelProblems, qualifiedNameProblems, rangeMessage, searchDomainProblems, subdomainProblems } from "./names.ts";
import { child, children, integer, optionalInteger, optionalText, text, texts } from "./read.ts";
import { checkResources } from "./resources.ts";
import { checkAffinity, checkSpread, checkTolerations, type SchedulingRules } from "./scheduling.ts";
import { allContainers, checkHostProcess, checkHostUsers, checkOs, checkPodSecurityContext } from "./security.ts";
import { checkShape } from "./shape.ts";
import { checkVolumes } from "./volumes.ts";

export interface PodRules {
  readonly allowInvalidPodDeletionCost: boolean;
  readonly allowIndivisibleHugePages: boolean;
  readonly allowInvalidLabelValues: boolean;
  readonly allowInvalidSpreadSelectors: boolean;
  /** The spec is a pod's own, not a template's: host ports and images are then final. */
  readonly isPod?: boolean;
  /** Names of claims that the workload adds to every pod as volumes, after the template's own. */
  readonly claimNames?: readonly string[];
}

/** As the server treats what is new. */
export const strictRules: PodRules = {
  allowInvalidPodDeletionCost: false,
  allowIndivisibleHugePages: false,
  allowInvalidLabelValues: false,
  allowInvalidSpreadSelectors: false,
};
/** As OpenKruise treats the templates of its workloads. */
export const workloadRules: PodRules = {
  allowInvalidPodDeletionCost: true,
  allowIndivisibleHugePages: true,
  allowInvalidLabelValues: true,
  allowInvalidSpreadSelectors: true,
};

/** A pod template, after defaulting a copy of it. */
export function validatePodTemplate(template: unknown, path: string, rules: PodRules = workloadRules): readonly FieldError[] {
  const errors = new FieldErrors();
  if (isAbsent(template)) errors.required(path);
  checkShape(errors, "PodTemplateSpec", template, path);
  if (errors.any) return errors.list;
  const normal = normaliseAs("PodTemplateSpec", defaultPodTemplate(fieldsOf(template))) as Fields;
  const metadata = child(normal, "metadata") ?? {};
  checkLabels(errors, metadata, "labels", `${path}.labels`);
  checkAnnotations(errors, metadata, `${path}.annotations`);
  checkDeletionCost(errors, metadata, rules, `${path}.annotations`);
  const spec = child(normal, "spec") ?? {};
  checkSpec(errors, withClaims(spec, rules), `${path}.spec`, rules);
  if (children(spec, "ephemeralContainers").length > 0)
    errors.forbidden(`${path}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template");
  return errors.list;
}

/** A pod spec on its own, after defaulting a copy of it. */
export function validatePodSpec(spec: unknown, path: string, rules: PodRules = strictRules): readonly FieldError[] {
  const errors = new FieldErrors();
  checkShape(errors, "PodSpec", spec, path);
  if (!errors.any) checkSpec(errors, withClaims(normaliseAs("PodSpec", defaultPodSpec(fieldsOf(spec))) as Fields, rules), path, rules);
  return errors.list;
}

function withClaims(spec: Fields, { claimNames = [] }: PodRules): Fields {
  if (claimNames.length === 0) return spec;
  const claims = claimNames.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...spec, volumes: [...children(spec, "volumes"), ...claims] };
}

function checkDeletionCost(errors: FieldErrors, metadata: Fields, rules: PodRules, path: string): void {
  const key = "controller.kubernetes.io/pod-deletion-cost";
  const cost = optionalText(child(metadata, "annotations") ?? {}, key);
  if (cost === undefined || rules.allowInvalidPodDeletionCost) return;
  const isInteger = /^(?:0|-?[1-9]\d{0,9})$/.test(cost) && Math.abs(Number(cost) + 0.5) < 2 ** 31;
  if (!isInteger) errors.invalid(keyPath(path, key), cost, "must be a 32bit integer");
}

const restartPolicies = ["Always", "OnFailure", "Never"];
const dnsPolicies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

function checkSpec(errors: FieldErrors, spec: Fields, path: string, rules: PodRules): void {
  const graceSeconds = optionalInteger(spec, "terminationGracePeriodSeconds");
  const os = child(spec, "os");
  const pod: PodContext = {
    allowIndivisibleHugePages: rules.allowIndivisibleHugePages,
    volumes: checkVolumes(errors, spec, `${path}.volumes`),
    claimNames: checkResourceClaims(errors, spec, `${path}.resourceClaims`),
    graceSeconds,
    restartPolicy: text(spec, "restartPolicy"),
    hostUsers: spec["hostUsers"] !== false,
    os: os === undefined ? undefined : text(os, "name"),
  };
  checkContainers(errors, spec, pod, `${path}.containers`);
  checkInitContainers(errors, spec, pod, `${path}.initContainers`);
  checkEphemeralContainers(errors, spec, pod, `${path}.ephemeralContainers`);
  const resources = child(spec, "resources");
  if (resources !== undefined) checkPodResources(errors, resources, pod, `${path}.resources`);
  checkHostNetworkPorts(errors, spec, path, rules);
  checkEnum(errors, text(spec, "restartPolicy"), restartPolicies, `${path}.restartPolicy`);
  checkEnum(errors, text(spec, "dnsPolicy"), dnsPolicies, `${path}.dnsPolicy`);
  checkLabels(errors, spec, "nodeSelector", `${path}.nodeSelector`);
  checkPodSecurityContext(errors, spec, `${path}.securityContext`);
  checkScheduling(errors, spec, path, {
    allowInvalidLabelValues: rules.allowInvalidLabelValues,
    allowInvalidSpreadSelectors: rules.allowInvalidSpreadSelectors,
  });
  checkDnsConfig(errors, spec, `${path}.dnsConfig`);
  checkGates(errors, spec, path);
  checkHostProcess(errors, spec, path);
  checkHostUsers(errors, spec, path);
  checkPodNames(errors, spec, path);
  checkHostAliases(errors, spec, `${path}.hostAliases`);
  checkDeadline(errors, spec, `${path}.activeDeadlineSeconds`);
  const preemption = optionalText(spec, "preemptionPolicy");
  if (preemption !== undefined) checkEnum(errors, preemption, ["PreemptLowerPriority", "Never"], `${path}.preemptionPolicy`);
  const overhead = child(spec, "overhead");
  if (overhead !== undefined) checkResources(errors, { limits: overhead }, new Set(), `${path}.overhead`, rules);
  checkOs(errors, spec, path);
  if (rules.isPod === true) checkImages(errors, spec, path);
}

function checkScheduling(errors: FieldErrors, spec: Fields, path: string, rules: SchedulingRules): void {
  checkAffinity(errors, spec, rules, `${path}.affinity`);
  checkSpread(errors, spec, rules, `${path}.topologySpreadConstraints`);
  checkTolerations(errors, spec, `${path}.tolerations`);
}

function checkPodResources(errors: FieldErrors, resources: Fields, pod: PodContext, path: string): void {
  if (pod.os === "windows") {
    errors.forbidden(path, "may not be set for a windows pod");
    return;
  }
  if (children(resources, "claims").length > 0) errors.forbidden(`${path}.claims`, "claims may not be set for Resources at pod-level");
  checkResources(errors, resources, new Set(), path, pod, "pod");
}

function checkResourceClaims(errors: FieldErrors, spec: Fields, path: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, claim] of children(spec, "resourceClaims").entries()) {
    const at = `${path}[${index}]`;
    const name = text(claim, "name");
    if (name === "") errors.required(`${at}.name`);
    else if (names.has(name)) errors.duplicate(`${at}.name`, name);
    else errors.invalidAll(`${at}.name`, name, labelProblems(name));
    if (name !== "") names.add(name);
    const sources = ["resourceClaimName", "resourceClaimTemplateName"].map((field) => [field, optionalText(claim, field)] as const);
    const given = sources.filter(([, value]) => value !== undefined);
    if (given.length > 1) errors.invalid(at, claim, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
    if (given.length === 0) errors.invalid(at, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
    for (const [field, value = ""] of given) errors.invalidAll(`${at}.${field}`, value, subdomainProblems(value));
  }
  return names;
}

function checkHostNetworkPorts(errors: FieldErrors, spec: Fields, path: string, rules: PodRules): void {
  if (spec["hostNetwork"] !== true) return;
  for (const [at, container] of children(spec, "containers").entries()) {
    for (const [index, port] of children(container, "ports").entries()) {
      const host = integer(port, "hostPort");
      if ((rules.isPod === true || host !== 0) && host !== integer(port, "containerPort"))
        errors.invalid(`${path}.containers[${at}].ports[${index}].hostPort`, host, "must match `containerPort` when `hostNetwork` is true");
    }
  }
}

const nameserversMax = 3;
const searchPathsMax = 32;
const searchCharactersMax = 2048;

function checkDnsConfig(errors: FieldErrors, spec: Fields, path: string): void {
  const config = child(spec, "dnsConfig");
  if (text(spec, "dnsPolicy") === "None") {
    if (config === undefined) {
      errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
      return;
    }
    if (texts(config, "nameservers").length === 0) {
      errors.required(`${path}.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None");
      return;
    }
  }
  if (config === undefined) return;
  const servers = texts(config, "nameservers");
  const searches = texts(config, "searches");
  if (servers.length > nameserversMax)
    errors.invalid(`${path}.nameservers`, servers, `must not have more than ${nameserversMax} nameservers`);
  for (const [index, server] of servers.entries()) errors.invalidAll(`${path}.nameservers[${index}]`, server, ipProblems(server));
  if (searches.length > searchPathsMax)
    errors.invalid(`${path}.searches`, searches, `must not have more than ${searchPathsMax} search paths`);
  if (searches.join(" ").length > searchCharactersMax)
    errors.invalid(
      `${path}.searches`,
      searches,
      `must not have more than ${searchCharactersMax} characters (including spaces) in the search list`,
    );
  for (const [index, search] of searches.entries()) {
    const domain = search.replace(/\.$/, "");
    if (search !== ".") errors.invalidAll(`${path}.searches[${index}]`, domain, searchDomainProblems(domain));
  }
  for (const [index, option] of children(config, "options").entries())
    if (text(option, "name") === "") errors.required(`${path}.options[${index}]`, "must not be empty");
}

function checkGates(errors: FieldErrors, spec: Fields, path: string): void {
  for (const [index, gate] of children(spec, "readinessGates").entries()) {
    const type = text(gate, "conditionType");
    errors.invalidAll(`${path}.readinessGates[${index}].conditionType`, type, qualifiedNameProblems(type));
  }
  const names = new Set<string>();
  for (const [index, gate] of children(spec, "schedulingGates").entries()) {
    const name = text(gate, "name");
    errors.invalidAll(`${path}.schedulingGates[${index}]`, name, qualifiedNameProblems(name));
    if (names.has(name)) errors.duplicate(`${path}.schedulingGates[${index}]`, name);
    names.add(name);
  }
}

const nameRules: readonly (readonly [string, (name: string) => readonly string[]])[] = [
  ["serviceAccountName", subdomainProblems],
  ["nodeName", subdomainProblems],
  ["hostname", labelProblems],
  ["subdomain", labelProblems],
  ["priorityClassName", subdomainProblems],
];

function checkPodNames(errors: FieldErrors, spec: Fields, path: string): void {
  for (const [field, problems] of nameRules) {
    // `serviceAccount` is the old name of `serviceAccountName`.
    const name = text(spec, field) || (field === "serviceAccountName" ? text(spec, "serviceAccount") : "");
    if (name !== "") errors.invalidAll(`${path}.${field}`, name, problems(name));
  }
  const runtimeClass = optionalText(spec, "runtimeClassName");
  if (runtimeClass !== undefined) errors.invalidAll(`${path}.runtimeClassName`, runtimeClass, subdomainProblems(runtimeClass));
}

function checkHostAliases(errors: FieldErrors, spec: Fields, path: string): void {
  for (const [index, alias] of children(spec, "hostAliases").entries()) {
    errors.invalidAll(`${path}[${index}].ip`, text(alias, "ip"), ipProblems(text(alias, "ip")));
    for (const [at, hostname] of texts(alias, "hostnames").entries())
      errors.invalidAll(`${path}[${index}].hostnames[${at}]`, hostname, subdomainProblems(hostname));
  }
}

function checkDeadline(errors: FieldErrors, spec: Fields, path: string): void {
  const seconds = optionalInteger(spec, "activeDeadlineSeconds");
  if (seconds !== undefined && (seconds < 1 || seconds > 2147483647)) errors.invalid(path, seconds, rangeMessage(1, 2147483647));
}

function checkImages(errors: FieldErrors, spec: Fields, path: string): void {
  for (const [container, at] of allContainers(spec, path)) {
    const image = text(container, "image");
    if (image.trim() !== image) errors.invalid(`${at}.image`, image, "must not have leading or trailing whitespace");
  }
}
