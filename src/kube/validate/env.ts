/** Environment variables of containers, and what they and volumes may read from their pod. */
import type { Fields } from "../json.ts";
import { canonicalQuantity } from "../quantity.ts";
import type { FieldErrors } from "./field-error.ts";
import { configKeyProblems, envNameProblems, qualifiedNameProblems, subdomainProblems } from "./names.ts";
import { child, children, text } from "./read.ts";

const envFieldPaths = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
const volumeFieldPaths = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/** Everything that can be named at all, whether or not it may be read here. */
const knownFieldPaths: ReadonlySet<string> = new Set([
  ...envFieldPaths,
  ...volumeFieldPaths,
  "spec.restartPolicy",
  "spec.schedulerName",
  "status.phase",
]);
const resourcePaths = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];
const hugePagePrefixes = ["limits.hugepages-", "requests.hugepages-"];
const byteDivisors = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/** `metadata.labels['key']` → its parts. */
function splitSubscript(path: string): { readonly path: string; readonly subscript: string } | undefined {
  const at = path.indexOf("['");
  return at > 0 && path.endsWith("']") ? { path: path.slice(0, at), subscript: path.slice(at + 2, -2) } : undefined;
}

export function checkFieldRef(errors: FieldErrors, selector: Fields, use: "env" | "volume", path: string): void {
  const fieldPath = text(selector, "fieldPath");
  const apiVersion = text(selector, "apiVersion");
  if (apiVersion === "") {
    errors.required(`${path}.apiVersion`);
    return;
  }
  if (fieldPath === "") {
    errors.required(`${path}.fieldPath`);
    return;
  }
  const unknown = (what: string): void => errors.invalid(`${path}.fieldPath`, fieldPath, `error converting fieldPath: ${what}`);
  if (apiVersion !== "v1") {
    unknown(`unsupported pod version: ${apiVersion}`);
    return;
  }
  const parts = splitSubscript(fieldPath);
  if (parts !== undefined) {
    if (parts.path === "metadata.annotations")
      errors.invalidAll(path, parts.subscript.toLowerCase(), qualifiedNameProblems(parts.subscript.toLowerCase()));
    else if (parts.path === "metadata.labels") errors.invalidAll(path, parts.subscript, qualifiedNameProblems(parts.subscript));
    else unknown(`field label does not support subscript: ${fieldPath}`);
    return;
  }
  if (!knownFieldPaths.has(fieldPath)) {
    unknown(`field label not supported: ${fieldPath}`);
    return;
  }
  const supported = use === "env" ? envFieldPaths : volumeFieldPaths;
  if (!supported.includes(fieldPath)) errors.notSupported(`${path}.fieldPath`, fieldPath, supported);
}

export function checkResourceFieldRef(errors: FieldErrors, selector: Fields, use: "env" | "volume", path: string): void {
  const resource = text(selector, "resource");
  if (use === "volume" && text(selector, "containerName") === "") errors.required(`${path}.containerName`);
  else if (resource === "") errors.required(`${path}.resource`);
  else if (!resourcePaths.includes(resource) && !hugePagePrefixes.some((prefix) => resource.startsWith(prefix)))
    errors.notSupported(`${path}.resource`, resource, resourcePaths);
  const divisor = canonicalQuantity(selector["divisor"]) ?? "0";
  if (divisor !== "0") checkDivisor(errors, resource, divisor, `${path}.divisor`);
}

function checkDivisor(errors: FieldErrors, resource: string, divisor: string, path: string): void {
  const kind = resource.replace(/^(?:limits|requests)\./, "");
  if (kind === "cpu") {
    if (divisor !== "1m" && divisor !== "1")
      errors.invalid(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource");
    return;
  }
  const what =
    kind === "memory"
      ? "memory"
      : kind === "ephemeral-storage"
        ? "local ephemeral storage"
        : kind.startsWith("hugepages-")
          ? "hugepages"
          : "";
  if (what !== "" && !byteDivisors.includes(divisor))
    errors.invalid(
      path,
      resource,
      `only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the ${what} resource`,
    );
}

function checkKeyRef(errors: FieldErrors, selector: Fields, path: string): void {
  const name = text(selector, "name");
  const key = text(selector, "key");
  errors.invalidAll(`${path}.name`, name, subdomainProblems(name));
  if (key === "") errors.required(`${path}.key`);
  else errors.invalidAll(`${path}.key`, key, configKeyProblems(key));
}

const valueSources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"];

function checkValueFrom(errors: FieldErrors, entry: Fields, path: string): void {
  const source = child(entry, "valueFrom");
  if (source === undefined) return;
  const fieldRef = child(source, "fieldRef");
  const resourceRef = child(source, "resourceFieldRef");
  if (fieldRef !== undefined) checkFieldRef(errors, fieldRef, "env", `${path}.fieldRef`);
  if (resourceRef !== undefined) checkResourceFieldRef(errors, resourceRef, "env", `${path}.resourceFieldRef`);
  for (const name of ["configMapKeyRef", "secretKeyRef"]) {
    const selector = child(source, name);
    if (selector !== undefined) checkKeyRef(errors, selector, `${path}.${name}`);
  }
  // A source that this build does not know is a source all the same.
  const count = Object.keys(source).length;
  if (count === 0)
    errors.invalid(
      path,
      "",
      `must specify one of: ${valueSources
        .map((name) => `\`${name}\``)
        .join(", ")
        .replace(/, (?=[^,]*$)/, " or ")}`,
    );
  else if (text(entry, "value") !== "") errors.invalid(path, "", "may not be specified when `value` is not empty");
  else if (count > 1) errors.invalid(path, "", "may not have more than one field specified at a time");
}

export function checkEnv(errors: FieldErrors, container: Fields, path: string): void {
  for (const [index, entry] of children(container, "env").entries()) {
    const at = `${path}[${index}]`;
    const name = text(entry, "name");
    if (name === "") errors.required(`${at}.name`);
    else errors.invalidAll(`${at}.name`, name, envNameProblems(name));
    checkValueFrom(errors, entry, `${at}.valueFrom`);
  }
}

export function checkEnvFrom(errors: FieldErrors, container: Fields, path: string): void {
  for (const [index, entry] of children(container, "envFrom").entries()) {
    const at = `${path}[${index}]`;
    const prefix = text(entry, "prefix");
    if (prefix !== "") errors.invalidAll(`${at}.prefix`, prefix, envNameProblems(prefix));
    let count = 0;
    for (const source of ["configMapRef", "secretRef"]) {
      const ref = child(entry, source);
      if (ref === undefined) continue;
      count += 1;
      const name = text(ref, "name");
      if (name === "") errors.required(`${at}.${source}.name`);
      else errors.invalidAll(`${at}.${source}.name`, name, subdomainProblems(name.replace(/-$/, "a")));
    }
    if (count === 0) errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
    else if (count > 1) errors.invalid(path, "", "may not have more than one field specified at a time");
  }
}
