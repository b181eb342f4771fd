/** Object metadata: labels, annotations, owners, finalizers, and what an update may not change. */

import { normaliseAs } from "../canonical/encode.ts";
import { deepEqual, type Fields, fieldsOf, isAbsent, utf8Length } from "../json.ts";
import { childPath, type FieldError, FieldErrors } from "./field-error.ts";
import { labelProblems, labelValueProblems, maskTrailingDash, qualifiedNameProblems, subdomainProblems } from "./names.ts";
import { children, integer, text, textEntries, texts } from "./read.ts";
import { checkShape } from "./shape.ts";

export const limits = {
  annotationBytesMax: 256 * 1024, // all keys and values of an object
} as const;

export function checkLabels(errors: FieldErrors, object: Fields, field: string, path: string): void {
  for (const [key, value] of textEntries(object, field)) {
    errors.invalidAll(path, key, qualifiedNameProblems(key));
    errors.invalidAll(path, value, labelValueProblems(value));
  }
}

/** Annotation keys are qualified names of any case; their size is bounded in sum. */
export function checkAnnotations(errors: FieldErrors, object: Fields, path: string): void {
  let bytes = 0;
  for (const [key, value] of textEntries(object, "annotations")) {
    errors.invalidAll(path, key, qualifiedNameProblems(key.toLowerCase()));
    bytes += utf8Length(key) + utf8Length(value);
  }
  if (bytes > limits.annotationBytesMax) errors.tooLong(path, limits.annotationBytesMax);
}

function checkOwners(errors: FieldErrors, meta: Fields, path: string): void {
  const owners = children(meta, "ownerReferences");
  let controller = "";
  for (const owner of owners) {
    const apiVersion = text(owner, "apiVersion");
    if (apiVersion === "" || apiVersion.endsWith("/")) errors.invalid(`${path}.apiVersion`, apiVersion, "version must not be empty");
    for (const field of ["kind", "name", "uid"]) if (text(owner, field) === "") errors.invalid(`${path}.${field}`, "", "must not be empty");
    if (apiVersion === "v1" && text(owner, "kind") === "Event")
      errors.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner");
    if (owner["controller"] !== true) continue;
    const name = `${text(owner, "kind")}/${text(owner, "name")}`;
    if (controller === "") controller = name;
    else
      errors.invalid(
        path,
        owners,
        `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`,
      );
  }
}

function checkFinalizers(errors: FieldErrors, meta: Fields, path: string): void {
  const finalizers = texts(meta, "finalizers");
  for (const finalizer of finalizers) errors.invalidAll(path, finalizer, qualifiedNameProblems(finalizer));
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion"))
    errors.invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
}

export interface MetadataRules {
  readonly namespaced: boolean;
  /** What is wrong with a name; a DNS subdomain unless said otherwise. */
  readonly nameProblems?: (name: string) => readonly string[];
}

/** Metadata of a new object, as it reaches admission: a generated name may still be missing. */
export function validateMetadata(
  meta: unknown,
  { namespaced, nameProblems = subdomainProblems }: MetadataRules,
  path = "metadata",
): readonly FieldError[] {
  const errors = new FieldErrors();
  checkShape(errors, "ObjectMeta", meta, path);
  if (errors.any) return errors.list;
  const fields = fieldsOf(normaliseAs("ObjectMeta", meta));
  const generateName = text(fields, "generateName");
  const name = text(fields, "name");
  const namespace = text(fields, "namespace");
  if (generateName !== "") errors.invalidAll(`${path}.generateName`, generateName, nameProblems(maskTrailingDash(generateName)));
  if (name !== "") errors.invalidAll(`${path}.name`, name, nameProblems(name));
  else if (generateName === "") errors.required(`${path}.name`, "name or generateName is required");
  if (namespaced && namespace === "") errors.required(`${path}.namespace`);
  else if (namespaced) errors.invalidAll(`${path}.namespace`, namespace, labelProblems(namespace));
  else if (namespace !== "") errors.forbidden(`${path}.namespace`, "not allowed on this type");
  if (integer(fields, "generation") < 0)
    errors.invalid(`${path}.generation`, integer(fields, "generation"), "must be greater than or equal to 0");
  checkLabels(errors, fields, "labels", `${path}.labels`);
  checkAnnotations(errors, fields, `${path}.annotations`);
  checkOwners(errors, fields, `${path}.ownerReferences`);
  checkFinalizers(errors, fields, `${path}.finalizers`);
  return errors.list;
}

/** Metadata of an update, held against what is stored. */
export function validateMetadataUpdate(meta: unknown, oldMeta: unknown, path = "metadata"): readonly FieldError[] {
  const errors = new FieldErrors();
  checkShape(errors, "ObjectMeta", meta, path);
  if (errors.any) return errors.list;
  const fields = fieldsOf(normaliseAs("ObjectMeta", meta));
  const old = fieldsOf(oldMeta);
  if (!isAbsent(old["deletionTimestamp"])) {
    const known = new Set(texts(old, "finalizers"));
    const added = [...new Set(texts(fields, "finalizers"))].filter((finalizer) => !known.has(finalizer)).sort();
    if (added.length > 0)
      errors.forbidden(
        `${path}.finalizers`,
        `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((finalizer) => JSON.stringify(finalizer)).join(", ")}}`,
      );
  }
  if (text(fields, "resourceVersion") === "") errors.invalid(`${path}.resourceVersion`, "", "must be specified for an update");
  if (integer(fields, "generation") < integer(old, "generation"))
    errors.invalid(`${path}.generation`, integer(fields, "generation"), "must not be decremented");
  for (const field of ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"])
    checkImmutable(errors, fields, old, field, path);
  checkLabels(errors, fields, "labels", `${path}.labels`);
  checkAnnotations(errors, fields, `${path}.annotations`);
  checkOwners(errors, fields, `${path}.ownerReferences`);
  return errors.list;
}

function checkImmutable(errors: FieldErrors, fields: Fields, old: Fields, field: string, path: string): void {
  const value = isAbsent(fields[field]) ? "" : fields[field];
  const before = isAbsent(old[field]) ? "" : old[field];
  if (!deepEqual(value, before)) errors.invalid(childPath(path, field), value, "field is immutable");
}
