/** One request as the rest of this room sees it: who asks, for what, how. */
import type { Resource, Version } from "../kinds/resource.ts";
import { badRequest } from "./refusal.ts";
import type { Target } from "./target.ts";

export interface Actor {
  readonly username: string;
  readonly groups: readonly string[];
  readonly userAgent: string;
}

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

export interface Call {
  readonly actor: Actor;
  readonly verb: Verb;
  readonly resource: Resource;
  readonly version: Version;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: "Ignore" | "Warn" | "Strict";
  /** Told to the client beside the answer. */
  readonly warnings: string[];
}

export function callOf(
  actor: Actor,
  verb: Verb,
  resource: Resource,
  version: Version,
  target: Pick<Target, "namespace" | "name" | "subresource">,
  query: URLSearchParams,
): Call {
  const dryRun = query.getAll("dryRun");
  for (const value of dryRun)
    if (value !== "All") throw badRequest(`Invalid value: ["${value}"]: dryRun: Unsupported value: "${value}": supported values: "All"`);
  const validation = query.get("fieldValidation") ?? "Warn";
  if (validation !== "Ignore" && validation !== "Warn" && validation !== "Strict")
    throw badRequest(`fieldValidation: Unsupported value: "${validation}": supported values: "Ignore", "Strict", "Warn"`);
  return {
    actor,
    verb,
    resource,
    version,
    namespace: target.namespace,
    name: target.name,
    subresource: target.subresource,
    dryRun: dryRun.length > 0,
    fieldManager: query.get("fieldManager") || managerOf(actor.userAgent),
    fieldValidation: validation,
    warnings: version.deprecation === undefined ? [] : [version.deprecation || deprecationText(resource, version)],
  };
}

function deprecationText({ kind }: Resource, version: Version): string {
  return `${kind.group}/${version.name} ${kind.kind} is deprecated`;
}

/** "kubectl/v1.34.0 (linux/amd64)" → "kubectl" */
export function managerOf(userAgent: string): string {
  return userAgent.split("/", 1)[0] || "unknown";
}
