/** Whether a custom object holds what its schema demands. Messages are those of the API server's OpenAPI validation. */
import { deepEqual, type Fields, fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import type { FieldError } from "../../kube/validate/field-error.ts";
import { FieldErrors } from "../../kube/validate/field-error.ts";
import { hasFormat } from "./formats.ts";
import { checkRules, itemsBefore } from "./rules.ts";

/** With one of these, rules are not asked: what they look at may not be there. */
const blocking: ReadonlySet<string> = new Set(["Required", "TooLong", "TooMany", "TypeInvalid"]);

/** @param json the kind's own schema @param old of an update: parts that did not change are not held against it */
export function validateCustom(json: Fields | undefined, object: Fields, old?: Fields): readonly FieldError[] {
  const errors = new FieldErrors();
  if (json === undefined) return errors.list;
  checkNode(errors, json, object, "", old);
  const ruled = new FieldErrors();
  checkRules(ruled, json, object, old);
  if (ruled.any && errors.list.some(({ type }) => blocking.has(type)))
    errors.invalid(
      "<nil>",
      null,
      "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
    );
  else errors.list.push(...ruled.list);
  return errors.list;
}

function checkNode(errors: FieldErrors, node: Fields, value: unknown, path: string, old?: unknown): void {
  if (old !== undefined && deepEqual(old, value)) return;
  if (value === null && node["nullable"] === true) return;
  if (!checkType(errors, node, value, path)) return;
  if (Array.isArray(node["enum"]) && !node["enum"].some((choice) => deepEqual(choice, value)))
    errors.notSupported(path, value, node["enum"].map(String));
  if (typeof value === "string") checkString(errors, node, value, path);
  else if (typeof value === "number") checkNumber(errors, node, value, path);
  else if (Array.isArray(value)) checkArray(errors, node, value, path, old);
  else if (isFields(value)) checkObject(errors, node, value, path, old);
  for (const part of itemsOf(node["allOf"])) checkNode(errors, fieldsOf(part), value, path, old);
  checkChoices(errors, node, value, path);
}

function checkChoices(errors: FieldErrors, node: Fields, value: unknown, path: string): void {
  const fits = (part: unknown) => validateAt(fieldsOf(part), value, path);
  const any = itemsOf(node["anyOf"]);
  if (any.length > 0 && !any.some(fits)) errors.invalid(path, value, `${path} in body must validate at least one schema (anyOf)`);
  const one = itemsOf(node["oneOf"]);
  if (one.length > 0 && one.filter(fits).length !== 1)
    errors.invalid(path, value, `${path} in body must validate one and only one schema (oneOf)`);
  if (isFields(node["not"]) && fits(node["not"])) errors.invalid(path, value, `${path} in body must not validate the schema (not)`);
}

function validateAt(node: Fields, value: unknown, path: string): boolean {
  const errors = new FieldErrors();
  checkNode(errors, node, value, path);
  return !errors.any;
}

function checkType(errors: FieldErrors, node: Fields, value: unknown, path: string): boolean {
  if (node["x-kubernetes-int-or-string"] === true) {
    if (typeof value === "string" || Number.isInteger(value)) return true;
    errors.add("TypeInvalid", path, `${path} in body must be of type integer,string: ${JSON.stringify(typeName(value))}`, typeName(value));
    return false;
  }
  const wanted = node["type"];
  if (typeof wanted !== "string" || isOfType(wanted, value)) return true;
  errors.add("TypeInvalid", path, `${path} in body must be of type ${wanted}: ${JSON.stringify(typeName(value))}`, typeName(value));
  return false;
}

function isOfType(wanted: string, value: unknown): boolean {
  switch (wanted) {
    case "object":
      return isFields(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return typeof value === "number" && Number.isInteger(value);
    default:
      return typeof value === wanted;
  }
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" && Number.isInteger(value) ? "integer" : typeof value;
}

function checkString(errors: FieldErrors, node: Fields, value: string, path: string): void {
  const { maxLength, minLength, pattern } = node;
  if (typeof maxLength === "number" && [...value].length > maxLength) errors.tooLong(path, maxLength);
  if (typeof minLength === "number" && [...value].length < minLength)
    errors.invalid(path, value, `${path} in body should be at least ${minLength} chars long`);
  if (typeof pattern === "string" && !new RegExp(pattern, "u").test(value))
    errors.invalid(path, value, `${path} in body should match '${pattern}'`);
  const format = textOf(node["format"]);
  if (!hasFormat(format, value)) errors.invalid(path, value, `${path} in body must be of type ${format}: ${JSON.stringify(value)}`);
}

function checkNumber(errors: FieldErrors, node: Fields, value: number, path: string): void {
  const { maximum, minimum, exclusiveMaximum, exclusiveMinimum, multipleOf } = node;
  if (typeof maximum === "number" && (exclusiveMaximum === true ? value >= maximum : value > maximum))
    errors.invalid(path, value, `${path} in body should be less than ${exclusiveMaximum === true ? "" : "or equal to "}${maximum}`);
  if (typeof minimum === "number" && (exclusiveMinimum === true ? value <= minimum : value < minimum))
    errors.invalid(path, value, `${path} in body should be greater than ${exclusiveMinimum === true ? "" : "or equal to "}${minimum}`);
  if (typeof multipleOf === "number" && value % multipleOf !== 0)
    errors.invalid(path, value, `${path} in body should be a multiple of ${multipleOf}`);
}

function checkArray(errors: FieldErrors, node: Fields, list: readonly unknown[], path: string, old?: unknown): void {
  const { maxItems, minItems } = node;
  if (typeof maxItems === "number" && list.length > maxItems) errors.tooMany(path, list.length, maxItems);
  if (typeof minItems === "number" && list.length < minItems)
    errors.invalid(path, list.length, `${path} in body should have at least ${minItems} items`);
  const items = node["items"];
  const before = itemsBefore(node, old);
  if (isFields(items)) for (const [index, item] of list.entries()) checkNode(errors, items, item, `${path}[${index}]`, before(item));
  checkUnique(errors, node, list, path);
}

function checkUnique(errors: FieldErrors, node: Fields, list: readonly unknown[], path: string): void {
  const listType = node["x-kubernetes-list-type"];
  if (listType !== "map" && listType !== "set" && node["uniqueItems"] !== true) return;
  const keys = itemsOf(node["x-kubernetes-list-map-keys"]).map(textOf);
  const seen = new Set<string>();
  for (const [index, item] of list.entries()) {
    const identity = listType === "map" ? Object.fromEntries(keys.map((key) => [key, fieldsOf(item)[key]])) : item;
    const text = JSON.stringify(identity);
    if (seen.has(text)) errors.duplicate(`${path}[${index}]`, identity);
    seen.add(text);
  }
}

function checkObject(errors: FieldErrors, node: Fields, object: Fields, path: string, old?: unknown): void {
  const before = fieldsOf(old);
  const { maxProperties, minProperties } = node;
  const names = Object.keys(object);
  if (typeof maxProperties === "number" && names.length > maxProperties) errors.tooMany(path, names.length, maxProperties);
  if (typeof minProperties === "number" && names.length < minProperties)
    errors.invalid(path, names.length, `${path} in body should have at least ${minProperties} properties`);
  for (const name of itemsOf(node["required"]).map(textOf)) if (object[name] === undefined) errors.required(childOf(path, name));
  const properties = fieldsOf(node["properties"]);
  const additional = node["additionalProperties"];
  for (const name of names) {
    if (path === "" && (name === "metadata" || name === "apiVersion" || name === "kind")) continue;
    if (object[name] === undefined) continue;
    if (isFields(properties[name])) checkNode(errors, properties[name], object[name], childOf(path, name), before[name]);
    else if (isFields(additional)) checkNode(errors, additional, object[name], childOf(path, name), before[name]);
  }
}

const childOf = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);
