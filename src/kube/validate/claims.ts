/** Persistent volume claims: those of ephemeral volumes, and the templates of workloads. */
import { normaliseAs } from "../canonical/encode.ts";
import { deepEqual, type Fields, fieldsOf } from "../json.ts";
import { parseQuantity, quantityText, zeroQuantity } from "../quantity.ts";
import { type FieldError, FieldErrors } from "./field-error.ts";
import { checkLabelSelector } from "./label-selector.ts";
import { checkAnnotations, checkLabels } from "./metadata.ts";
import { labelProblems, subdomainProblems } from "./names.ts";
import { child, optionalText, text, texts } from "./read.ts";
import { checkShape } from "./shape.ts";

const accessModes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const volumeModes = ["Block", "Filesystem"];

function checkAccessModes(errors: FieldErrors, spec: Fields, path: string): void {
  const modes = texts(spec, "accessModes");
  if (modes.length === 0) errors.required(path, "at least 1 access mode is required");
  for (const mode of modes) if (!accessModes.includes(mode)) errors.notSupported(path, mode, accessModes);
  const known = modes.filter((mode) => accessModes.includes(mode));
  if (known.includes("ReadWriteOncePod") && known.some((mode) => mode !== "ReadWriteOncePod"))
    errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
}

function checkSource(errors: FieldErrors, source: Fields, path: string): void {
  const kind = text(source, "kind");
  const group = text(source, "apiGroup");
  if (text(source, "name") === "") errors.required(`${path}.name`);
  if (kind === "") errors.required(`${path}.kind`);
  if (group === "") {
    if (kind !== "PersistentVolumeClaim")
      errors.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
  } else errors.invalidAll(`${path}.apiGroup`, group, subdomainProblems(group));
}

function checkSources(errors: FieldErrors, spec: Fields, path: string): void {
  const source = child(spec, "dataSource");
  const ref = child(spec, "dataSourceRef");
  if (source !== undefined) checkSource(errors, source, `${path}.dataSource`);
  if (ref === undefined) return;
  checkSource(errors, ref, `${path}.dataSourceRef`);
  const namespace = text(ref, "namespace");
  if (namespace !== "") errors.invalidAll(`${path}.dataSourceRef.namespace`, namespace, labelProblems(namespace));
  if (source === undefined) return;
  const detail = namespace !== "" ? "may not be specified when dataSourceRef.namespace is specified" : "must match dataSourceRef";
  const same = ["apiGroup", "kind", "name"].every((field) => deepEqual(source[field] ?? null, ref[field] ?? null));
  if (namespace !== "" || !same) errors.invalid(path, `${path}.dataSource`, detail);
}

/** @param spec of the right shape, normalised */
export function checkClaimSpec(errors: FieldErrors, spec: Fields, path: string): void {
  checkAccessModes(errors, spec, `${path}.accessModes`);
  const selector = child(spec, "selector");
  if (selector !== undefined) checkLabelSelector(errors, selector, `${path}.selector`);
  const storage = child(child(spec, "resources") ?? {}, "requests")?.["storage"];
  const storagePath = `${path}.resources[storage]`;
  if (storage === undefined) errors.required(storagePath);
  else {
    const amount = parseQuantity(storage) ?? zeroQuantity;
    if (amount.nano <= 0n) errors.invalid(storagePath, quantityText(amount), "must be greater than zero");
  }
  for (const field of ["storageClassName", "volumeAttributesClassName"]) {
    const name = text(spec, field);
    if (name !== "") errors.invalidAll(`${path}.${field}`, name, subdomainProblems(name));
  }
  const mode = optionalText(spec, "volumeMode");
  if (mode !== undefined && !volumeModes.includes(mode)) errors.notSupported(`${path}.volumeMode`, mode, volumeModes);
  checkSources(errors, spec, path);
}

/** Only labels and annotations go from an ephemeral volume's template to its claim. */
export function checkEphemeralClaim(errors: FieldErrors, template: Fields, path: string): void {
  const meta = child(template, "metadata") ?? {};
  checkAnnotations(errors, meta, `${path}.metadata.annotations`);
  checkLabels(errors, meta, "labels", `${path}.metadata.labels`);
  for (const field of Object.keys(meta))
    if (field !== "annotations" && field !== "labels" && meta[field] !== null)
      errors.forbidden(`${path}.metadata.${field}`, "cannot be set");
  checkClaimSpec(errors, child(template, "spec") ?? {}, `${path}.spec`);
}

/** A claim, or a workload's template of one. Its name is the caller's question. */
export function validateClaim(claim: unknown, path: string): readonly FieldError[] {
  const errors = new FieldErrors();
  checkShape(errors, "PersistentVolumeClaim", claim, path);
  if (!errors.any) checkClaimSpec(errors, fieldsOf(fieldsOf(normaliseAs("PersistentVolumeClaim", claim))["spec"]), `${path}.spec`);
  return errors.list;
}
