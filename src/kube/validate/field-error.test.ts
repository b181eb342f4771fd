import { expect, test } from "bun:test";
import { aggregateText, errorCauses, errorText, FieldErrors } from "./field-error.ts";

test("errors read as the API server's", () => {
  const errors = new FieldErrors();
  errors.required("spec.template.spec.containers[0].image");
  errors.required("spec.selector", "must be given");
  errors.invalid("spec.replicas", -1, "must be greater than or equal to 0");
  errors.invalid("metadata.name", "A", "must be lower case");
  errors.invalid("spec.x", { a: [1] }, "odd");
  errors.invalid("spec.y", undefined, "odd");
  errors.notSupported("spec.template.spec.restartPolicy", "Never", ["Always"]);
  errors.notSupported("spec.z", "a", ["b", "c"]);
  errors.forbidden("spec", "may not change");
  errors.duplicate("spec.list[1]", "x");
  errors.notFound("spec.volumeMounts[0].name", "v");
  errors.tooLong("metadata.annotations", 262144);
  errors.tooMany("spec.list", 3, 1);
  errors.wrongType("spec.list", 1, "a list");
  errors.wrongType("spec.list", null, "a list");
  errors.internal("spec", "broken");
  expect(errors.list.map(errorText)).toEqual([
    "spec.template.spec.containers[0].image: Required value",
    "spec.selector: Required value: must be given",
    "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    'metadata.name: Invalid value: "A": must be lower case',
    'spec.x: Invalid value: {"a":[1]}: odd',
    'spec.y: Invalid value: "": odd',
    'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    'spec.z: Unsupported value: "a": supported values: "b", "c"',
    "spec: Forbidden: may not change",
    'spec.list[1]: Duplicate value: "x"',
    'spec.volumeMounts[0].name: Not found: "v"',
    "metadata.annotations: Too long: may not be more than 262144 bytes",
    "spec.list: Too many: 3: must have at most 1 item",
    'spec.list: Invalid value: "number": must be a list',
    'spec.list: Invalid value: "null": must be a list',
    "spec: Internal error: broken",
  ]);
});

test("one error is its text, several are a list, each once", () => {
  const errors = new FieldErrors();
  expect(aggregateText(errors.list)).toBe("");
  errors.required("a");
  expect(aggregateText(errors.list)).toBe("a: Required value");
  errors.required("b");
  errors.required("a");
  expect(aggregateText(errors.list)).toBe("[a: Required value, b: Required value]");
  expect(errorCauses(errors.list)[0]).toEqual({ reason: "FieldValueRequired", message: "Required value", field: "a" });
});

test("a huge value is not repeated in full", () => {
  const errors = new FieldErrors();
  errors.invalid("spec", { text: "x".repeat(100_000) }, "odd");
  expect(aggregateText(errors.list).length).toBeLessThan(5000);
});
