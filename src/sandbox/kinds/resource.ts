/** What the server knows of one resource: its versions, its subresources, and the rules that are its own. */
import type { Fields } from "../../kube/json.ts";
import { type Kind, resourceName } from "../../kube/kind.ts";
import type { FieldError } from "../../kube/validate/field-error.ts";
import type { Schema } from "../schema/schema.ts";
import type { Stored } from "../storage/store.ts";
import type { Columns } from "./columns.ts";

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

export interface Version {
  readonly name: string;
  readonly schema: Schema;
  /** Printed in front of answers about this version. */
  readonly deprecation?: string;
  readonly columns: Columns;
  readonly scale?: ScalePaths;
  readonly status: boolean;
  /** Other shapes of the same object; absent: the shape is the storage version's. */
  readonly fromStorage?: (object: Stored) => Stored;
  readonly toStorage?: (object: Stored) => Stored;
}

/** What differs from kind to kind. All are pure; objects are in the version of the request. */
export interface Rules {
  /** What a name must be; default a DNS subdomain. */
  readonly nameProblems?: (name: string) => readonly string[];
  /** Fills in what the user left open. */
  readonly withDefaults?: (object: Stored) => Stored;
  /** What the server decides about a new object: status, generated fields. */
  readonly prepareCreate?: (object: Stored) => Stored;
  /** What an update through the main resource may not touch is put back. */
  readonly prepareUpdate?: (object: Stored, old: Stored) => Stored;
  readonly prepareStatus?: (object: Stored, old: Stored) => Stored;
  /** @param old of an update: custom kinds do not hold against it what has not changed */
  readonly validate?: (object: Stored, old?: Stored) => readonly FieldError[];
  /** Beside `validate`, of new objects only. */
  readonly validateCreate?: (object: Stored) => readonly FieldError[];
  readonly validateUpdate?: (object: Stored, old: Stored) => readonly FieldError[];
  readonly validateStatus?: (object: Stored, old: Stored) => readonly FieldError[];
  /** Which parts count for metadata.generation; absent: it is not kept. */
  readonly generation?: (object: Stored) => unknown;
  /** Fields that field selectors may ask for, beside name and namespace. */
  readonly fields?: (object: Stored) => Readonly<Record<string, string>>;
  /** Seconds that a deletion waits for somebody to finish the work; absent: deletions are at once. */
  readonly graceSeconds?: (object: Stored, asked: number | undefined) => number;
  /** How dependents of a deleted object fare when the request does not say. */
  readonly orphanByDefault?: boolean;
}

export interface Resource {
  /** In the storage version. */
  readonly kind: Kind;
  /** Where the objects are kept: two resources may show the same objects. */
  readonly storage: string;
  readonly listKind: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** The preferred one first. */
  readonly versions: readonly Version[];
  /** Without status and scale, which are the versions' own. */
  readonly subresources: readonly string[];
  readonly verbs: readonly string[];
  readonly rules: Rules;
  /** Present for custom kinds. */
  readonly custom?: Custom;
}

export interface Custom {
  readonly definition: Fields;
  /** Absent: versions have one shape. */
  readonly conversion?: Fields;
}

export const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;

export function versionOf(resource: Resource, name: string): Version | undefined {
  return resource.versions.find((version) => version.name === name);
}

export function storageVersion(resource: Resource): Version {
  return versionOf(resource, resource.kind.version) ?? (resource.versions[0] as Version);
}

export function resourceId(kind: Kind): string {
  return resourceName(kind);
}
