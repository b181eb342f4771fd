/** The rules of containers and volumes: our own fields first, then all of them together as a pod that is about to be created. */
import { type Fields, fieldsOf, isAbsent, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { isNativeSidecar } from "../../kube/pod.ts";
import type { FieldErrors } from "../../kube/validate/field-error.ts";
import { qualifiedNameProblems } from "../../kube/validate/names.ts";
import { strictRules, validatePodSpec } from "../../kube/validate/pod.ts";
import { evaluate, parseExpression, type Resource, resourceAmount } from "./expression.ts";
import { compileRe2 } from "./re2.ts";

const places = ["BeforeAppContainer", "AfterAppContainer"];
const shareTypes = ["enabled", "disabled"];
/** With "-1" and "-2" behind it, it is still the name of a container. */
const hotNameLengthMax = 61;
/** A pod has at least one container. */
const standIn = { name: "kruise-stand-in-for-app", image: "app" };

export function checkContainers(errors: FieldErrors, spec: Fields): void {
  const initContainers = itemsOf(spec["initContainers"]);
  const containers = itemsOf(spec["containers"]);
  if (initContainers.length === 0 && containers.length === 0) {
    errors.required("spec", "at least one of containers and initContainers is needed");
    return;
  }
  for (const [index, container] of initContainers.entries())
    checkInitContainer(errors, fieldsOf(container), `spec.initContainers[${index}]`);
  for (const [index, container] of containers.entries()) checkContainer(errors, fieldsOf(container), `spec.containers[${index}]`);
  const pod = {
    volumes: spec["volumes"],
    initContainers,
    containers: containers.length > 0 ? containers : [standIn],
    restartPolicy: "Always",
  };
  errors.list.push(...validatePodSpec(pod, "spec", { ...strictRules, isPod: true }));
}

function checkInitContainer(errors: FieldErrors, container: Fields, path: string): void {
  if (isFields(container["resourcesPolicy"]) && !isNativeSidecar(container)) {
    errors.invalid(`${path}.resourcesPolicy`, container["name"], "only for init containers with restartPolicy Always");
  }
  checkResourcesPolicy(errors, container, path);
  if (isNativeSidecar(container)) checkHotUpgrade(errors, container, path);
}

function checkContainer(errors: FieldErrors, container: Fields, path: string): void {
  const place = textOf(container["podInjectPolicy"]);
  if (!places.includes(place)) errors.invalid(`${path}.podInjectPolicy`, place, `must be ${places.join(" or ")}`);
  const type = textOf(fieldsOf(container["shareVolumePolicy"])["type"]);
  if (!shareTypes.includes(type)) errors.invalid(`${path}.shareVolumePolicy.type`, type, `must be ${shareTypes.join(" or ")}`);
  for (const [index, entry] of itemsOf(container["transferEnv"]).entries()) {
    const fieldRef = fieldsOf(fieldsOf(entry)["sourceContainerNameFrom"])["fieldRef"];
    if (!isAbsent(fieldRef)) checkFieldRef(errors, fieldsOf(fieldRef), `${path}.transferEnv[${index}].sourceContainerNameFrom.fieldRef`);
  }
  checkResourcesPolicy(errors, container, path);
  checkHotUpgrade(errors, container, path);
}

/** A twin without an image to rest with could never be created. */
function checkHotUpgrade(errors: FieldErrors, container: Fields, path: string): void {
  const strategy = fieldsOf(container["upgradeStrategy"]);
  if (strategy["upgradeType"] !== "HotUpgrade") return;
  if (textOf(strategy["hotUpgradeEmptyImage"]) === "")
    errors.required(`${path}.upgradeStrategy.hotUpgradeEmptyImage`, "the image that the idle one of two containers runs");
  const name = textOf(container["name"]);
  if (name.length > hotNameLengthMax)
    errors.invalid(`${path}.name`, name, `must be no more than ${hotNameLengthMax} characters with HotUpgrade: -1 and -2 are added`);
}

const metadataPath = /^metadata\.(labels|annotations)\['(.*)'\]$/s;

function checkFieldRef(errors: FieldErrors, fieldRef: Fields, path: string): void {
  const apiVersion = textOf(fieldRef["apiVersion"]);
  const fieldPath = textOf(fieldRef["fieldPath"]);
  if (apiVersion === "") errors.required(`${path}.apiVersion`);
  else if (apiVersion !== "v1") errors.invalid(`${path}.apiVersion`, apiVersion, "must be v1");
  if (fieldPath === "") {
    errors.required(`${path}.fieldPath`);
    return;
  }
  const match = metadataPath.exec(fieldPath);
  if (match === null) {
    errors.invalid(`${path}.fieldPath`, fieldPath, "must be metadata.labels['<key>'] or metadata.annotations['<key>']");
    return;
  }
  const key = match[1] === "annotations" ? (match[2] as string).toLowerCase() : (match[2] as string);
  errors.invalidAll(`${path}.fieldPath`, fieldPath, qualifiedNameProblems(key));
}

function checkResourcesPolicy(errors: FieldErrors, container: Fields, containerPath: string): void {
  const policy = container["resourcesPolicy"];
  if (!isFields(policy)) return;
  const path = `${containerPath}.resourcesPolicy`;
  const own = fieldsOf(container["resources"]);
  if (Object.keys(fieldsOf(own["limits"])).length > 0 || Object.keys(fieldsOf(own["requests"])).length > 0) {
    errors.invalid(
      path,
      textOf(container["name"]),
      "cannot be used together with resources.limits or resources.requests: it replaces them",
    );
    return;
  }
  const regex = textOf(policy["targetContainersNameRegex"]);
  const compiled = compileRe2(regex);
  if (regex === "") errors.required(`${path}.targetContainersNameRegex`, "which containers count; .* for all");
  else if (!compiled.ok) errors.invalid(`${path}.targetContainersNameRegex`, regex, compiled.problem);
  const expressions = fieldsOf(policy["resourcesExpr"]);
  if (!isFields(expressions["limits"]) && !isFields(expressions["requests"])) {
    errors.invalid(`${path}.resourcesExpr`, expressions, "limits or requests are needed");
  }
  for (const kind of ["limits", "requests"]) {
    for (const resource of ["cpu", "memory"] as const) {
      const text = textOf(fieldsOf(expressions[kind])[resource]);
      const problem = text === "" ? undefined : expressionProblem(text, resource);
      if (problem !== undefined) errors.invalid(`${path}.resourcesExpr.${kind}.${resource}`, text, problem);
    }
  }
}

/** Tried with 1 for the variable, as OpenKruise does. */
function expressionProblem(text: string, resource: Resource): string | undefined {
  const parsed = parseExpression(text);
  if (!parsed.ok) return parsed.problem;
  const [malformed] = parsed.expression.malformed;
  if (malformed !== undefined) return `${malformed} is neither a number nor an amount: units are m, k, M, G, T, P, Ki, Mi, Gi, Ti, Pi`;
  const evaluated = evaluate(parsed.expression, { [resource]: { kind: "number", number: 1 } });
  if (!evaluated.ok) return evaluated.problem;
  const amount = resourceAmount(evaluated.value, resource);
  return amount.ok ? undefined : `${amount.problem} with ${resource} = 1: bound it, as in max(0, ${text})`;
}
