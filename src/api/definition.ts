/** What Kruiser knows about one of its own kinds: versions, schemas, columns, subresources and how versions convert. */
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Schema } from "./schema/kit.ts";

export interface KindDefinition<T extends KubeObject = KubeObject> {
  /** In its storage version, the only shape inside the house. */
  readonly kind: Kind<T>;
  readonly listKind: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly versions: readonly VersionDefinition[];
  /** By the name of each version that is not stored. Present: conversion by webhook. Absent: the versions have one shape. */
  readonly conversion?: Readonly<Record<string, VersionConversion>>;
}

export interface VersionDefinition {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  /** Of the whole object without apiVersion, kind and metadata: `fields({ spec, status })`. */
  readonly schema: Schema;
  readonly columns: readonly PrinterColumn[];
  readonly subresources: { readonly status?: boolean; readonly scale?: ScalePaths };
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: number;
  readonly format?: string;
}

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

/** Pure, total (any JSON in, an object out or an exception with a clear message), preserves metadata and fields it does not know. */
export interface VersionConversion {
  toStorage(object: KubeObject): KubeObject;
  fromStorage(object: KubeObject): KubeObject;
}
