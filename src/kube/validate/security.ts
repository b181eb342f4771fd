/** Security contexts, and what an operating system allows. */
import type { Fields } from "../json.ts";
import type { FieldErrors } from "./field-error.ts";
import { checkDescendingPath } from "./mounts.ts";
import { idProblems, subdomainProblems } from "./names.ts";
import { child, children, optionalInteger, optionalText, text, texts } from "./read.ts";

function checkId(errors: FieldErrors, context: Fields, field: string, path: string): void {
  const id = optionalInteger(context, field);
  if (id !== undefined) errors.invalidAll(`${path}.${field}`, id, idProblems(id));
}

const profileTypes = ["Localhost", "RuntimeDefault", "Unconfined"];

function checkSeccomp(errors: FieldErrors, context: Fields, path: string): void {
  const profile = child(context, "seccompProfile");
  if (profile === undefined) return;
  const type = text(profile, "type");
  const localhost = optionalText(profile, "localhostProfile");
  if (type === "") errors.required(`${path}.type`, "type is required when seccompProfile is set");
  else if (!profileTypes.includes(type)) errors.notSupported(`${path}.type`, type, profileTypes);
  if (type !== "Localhost") {
    if (localhost !== undefined) errors.invalid(`${path}.localhostProfile`, profile, "can only be set when seccomp type is Localhost");
  } else if (localhost === undefined) errors.required(`${path}.localhostProfile`, "must be set when seccomp type is Localhost");
  else checkDescendingPath(errors, localhost, `${path}.localhostProfile`);
}

const localhostProfileMax = 4095; // bytes: a path's maximum

function checkAppArmor(errors: FieldErrors, context: Fields, path: string): void {
  const profile = child(context, "appArmorProfile");
  if (profile === undefined) return;
  const type = text(profile, "type");
  const localhost = optionalText(profile, "localhostProfile");
  if (type === "") {
    errors.required(`${path}.type`, "type is required when appArmorProfile is set");
    return;
  }
  if (!profileTypes.includes(type)) {
    errors.notSupported(`${path}.type`, type, profileTypes);
    return;
  }
  if (type !== "Localhost") {
    if (localhost !== undefined) errors.invalid(`${path}.localhostProfile`, localhost, "can only be set when AppArmor type is Localhost");
  } else if (localhost === undefined || localhost === "")
    errors.required(`${path}.localhostProfile`, "must be set when AppArmor type is Localhost");
  else if (localhost.trim() !== localhost) errors.invalid(`${path}.localhostProfile`, localhost, "must not be padded with whitespace");
  if (localhost !== undefined && type === "Localhost" && localhost.length > localhostProfileMax)
    errors.tooLong(`${path}.localhostProfile`, localhostProfileMax);
}

const credentialSpecBytesMax = 64 * 1024;

function checkWindowsOptions(errors: FieldErrors, context: Fields, path: string): void {
  const options = child(context, "windowsOptions");
  if (options === undefined) return;
  const specName = optionalText(options, "gmsaCredentialSpecName");
  if (specName !== undefined) errors.invalidAll(`${path}.gmsaCredentialSpecName`, specName, subdomainProblems(specName));
  const spec = optionalText(options, "gmsaCredentialSpec");
  if (spec === "") errors.invalid(`${path}.gmsaCredentialSpec`, spec, "gmsaCredentialSpec cannot be an empty string");
  else if (spec !== undefined && spec.length > credentialSpecBytesMax)
    errors.invalid(`${path}.gmsaCredentialSpec`, spec, "gmsaCredentialSpec size must be under 64 KiB");
  const user = optionalText(options, "runAsUserName");
  if (user !== undefined) errors.invalidAll(`${path}.runAsUserName`, user, windowsUserProblems(user));
}

const netBiosName = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;
const windowsDomain = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

/** `DOMAIN\user` or `user`. */
function windowsUserProblems(name: string): readonly string[] {
  if (name === "") return ["runAsUserName cannot be an empty string"];
  if (/\p{Cc}/u.test(name)) return ["runAsUserName cannot contain control characters"];
  const parts = name.split("\\");
  if (parts.length > 2) return ["runAsUserName cannot contain more than one backslash"];
  const user = parts[parts.length - 1] ?? "";
  const domain = parts.length === 2 ? (parts[0] ?? "") : undefined;
  const problems: string[] = [];
  if (domain !== undefined && domain.length >= 256) problems.push("runAsUserName's Domain length must be under 256 characters");
  if (domain !== undefined && !netBiosName.test(domain) && !windowsDomain.test(domain))
    problems.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  if (user === "") problems.push("runAsUserName's User cannot be empty");
  else if (user.length > 104) problems.push("runAsUserName's User length must not be longer than 104 characters");
  if (/^[. ]+$/.test(user)) problems.push("runAsUserName's User cannot contain only periods or spaces");
  if (/["/\\:;|=,+*?<>@[\]]/.test(user)) problems.push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
  return problems;
}

export function checkSecurityContext(errors: FieldErrors, container: Fields, path: string, hostUsers: boolean): void {
  const context = child(container, "securityContext");
  if (context === undefined) return;
  checkId(errors, context, "runAsUser", path);
  checkId(errors, context, "runAsGroup", path);
  const procMount = optionalText(context, "procMount");
  if (procMount !== undefined && procMount !== "Default" && procMount !== "Unmasked")
    errors.notSupported(`${path}.procMount`, procMount, ["Default", "Unmasked"]);
  if (procMount === "Unmasked" && hostUsers) errors.invalid(`${path}.procMount`, procMount, "`hostUsers` must be false to use `Unmasked`");
  checkSeccomp(errors, context, `${path}.seccompProfile`);
  if (context["allowPrivilegeEscalation"] === false) {
    if (context["privileged"] === true)
      errors.invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    if (texts(child(context, "capabilities") ?? {}, "add").includes("CAP_SYS_ADMIN"))
      errors.invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
  }
  checkWindowsOptions(errors, context, `${path}.windowsOptions`);
  checkAppArmor(errors, context, `${path}.appArmorProfile`);
}

const sysctlShape = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;
const sysctlLengthMax = 253;

function checkSysctls(errors: FieldErrors, context: Fields, path: string): void {
  const seen = new Set<string>();
  for (const [index, sysctl] of children(context, "sysctls").entries()) {
    const at = `${path}[${index}].name`;
    const name = text(sysctl, "name");
    if (name === "") errors.required(at);
    else if (name.length > sysctlLengthMax || !sysctlShape.test(name))
      errors.invalid(
        at,
        name,
        `must have at most ${sysctlLengthMax} characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`,
      );
    else if (seen.has(name)) errors.duplicate(at, name);
    seen.add(name);
  }
}

const fsGroupPolicies = ["Always", "OnRootMismatch"];
const groupPolicies = ["Merge", "Strict"];
const seLinuxPolicies = ["MountOption", "Recursive"];

function checkChoice(errors: FieldErrors, context: Fields, field: string, choices: readonly string[], path: string): void {
  const value = optionalText(context, field);
  if (value !== undefined && !choices.includes(value)) errors.notSupported(`${path}.${field}`, value, choices);
}

export function checkPodSecurityContext(errors: FieldErrors, spec: Fields, path: string): void {
  const context = child(spec, "securityContext");
  if (context === undefined) return;
  for (const field of ["fsGroup", "runAsUser", "runAsGroup"]) checkId(errors, context, field, path);
  const groups = context["supplementalGroups"];
  if (Array.isArray(groups))
    for (const [index, group] of groups.entries())
      errors.invalidAll(`${path}.supplementalGroups[${index}]`, group, idProblems(Number(group ?? 0)));
  if (spec["shareProcessNamespace"] === true && spec["hostPID"] === true)
    errors.invalid(`${path}.shareProcessNamespace`, true, "ShareProcessNamespace and HostPID cannot both be enabled");
  checkSysctls(errors, context, `${path}.sysctls`);
  checkChoice(errors, context, "fsGroupChangePolicy", fsGroupPolicies, path);
  checkSeccomp(errors, context, `${path}.seccompProfile`);
  checkWindowsOptions(errors, context, `${path}.windowsOptions`);
  checkAppArmor(errors, context, `${path}.appArmorProfile`);
  checkChoice(errors, context, "supplementalGroupsPolicy", groupPolicies, path);
  checkChoice(errors, context, "seLinuxChangePolicy", seLinuxPolicies, path);
}

/** Every container of a pod, with its path. */
export function allContainers(spec: Fields, path: string): readonly (readonly [Fields, string])[] {
  return ["initContainers", "containers", "ephemeralContainers"].flatMap((field) =>
    children(spec, field).map((container, index) => [container, `${path}.${field}[${index}]`] as const),
  );
}

/** All containers are host processes, or none is. */
export function checkHostProcess(errors: FieldErrors, spec: Fields, path: string): void {
  const ofPod = child(child(spec, "securityContext") ?? {}, "windowsOptions")?.["hostProcess"];
  const containers = allContainers(spec, path);
  let count = 0;
  for (const [container, at] of containers) {
    const own = child(child(container, "securityContext") ?? {}, "windowsOptions")?.["hostProcess"];
    if (typeof ofPod === "boolean" && typeof own === "boolean" && own !== ofPod)
      errors.invalid(
        `${at}.securityContext.windowsOptions.hostProcess`,
        own,
        `pod hostProcess value must be identical if both are specified, was ${ofPod}`,
      );
    if ((own ?? ofPod) === true) count += 1;
  }
  if (count === 0) return;
  if (count !== containers.length)
    errors.invalid(path, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers");
  if (spec["hostNetwork"] !== true)
    errors.invalid(`${path}.hostNetwork`, false, "hostNetwork must be true if pod contains any hostProcess containers");
}

/** A user namespace of its own shuts out the host's other namespaces. */
export function checkHostUsers(errors: FieldErrors, spec: Fields, path: string): void {
  if (spec["hostUsers"] !== false) return;
  for (const field of ["hostNetwork", "hostPID", "hostIPC"])
    if (spec[field] === true) errors.forbidden(`${path}.${field}`, "when `hostUsers` is false");
  for (const [container, at] of allContainers(spec, path))
    if (children(container, "volumeDevices").length > 0) errors.forbidden(`${at}.volumeDevices`, "when `hostUsers` is false");
}

const linuxPodOnly = ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"];
const linuxContextOnly = [
  "appArmorProfile",
  "seLinuxOptions",
  "seccompProfile",
  "fsGroup",
  "fsGroupChangePolicy",
  "sysctls",
  "runAsUser",
  "runAsGroup",
  "supplementalGroups",
  "supplementalGroupsPolicy",
  "seLinuxChangePolicy",
];
const linuxContainerOnly = [
  "appArmorProfile",
  "seLinuxOptions",
  "seccompProfile",
  "capabilities",
  "readOnlyRootFilesystem",
  "privileged",
  "allowPrivilegeEscalation",
  "procMount",
  "runAsUser",
  "runAsGroup",
];

export function checkOs(errors: FieldErrors, spec: Fields, path: string): void {
  const os = child(spec, "os");
  if (os === undefined) return;
  const name = text(os, "name");
  if (name === "") errors.required(`${path}.os.name`);
  else if (name === "windows") checkWindowsPod(errors, spec, path);
  else if (name === "linux") checkLinuxPod(errors, spec, path);
  else errors.notSupported(`${path}.os`, name, ["linux", "windows"]);
}

function checkLinuxPod(errors: FieldErrors, spec: Fields, path: string): void {
  const message = "windows options cannot be set for a linux pod";
  for (const [owner, at] of [[spec, path] as const, ...allContainers(spec, path)])
    if (child(child(owner, "securityContext") ?? {}, "windowsOptions") !== undefined)
      errors.forbidden(`${at}.securityContext.windowsOptions`, message);
}

function checkWindowsPod(errors: FieldErrors, spec: Fields, path: string): void {
  const message = "cannot be set for a windows pod";
  const isSet = (object: Fields, field: string): boolean => object[field] !== undefined && object[field] !== null;
  for (const field of linuxPodOnly) if (isSet(spec, field)) errors.forbidden(`${path}.${field}`, message);
  const context = child(spec, "securityContext") ?? {};
  for (const field of linuxContextOnly) if (isSet(context, field)) errors.forbidden(`${path}.securityContext.${field}`, message);
  for (const [container, at] of allContainers(spec, path)) {
    const own = child(container, "securityContext") ?? {};
    for (const field of linuxContainerOnly) if (isSet(own, field)) errors.forbidden(`${at}.securityContext.${field}`, message);
  }
}
