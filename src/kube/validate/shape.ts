/** Whether JSON has the types that a Kubernetes object's fields promise: asked before any rule looks at a value. */
import { type FieldType, type ObjectType, objectType } from "../canonical/schema.ts";
import { isAbsent, isFields } from "../json.ts";
import { parseQuantity, quantityProblem } from "../quantity.ts";
import { parseTime } from "../time.ts";
import { childPath, type FieldErrors, keyPath } from "./field-error.ts";

/**
 * Adds an error for every value of the wrong type, however deep. Unknown fields are not looked at.
 * @param typeName a type of canonical/'s tables
 */
export function checkShape(errors: FieldErrors, typeName: string, value: unknown, path: string): void {
  if (isAbsent(value)) return;
  if (!isFields(value)) errors.wrongType(path, value, "an object");
  else checkFields(errors, objectType(typeName), value, path);
}

function checkFields(errors: FieldErrors, type: ObjectType, value: Readonly<Record<string, unknown>>, path: string): void {
  for (const field of type.fields) {
    const child = value[field.name];
    if (!isAbsent(child)) checkField(errors, field, child, childPath(path, field.name));
  }
}

function checkField(errors: FieldErrors, field: FieldType, value: unknown, path: string): void {
  if (field.shape === "one") checkOne(errors, field, value, path);
  else if (field.shape === "list") {
    if (!Array.isArray(value)) errors.wrongType(path, value, "a list");
    else for (const [index, item] of value.entries()) if (!isAbsent(item)) checkOne(errors, field, item, `${path}[${index}]`);
  } else if (!isFields(value)) errors.wrongType(path, value, "a map");
  else for (const key of Object.keys(value)) if (!isAbsent(value[key])) checkOne(errors, field, value[key], keyPath(path, key));
}

function checkOne(errors: FieldErrors, field: FieldType, value: unknown, path: string): void {
  switch (field.kind) {
    case "object":
      checkShape(errors, field.typeName, value, path);
      break;
    case "string":
      if (typeof value !== "string") errors.wrongType(path, value, "a string");
      break;
    case "boolean":
      if (typeof value !== "boolean") errors.wrongType(path, value, "a boolean");
      break;
    case "integer":
      if (!Number.isSafeInteger(value)) errors.wrongType(path, value, "an integer");
      break;
    case "intOrString":
      if (typeof value !== "string" && !Number.isSafeInteger(value)) errors.wrongType(path, value, "an integer or a string");
      break;
    case "time":
      if (typeof value !== "string" || (value !== "" && parseTime(value) === undefined && !value.startsWith("0001-01-01T")))
        errors.wrongType(path, value, "an RFC 3339 time");
      break;
    case "quantity":
      if (typeof value !== "string" && typeof value !== "number") errors.wrongType(path, value, "a quantity");
      else if (parseQuantity(value) === undefined) errors.invalid(path, value, quantityProblem(value) ?? "");
      break;
  }
}
