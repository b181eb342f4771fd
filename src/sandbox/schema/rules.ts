/** `x-kubernetes-validations`: rules of a custom kind beyond types and bounds, as expressions in CEL. */
import { deepEqual, type Fields, fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { childPath, type FieldErrors, type FieldErrorType, keyPath } from "../../kube/validate/field-error.ts";
import { evaluate, expressionOf, type Names } from "../cel/evaluate.ts";
import { type Expression, parseExpression, reads, SyntaxProblem } from "../cel/parse.ts";
import { Optional, Problem, Unsupported } from "../cel/values.ts";

const reasons: Readonly<Record<string, FieldErrorType>> = {
  FieldValueRequired: "Required",
  FieldValueForbidden: "Forbidden",
  FieldValueDuplicate: "Duplicate",
  FieldValueInvalid: "Invalid",
};

const known = new WeakMap<Fields, boolean>();

/** Whether there is a rule at or below this part: most schemas have none, and are not walked. */
function hasRules(node: Fields): boolean {
  let has = known.get(node);
  if (has === undefined) {
    has = itemsOf(node["x-kubernetes-validations"]).length > 0 || childrenOf(node).some(hasRules);
    known.set(node, has);
  }
  return has;
}

function childrenOf(node: Fields): Fields[] {
  return [...Object.values(fieldsOf(node["properties"])), node["items"], node["additionalProperties"]].filter(isFields);
}

/** @param old of an update; undefined where there was nothing, or nothing that can be told to be the same */
export function checkRules(errors: FieldErrors, node: Fields, value: unknown, old: unknown, path = ""): void {
  if (value === undefined || value === null || !hasRules(node)) return;
  for (const rule of itemsOf(node["x-kubernetes-validations"])) checkRule(errors, fieldsOf(rule), node, value, old, path);
  if (Array.isArray(value)) checkItems(errors, node, value, old, path);
  if (!isFields(value)) return;
  const properties = fieldsOf(node["properties"]);
  const before = fieldsOf(old);
  for (const name of Object.keys(value)) {
    if (isFields(properties[name])) checkRules(errors, properties[name], value[name], before[name], childPath(path, name));
    else if (isFields(node["additionalProperties"]))
      checkRules(errors, node["additionalProperties"], value[name], before[name], keyPath(path, name));
  }
}

function checkItems(errors: FieldErrors, node: Fields, list: readonly unknown[], old: unknown, path: string): void {
  if (!isFields(node["items"])) return;
  const oldItem = itemsBefore(node, old);
  for (const [index, item] of list.entries()) checkRules(errors, node["items"], item, oldItem(item), `${path}[${index}]`);
}

/** Which item of the old list is the same as an item of the new: only those of keyed lists can be told. */
export function itemsBefore(node: Fields, old: unknown): (item: unknown) => unknown {
  if (node["x-kubernetes-list-type"] !== "map" || !Array.isArray(old)) return () => undefined;
  const keys = itemsOf(node["x-kubernetes-list-map-keys"]).map(textOf);
  const identity = (item: unknown) => JSON.stringify(keys.map((key) => fieldsOf(item)[key] ?? null));
  const byKey = new Map(old.map((item) => [identity(item), item as unknown]));
  return (item) => byKey.get(identity(item));
}

function checkRule(errors: FieldErrors, rule: Fields, node: Fields, value: unknown, old: unknown, path: string): void {
  const expression = readable(textOf(rule["rule"]));
  if (expression === undefined) return;
  const isTransition = reads(expression, "oldSelf");
  const optional = rule["optionalOldSelf"] === true;
  if (isTransition && old === undefined && !optional) return;
  // What was wrong before, and has not changed, is not held against this update.
  if (!isTransition && old !== undefined && deepEqual(old, value)) return;
  const self = path === "" ? rootOf(value) : value;
  const names: Names = { self, oldSelf: optional ? new Optional(old === undefined ? undefined : (old as Fields)) : old };
  const described = textOf(rule["message"]).trim() || textOf(rule["rule"]).trim();
  try {
    if (evaluate(expression, names) === true) return;
    const message = textOf(rule["message"]).trim() || `failed rule: ${textOf(rule["rule"]).trim()}`;
    const type = reasons[textOf(rule["reason"])] ?? "Invalid";
    errors.add(type, path + textOf(rule["fieldPath"]) || "<nil>", messageOf(rule, names) ?? message, typeOf(node));
  } catch (error) {
    if (error instanceof Unsupported) return;
    if (!(error instanceof Problem)) throw error;
    const detail = error.message.startsWith("no such overload")
      ? `'${error.message}': call arguments did not match a supported operator, function or macro signature for rule: ${described}`
      : `${error.message} evaluating rule: ${described}`;
    errors.invalid(path || "<nil>", typeOf(node), detail);
  }
}

const typeOf = (node: Fields): string => textOf(node["type"]);

/** Rules of the whole object see no more of its metadata than the name. */
function rootOf(value: unknown): unknown {
  const { name, generateName } = fieldsOf(fieldsOf(value)["metadata"]);
  return {
    ...fieldsOf(value),
    metadata: { ...(name === undefined ? {} : { name }), ...(generateName === undefined ? {} : { generateName }) },
  };
}

function messageOf(rule: Fields, names: Names): string | undefined {
  const expression = readable(textOf(rule["messageExpression"]));
  if (expression === undefined) return undefined;
  try {
    const message = evaluate(expression, names);
    return typeof message === "string" && message.trim() !== "" && !message.includes("\n") ? message : undefined;
  } catch (error) {
    if (error instanceof Problem || error instanceof Unsupported) return undefined;
    throw error;
  }
}

function readable(text: string): Expression | undefined {
  if (text === "") return undefined;
  try {
    return expressionOf(text);
  } catch (error) {
    // Told when the kind was defined.
    if (error instanceof SyntaxProblem) return undefined;
    throw error;
  }
}

/** What is wrong with the rules of one part of a definition's schema. */
export function checkRuleTexts(errors: FieldErrors, node: Fields, path: string): void {
  for (const [index, rule] of itemsOf(node["x-kubernetes-validations"]).map(fieldsOf).entries()) {
    const at = `${path}.x-kubernetes-validations[${index}].rule`;
    const text = textOf(rule["rule"]);
    if (text.trim() === "") {
      errors.required(at, "rule is not specified");
      continue;
    }
    try {
      parseExpression(text);
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      errors.invalid(at, text, `compilation failed: ERROR: <input>: ${error.message}`);
    }
  }
}
