/** Resource amounts of containers and pods. */
import type { Fields } from "../json.ts";
import { compareQuantities, isZero, parseQuantity, type Quantity, quantityText, zeroQuantity } from "../quantity.ts";
import { type FieldErrors, keyPath } from "./field-error.ts";
import { labelProblems, qualifiedNameProblems } from "./names.ts";
import { child, children, text } from "./read.ts";

const containerResources: ReadonlySet<string> = new Set(["cpu", "memory", "ephemeral-storage"]);
const standardResources: ReadonlySet<string> = new Set([
  ...containerResources,
  "requests.cpu",
  "requests.memory",
  "requests.ephemeral-storage",
  "limits.cpu",
  "limits.memory",
  "limits.ephemeral-storage",
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "persistentvolumeclaims",
  "configmaps",
  "services.nodeports",
  "services.loadbalancers",
  "storage",
  "requests.storage",
]);
/** Counted in whole things. */
const countedResources: ReadonlySet<string> = new Set([
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
]);

const isHugePages = (name: string): boolean => name.startsWith("hugepages-");
/** Native: without a domain, or in kubernetes.io. */
const isNative = (name: string): boolean => !name.includes("/") || name.includes("kubernetes.io/");
const isExtended = (name: string): boolean =>
  !isNative(name) && !name.startsWith("requests.") && qualifiedNameProblems(`requests.${name}`).length === 0;
/** More can be asked for than is there. */
const isOvercommittable = (name: string): boolean => isNative(name) && !isHugePages(name);

function checkName(errors: FieldErrors, name: string, path: string): void {
  const problems = qualifiedNameProblems(name);
  errors.invalidAll(path, name, problems);
  if (!name.includes("/")) {
    if (problems.length === 0 && !standardResources.has(name) && !isHugePages(name))
      errors.invalid(path, name, "must be a standard resource type or fully qualified");
    if (!containerResources.has(name) && !isHugePages(name)) errors.invalid(path, name, "must be a standard resource for containers");
  } else if (!isNative(name) && !isExtended(name)) errors.invalid(path, name, "doesn't follow extended resource name standard");
}

const podResources = ["cpu", "hugepages-", "memory"];

function checkPodName(errors: FieldErrors, name: string, path: string): void {
  const problems = qualifiedNameProblems(name);
  errors.invalidAll(path, name, problems);
  if (problems.length === 0 && name !== "cpu" && name !== "memory" && !isHugePages(name)) errors.notSupported(path, name, podResources);
}

const nanoPerUnit = 1_000_000_000n;

/** Not negative, and whole where things are counted. */
export function checkAmount(errors: FieldErrors, name: string, amount: Quantity, path: string): void {
  if (amount.nano < 0n) errors.invalid(path, quantityText(amount), "must be greater than or equal to 0");
  if ((countedResources.has(name) || isExtended(name)) && amount.nano % nanoPerUnit !== 0n)
    errors.invalid(path, quantityText(amount), "must be an integer");
}

function checkHugePages(errors: FieldErrors, name: string, amount: Quantity, path: string): void {
  const size = parseQuantity(name.slice("hugepages-".length));
  if (size === undefined || isZero(size)) {
    errors.invalid(path, quantityText(amount), "invalid hugepages name");
    return;
  }
  if (amount.nano % size.nano !== 0n)
    errors.invalid(path, quantityText(amount), `${quantityText(amount)} is not positive integer multiple of ${name}`);
}

export interface ResourceRules {
  readonly allowIndivisibleHugePages: boolean;
}

function amountsOf(resources: Fields, field: string): [string, Quantity][] {
  const map = child(resources, field) ?? {};
  return Object.keys(map)
    .sort()
    .map((name) => [name, parseQuantity(map[name]) ?? zeroQuantity]);
}

function checkList(
  errors: FieldErrors,
  amounts: [string, Quantity][],
  path: string,
  rules: ResourceRules,
  checkNameOf: typeof checkName,
): void {
  for (const [name, amount] of amounts) {
    const at = keyPath(path, name);
    checkNameOf(errors, name, at);
    checkAmount(errors, name, amount, at);
    if (isHugePages(name) && !rules.allowIndivisibleHugePages) checkHugePages(errors, name, amount, at);
  }
}

/** @param resources of a container, or of a pod as a whole */
export function checkResources(
  errors: FieldErrors,
  resources: Fields,
  claimNames: ReadonlySet<string>,
  path: string,
  rules: ResourceRules,
  of: "container" | "pod" = "container",
): void {
  const limits = amountsOf(resources, "limits");
  const requests = amountsOf(resources, "requests");
  const names = of === "pod" ? checkPodName : checkName;
  checkList(errors, limits, `${path}.limits`, rules, names);
  checkList(errors, requests, `${path}.requests`, rules, names);
  const limitOf = new Map(limits);
  for (const [name, amount] of requests) {
    const limit = limitOf.get(name);
    if (limit === undefined) {
      if (!isOvercommittable(name)) errors.required(`${path}.limits`, "Limit must be set for non overcommitable resources");
      continue;
    }
    const difference = compareQuantities(amount, limit);
    if (difference !== 0 && !isOvercommittable(name))
      errors.invalid(`${path}.requests`, quantityText(amount), `must be equal to ${name} limit of ${quantityText(limit)}`);
    else if (difference > 0)
      errors.invalid(`${path}.requests`, quantityText(amount), `must be less than or equal to ${name} limit of ${quantityText(limit)}`);
  }
  const all = [...limits, ...requests].map(([name]) => name);
  if (all.some(isHugePages) && !all.includes("cpu") && !all.includes("memory")) errors.forbidden(path, "HugePages require cpu or memory");
  if (of === "container") checkClaims(errors, resources, claimNames, `${path}.claims`);
}

function checkClaims(errors: FieldErrors, resources: Fields, claimNames: ReadonlySet<string>, path: string): void {
  const seen = new Set<string>();
  for (const [index, claim] of children(resources, "claims").entries()) {
    const at = `${path}[${index}]`;
    const name = text(claim, "name");
    const request = text(claim, "request");
    if (name === "") errors.required(at);
    else if (seen.has(name)) errors.duplicate(at, name);
    else {
      if (request !== "") errors.invalidAll(`${at}.request`, request, labelProblems(request));
      const key = request === "" ? name : `${name}/${request}`;
      if (seen.has(key) || (request === "" && [...seen].some((other) => other.startsWith(`${name}/`))))
        errors.duplicate(at, request === "" ? name : key);
      seen.add(key);
    }
    if (name === "" || claimNames.has(name)) continue;
    const known =
      claimNames.size === 0
        ? "which is empty"
        : `(${[...claimNames]
            .sort()
            .map((known) => `"${known}"`)
            .join(", ")})`;
    errors.notFound(at, name, `must be one of the names in pod.spec.resourceClaims ${known}`.trim());
  }
}
