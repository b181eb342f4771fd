/** The containers of a pod. */
import type { Fields } from "../json.ts";
import { checkEnv, checkEnvFrom } from "./env.ts";
import type { FieldErrors } from "./field-error.ts";
import { checkDevices, checkMounts, type Volumes } from "./mounts.ts";
import { labelProblems, portNameProblems, portNumberProblems } from "./names.ts";
import { checkLife, checkNoLife } from "./probe.ts";
import { child, children, integer, optionalText, text } from "./read.ts";
import { checkResources, type ResourceRules } from "./resources.ts";
import { checkSecurityContext } from "./security.ts";

/** What containers need to know of their pod. */
export interface PodContext extends ResourceRules {
  readonly volumes: Volumes;
  readonly claimNames: ReadonlySet<string>;
  readonly graceSeconds: number | undefined;
  readonly restartPolicy: string;
  readonly hostUsers: boolean;
  readonly os: string | undefined;
}

const protocols = ["SCTP", "TCP", "UDP"];
const pullPolicies = ["Always", "IfNotPresent", "Never"];
const messagePolicies = ["File", "FallbackToLogsOnError"];

function checkPorts(errors: FieldErrors, container: Fields, path: string): void {
  const names = new Set<string>();
  for (const [index, port] of children(container, "ports").entries()) {
    const at = `${path}[${index}]`;
    const name = text(port, "name");
    if (name !== "") {
      const problems = portNameProblems(name);
      errors.invalidAll(`${at}.name`, name, problems);
      if (problems.length === 0 && names.has(name)) errors.duplicate(`${at}.name`, name);
      names.add(name);
    }
    const number = integer(port, "containerPort");
    if (number === 0) errors.required(`${at}.containerPort`);
    else errors.invalidAll(`${at}.containerPort`, number, portNumberProblems(number));
    const host = integer(port, "hostPort");
    if (host !== 0) errors.invalidAll(`${at}.hostPort`, host, portNumberProblems(host));
    checkEnum(errors, text(port, "protocol"), protocols, `${at}.protocol`);
  }
}

/** Required, and one of the choices. */
export function checkEnum(errors: FieldErrors, value: string, choices: readonly string[], path: string): void {
  if (value === "") errors.required(path);
  else if (!choices.includes(value)) errors.notSupported(path, value, choices);
}

function checkResizePolicy(errors: FieldErrors, container: Fields, restartPolicy: string, path: string): void {
  const seen = new Set<string>();
  for (const [index, policy] of children(container, "resizePolicy").entries()) {
    const resource = text(policy, "resourceName");
    const restart = text(policy, "restartPolicy");
    if (seen.has(resource)) errors.duplicate(`${path}[${index}]`, resource);
    seen.add(resource);
    checkEnum(errors, resource, ["cpu", "memory"], path);
    checkEnum(errors, restart, ["NotRequired", "RestartContainer"], path);
    if (restartPolicy === "Never" && restart !== "NotRequired")
      errors.invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
  }
}

function checkCommon(errors: FieldErrors, container: Fields, pod: PodContext, path: string): void {
  const name = text(container, "name");
  if (name === "") errors.required(`${path}.name`);
  else errors.invalidAll(`${path}.name`, name, labelProblems(name));
  if (text(container, "image") === "") errors.required(`${path}.image`);
  checkEnum(errors, text(container, "terminationMessagePolicy"), messagePolicies, `${path}.terminationMessagePolicy`);
  checkPorts(errors, container, `${path}.ports`);
  checkEnv(errors, container, `${path}.env`);
  checkEnvFrom(errors, container, `${path}.envFrom`);
  checkMounts(errors, container, pod.volumes, `${path}.volumeMounts`);
  checkDevices(errors, container, pod.volumes, `${path}.volumeDevices`);
  checkEnum(errors, text(container, "imagePullPolicy"), pullPolicies, `${path}.imagePullPolicy`);
  checkResources(errors, child(container, "resources") ?? {}, pod.claimNames, `${path}.resources`, pod);
  checkResizePolicy(errors, container, pod.restartPolicy, `${path}.resizePolicy`);
  checkSecurityContext(errors, container, `${path}.securityContext`, pod.hostUsers);
}

/** Two ports of one protocol cannot share a port of the host. */
function checkHostPorts(errors: FieldErrors, containers: readonly Fields[], paths: readonly string[]): void {
  const seen = new Set<string>();
  for (const [at, container] of containers.entries()) {
    for (const [index, port] of children(container, "ports").entries()) {
      const host = integer(port, "hostPort");
      if (host === 0) continue;
      const key = `${text(port, "protocol")}/${text(port, "hostIP")}/${host}`;
      if (seen.has(key)) errors.duplicate(`${paths[at]}.ports[${index}].hostPort`, key);
      seen.add(key);
    }
  }
}

export function checkContainers(errors: FieldErrors, spec: Fields, pod: PodContext, path: string): void {
  const containers = children(spec, "containers");
  if (containers.length === 0) {
    errors.required(path);
    return;
  }
  const names = new Set<string>();
  for (const [index, container] of containers.entries()) {
    const at = `${path}[${index}]`;
    checkCommon(errors, container, pod, at);
    const name = text(container, "name");
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    names.add(name);
    checkLife(errors, container, at, pod.graceSeconds, pod.os);
    if (optionalText(container, "restartPolicy") !== undefined)
      errors.forbidden(`${at}.restartPolicy`, "may not be set for non-init containers");
  }
  checkHostPorts(
    errors,
    containers,
    containers.map((_, index) => `${path}[${index}]`),
  );
}

export function checkInitContainers(errors: FieldErrors, spec: Fields, pod: PodContext, path: string): void {
  const names = new Set(children(spec, "containers").map((container) => text(container, "name")));
  for (const [index, container] of children(spec, "initContainers").entries()) {
    const at = `${path}[${index}]`;
    checkCommon(errors, container, pod, at);
    const restart = optionalText(container, "restartPolicy");
    if (restart !== undefined && restart !== "Always") errors.notSupported(`${at}.restartPolicy`, restart, ["Always"]);
    const name = text(container, "name");
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    else if (name !== "") names.add(name);
    // One after the other, so each has the host's ports to itself.
    checkHostPorts(errors, [container], [at]);
    if (restart === "Always") checkLife(errors, container, at, pod.graceSeconds, pod.os);
    else checkNoLife(errors, container, at);
  }
}

const ephemeralFields: ReadonlySet<string> = new Set([
  "name",
  "image",
  "command",
  "args",
  "workingDir",
  "envFrom",
  "env",
  "volumeMounts",
  "volumeDevices",
  "terminationMessagePath",
  "terminationMessagePolicy",
  "imagePullPolicy",
  "securityContext",
  "stdin",
  "stdinOnce",
  "tty",
  "targetContainerName",
]);

export function checkEphemeralContainers(errors: FieldErrors, spec: Fields, pod: PodContext, path: string): void {
  const others = new Set(
    [...children(spec, "containers"), ...children(spec, "initContainers")].map((container) => text(container, "name")),
  );
  const names = new Set(others);
  for (const [index, container] of children(spec, "ephemeralContainers").entries()) {
    const at = `${path}[${index}]`;
    checkCommon(errors, container, pod, at);
    const name = text(container, "name");
    const target = text(container, "targetContainerName");
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    names.add(name);
    if (target !== "" && !others.has(target)) errors.notFound(`${at}.targetContainerName`, target);
    for (const field of Object.keys(container)) {
      const isEmptyResources = field === "resources" && Object.keys(child(container, field) ?? {}).length === 0;
      if (!ephemeralFields.has(field) && !isEmptyResources) errors.forbidden(`${at}.${field}`, "cannot be set for an Ephemeral Container");
    }
    for (const [mountIndex, mount] of children(container, "volumeMounts").entries())
      for (const field of ["subPath", "subPathExpr"])
        if (text(mount, field) !== "")
          errors.forbidden(`${at}.volumeMounts[${mountIndex}].${field}`, "cannot be set for an Ephemeral Container");
  }
}
