/** What a path of the API server leads to. */
import { badRequest } from "./refusal.ts";

export interface Target {
  readonly group: string;
  readonly version: string;
  /** "" for all namespaces, or a kind without. */
  readonly namespace: string;
  readonly plural: string;
  /** "" for a collection. */
  readonly name: string;
  readonly subresource: string;
  /** What follows the subresource: of a proxy or log. */
  readonly rest: string;
}

/** @returns undefined when the path leads to no resource */
export function targetOf(path: string): Target | undefined {
  const parts = path.split("/").filter((part) => part !== "");
  const isCore = parts[0] === "api";
  if (!isCore && parts[0] !== "apis") return undefined;
  const group = isCore ? "" : (parts[1] ?? "");
  const version = (isCore ? parts[1] : parts[2]) ?? "";
  let rest = parts.slice(isCore ? 2 : 3).map(decode);
  if (version === "" || rest.length === 0) return undefined;
  let namespace = "";
  if (rest[0] === "namespaces" && rest.length >= 3 && rest[2] !== "status" && rest[2] !== "finalize") {
    namespace = rest[1] as string;
    rest = rest.slice(2);
  }
  const [plural = "", name = "", subresource = "", ...more] = rest;
  return { group, version, namespace, plural, name, subresource, rest: more.join("/") };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badRequest(`the path has an unreadable part: ${part}`);
  }
}
