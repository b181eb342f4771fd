/**
 * What is wrong with a field, in the words of the Kubernetes API server, so that users and their tools read one language whoever
 * refuses an object.
 */
export type FieldErrorType =
  | "Required"
  | "Invalid"
  | "NotSupported"
  | "Forbidden"
  | "Duplicate"
  | "NotFound"
  | "TooLong"
  | "TooMany"
  | "TypeInvalid"
  | "Internal";

export interface FieldError {
  readonly type: FieldErrorType;
  /** "spec.template.spec.containers[0].image" */
  readonly path: string;
  /** Printed for the types that show a value. */
  readonly badValue?: unknown;
  readonly detail: string;
}

const titles: Readonly<Record<FieldErrorType, string>> = {
  Required: "Required value",
  Invalid: "Invalid value",
  NotSupported: "Unsupported value",
  Forbidden: "Forbidden",
  Duplicate: "Duplicate value",
  NotFound: "Not found",
  TooLong: "Too long",
  TooMany: "Too many",
  TypeInvalid: "Invalid value",
  Internal: "Internal error",
};
const withoutValue: ReadonlySet<FieldErrorType> = new Set<FieldErrorType>(["Required", "Forbidden", "TooLong", "Internal"]);
/** As the API's `causes` name them. */
const causes: Readonly<Record<FieldErrorType, string>> = {
  Required: "FieldValueRequired",
  Invalid: "FieldValueInvalid",
  NotSupported: "FieldValueNotSupported",
  Forbidden: "FieldValueForbidden",
  Duplicate: "FieldValueDuplicate",
  NotFound: "FieldValueNotFound",
  TooLong: "FieldValueTooLong",
  TooMany: "FieldValueTooMany",
  TypeInvalid: "FieldValueTypeInvalid",
  Internal: "InternalError",
};

const shownValueMax = 4096; // characters of a value in a message; a whole pod spec helps nobody

/** A value as the API server prints it in a message. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  const text = JSON.stringify(value) ?? "null";
  return text.length > shownValueMax ? `${text.slice(0, shownValueMax)}…` : text;
}

/** `Invalid value: "x": must be …`, without the field. */
export function errorBody({ type, badValue, detail }: FieldError): string {
  const title = withoutValue.has(type) || badValue === undefined ? titles[type] : `${titles[type]}: ${shown(badValue)}`;
  return detail === "" ? title : `${title}: ${detail}`;
}

/** `spec.replicas: Invalid value: -1: must be …` */
export function errorText(error: FieldError): string {
  return `${error.path}: ${errorBody(error)}`;
}

/** One error as its text, several as `[a, b]`, each text once; "" for none. */
export function aggregateText(errors: readonly FieldError[]): string {
  const texts = [...new Set(errors.map(errorText))];
  return texts.length < 2 ? (texts[0] ?? "") : `[${texts.join(", ")}]`;
}

/** For `status.details.causes` of an answer. */
export function errorCauses(errors: readonly FieldError[]): { reason: string; message: string; field: string }[] {
  return errors.map((error) => ({ reason: causes[error.type], message: errorBody(error), field: error.path }));
}

/** The list that rules write what they find into. */
export class FieldErrors {
  readonly list: FieldError[] = [];

  add(type: FieldErrorType, path: string, detail: string, badValue?: unknown): void {
    this.list.push(badValue === undefined ? { type, path, detail } : { type, path, detail, badValue });
  }
  required(path: string, detail = ""): void {
    this.add("Required", path, detail);
  }
  invalid(path: string, badValue: unknown, detail: string): void {
    this.add("Invalid", path, detail, badValue ?? "");
  }
  /** One error for each message. */
  invalidAll(path: string, badValue: unknown, messages: readonly string[]): void {
    for (const message of messages) this.invalid(path, badValue, message);
  }
  notSupported(path: string, badValue: unknown, supported: readonly string[]): void {
    this.add(
      "NotSupported",
      path,
      supported.length === 0 ? "" : `supported values: ${supported.map((value) => JSON.stringify(value)).join(", ")}`,
      badValue,
    );
  }
  forbidden(path: string, detail: string): void {
    this.add("Forbidden", path, detail);
  }
  duplicate(path: string, badValue: unknown): void {
    this.add("Duplicate", path, "", badValue);
  }
  notFound(path: string, badValue: unknown, detail = ""): void {
    this.add("NotFound", path, detail, badValue);
  }
  tooLong(path: string, max: number): void {
    this.add("TooLong", path, `may not be more than ${max} ${max === 1 ? "byte" : "bytes"}`);
  }
  tooMany(path: string, actual: number, max: number): void {
    this.add("TooMany", path, `must have at most ${max} ${max === 1 ? "item" : "items"}`, actual);
  }
  /** The JSON is of another type than the field. */
  wrongType(path: string, value: unknown, wanted: string): void {
    this.add("TypeInvalid", path, `must be ${wanted}`, jsonType(value));
  }
  internal(path: string, detail: string): void {
    this.add("Internal", path, detail);
  }
  get any(): boolean {
    return this.list.length > 0;
  }
}

function jsonType(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

/** `a` + `b` → `a.b`; the root path is "". */
export function childPath(path: string, field: string): string {
  return path === "" ? field : `${path}.${field}`;
}

export function keyPath(path: string, key: string): string {
  return `${path}[${key}]`;
}
