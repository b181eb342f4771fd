/** What `kubectl get` shows of an object: columns, by code for Kubernetes' own kinds and by JSON path for custom ones. */
import { type Fields, fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { parseTime } from "../../kube/time.ts";
import type { Stored } from "../storage/store.ts";

export interface ColumnDefinition {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

export interface Columns {
  readonly definitions: readonly ColumnDefinition[];
  cells(object: Stored, nowMs: number): readonly unknown[];
}

/** "Name:string:name", "IP:string::1": name, type, format, priority. */
export function column(text: string, description = ""): ColumnDefinition {
  const [name = "", type = "string", format = "", priority = "0"] = text.split(":");
  return { name, type, format, description, priority: Number(priority) };
}

export const nameColumn = column("Name:string:name", "Name must be unique within a namespace.");

/** Name and time of creation: for kinds that say nothing else. */
export const plainColumns: Columns = {
  definitions: [nameColumn, column("Created At:date")],
  cells: (object) => [object.metadata.name, object.metadata.creationTimestamp],
};

/** @param columns `additionalPrinterColumns` of a custom kind */
export function customColumns(columns: readonly Fields[]): Columns {
  if (columns.length === 0)
    return { definitions: [nameColumn, column("Age:date")], cells: (object) => [object.metadata.name, object.metadata.creationTimestamp] };
  const paths = columns.map((field) => ({ type: textOf(field["type"]), path: compilePath(textOf(field["jsonPath"])) }));
  return {
    definitions: [
      nameColumn,
      ...columns.map((field) => ({
        name: textOf(field["name"]),
        type: textOf(field["type"]),
        format: textOf(field["format"]),
        description: textOf(field["description"]) || `Custom resource definition column (in JSONPath format): ${textOf(field["jsonPath"])}`,
        priority: typeof field["priority"] === "number" ? field["priority"] : 0,
      })),
    ],
    cells: (object, nowMs) => [object.metadata.name, ...paths.map(({ type, path }) => cellOf(type, readPath(path, object), nowMs))],
  };
}

function cellOf(type: string, found: readonly unknown[], nowMs: number): unknown {
  if (found.length === 0) return null;
  const first = found[0];
  switch (type) {
    case "integer":
      return Number.isInteger(first) ? first : null;
    case "number":
      return typeof first === "number" ? first : null;
    case "boolean":
      return typeof first === "boolean" ? first : null;
    case "date":
      return age(textOf(first), nowMs);
    default:
      return found.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(",");
  }
}

/** "5m2s" since a time; "<unknown>" without one. */
export function age(time: string | undefined, nowMs: number): string {
  const sinceMs = parseTime(time);
  return sinceMs === undefined ? "<unknown>" : humanDuration(nowMs - sinceMs);
}

/** As kubectl writes durations: two units while they matter, one when not. */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 60 * 2) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 60 * 3) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  if (hours < 24 * 8) return hours % 24 === 0 ? `${Math.trunc(hours / 24)}d` : `${Math.trunc(hours / 24)}d${hours % 24}h`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24)}d`;
  const years = Math.trunc(hours / 24 / 365);
  return `${years}y${Math.trunc(hours / 24) % 365 === 0 ? "" : `${Math.trunc(hours / 24) % 365}d`}`;
}

type PathStep =
  | { readonly field: string }
  | { readonly index: number }
  | { readonly all: true }
  | { readonly where: string; readonly is: string };

/** The JSON paths that CRDs may use: fields, `[0]`, `[*]`, `[?(@.type=="Ready")]`, quoted fields. */
export function compilePath(text: string): readonly PathStep[] {
  const steps: PathStep[] = [];
  const part = /\.?\["?'?([^\]"']+)"?'?\]|\.([^.[\]]+)|\[\?\(@\.([\w.]+)\s*==\s*["']?([^"')]*)["']?\)\]/y;
  const source = text.startsWith(".") || text.startsWith("[") ? text : `.${text}`;
  const filter = /\[\?\(@\.([\w.]+)\s*==\s*["']?([^"')]*)["']?\)\]/y;
  let at = 0;
  while (at < source.length) {
    filter.lastIndex = at;
    const filtered = filter.exec(source);
    if (filtered !== null) {
      steps.push({ where: filtered[1] as string, is: filtered[2] as string });
      at = filter.lastIndex;
      continue;
    }
    part.lastIndex = at;
    const match = part.exec(source);
    if (match === null) break;
    const [, bracket, field] = match;
    if (bracket === "*") steps.push({ all: true });
    else if (bracket !== undefined && /^-?\d+$/.test(bracket)) steps.push({ index: Number(bracket) });
    else steps.push({ field: (bracket ?? field ?? "").replaceAll("\\", "") });
    at = part.lastIndex;
  }
  return steps;
}

export function readPath(steps: readonly PathStep[], value: unknown): readonly unknown[] {
  let found: readonly unknown[] = [value];
  for (const step of steps) found = found.flatMap((item) => take(step, item));
  return found.filter((item) => item !== undefined && item !== null);
}

function take(step: PathStep, value: unknown): readonly unknown[] {
  if ("field" in step) return isFields(value) && value[step.field] !== undefined ? [value[step.field]] : [];
  const items = itemsOf(value);
  if ("index" in step) return step.index < items.length ? [items.at(step.index)] : [];
  if ("all" in step) return Array.isArray(value) ? items : isFields(value) ? Object.values(value) : [];
  return items.filter((item) => {
    let field: unknown = item;
    for (const name of step.where.split(".")) field = fieldsOf(field)[name];
    return String(field) === step.is;
  });
}
