/** What containers mount, and as what. */
import type { Fields } from "../json.ts";
import type { FieldErrors } from "./field-error.ts";
import { child, children, optionalText, text } from "./read.ts";

/** Volumes that passed their own validation, by name. */
export type Volumes = ReadonlyMap<string, Fields>;

export function hasBackstep(path: string): boolean {
  return path.split("/").includes("..");
}

/** A path below a directory: relative, and never out of it. */
export function checkDescendingPath(errors: FieldErrors, value: string, path: string): void {
  if (value.startsWith("/")) errors.invalid(path, value, "must be a relative path");
  if (hasBackstep(value)) errors.invalid(path, value, "must not contain '..'");
}

/** As a descending path, and free of the names that atomic writers use. */
export function checkFilePath(errors: FieldErrors, value: string, path: string): void {
  checkDescendingPath(errors, value, path);
  if (value.startsWith("..") && !value.startsWith("../")) errors.invalid(path, value, "must not start with '..'");
}

const propagations = ["Bidirectional", "HostToContainer", "None"];

function checkPropagation(errors: FieldErrors, mount: Fields, privileged: boolean, path: string): void {
  const propagation = optionalText(mount, "mountPropagation");
  if (propagation === undefined) return;
  if (!propagations.includes(propagation)) errors.notSupported(path, propagation, propagations);
  if (propagation === "Bidirectional" && !privileged)
    errors.forbidden(path, "Bidirectional mount propagation is available only to privileged containers");
}

function checkRecursiveReadOnly(errors: FieldErrors, mount: Fields, path: string): void {
  const mode = optionalText(mount, "recursiveReadOnly");
  if (mode === undefined || mode === "Disabled") return;
  if (mode !== "Enabled" && mode !== "IfPossible") {
    errors.notSupported(path, mode, ["Disabled", "Enabled", "IfPossible"]);
    return;
  }
  if (mount["readOnly"] !== true) errors.forbidden(path, "may only be specified when readOnly is true");
  const propagation = optionalText(mount, "mountPropagation");
  if (propagation !== undefined && propagation !== "None")
    errors.forbidden(path, "may only be specified when mountPropagation is None or not specified");
}

function checkSubPaths(errors: FieldErrors, mount: Fields, path: string, at: string): void {
  const subPath = text(mount, "subPath");
  const expression = text(mount, "subPathExpr");
  if (subPath !== "") checkDescendingPath(errors, subPath, `${path}.subPath`);
  if (expression === "") return;
  if (subPath !== "") errors.invalid(`${at}.subPathExpr`, expression, "subPathExpr and subPath are mutually exclusive");
  checkDescendingPath(errors, expression, `${path}.subPathExpr`);
}

export function checkMounts(errors: FieldErrors, container: Fields, volumes: Volumes, path: string): void {
  const devices = children(container, "volumeDevices");
  const deviceNames = new Set(devices.map((device) => text(device, "name")));
  const devicePaths = new Set(devices.map((device) => text(device, "devicePath")));
  const privileged = child(container, "securityContext")?.["privileged"] === true;
  const seen = new Set<string>();
  for (const [index, mount] of children(container, "volumeMounts").entries()) {
    const at = `${path}[${index}]`;
    const name = text(mount, "name");
    const mountPath = text(mount, "mountPath");
    if (name === "") errors.required(`${at}.name`);
    if (!volumes.has(name)) errors.notFound(`${at}.name`, name);
    if (mountPath === "") errors.required(`${at}.mountPath`);
    if (seen.has(mountPath)) errors.invalid(`${at}.mountPath`, mountPath, "must be unique");
    seen.add(mountPath);
    if (deviceNames.has(name)) errors.invalid(`${at}.name`, name, "must not already exist in volumeDevices");
    if (devicePaths.has(mountPath)) errors.invalid(`${at}.mountPath`, mountPath, "must not already exist as a path in volumeDevices");
    checkSubPaths(errors, mount, path, at);
    checkPropagation(errors, mount, privileged, `${path}.mountPropagation`);
    checkRecursiveReadOnly(errors, mount, `${path}.recursiveReadOnly`);
  }
}

export function checkDevices(errors: FieldErrors, container: Fields, volumes: Volumes, path: string): void {
  const mounts = children(container, "volumeMounts");
  const mountNames = new Set(mounts.map((mount) => text(mount, "name")));
  const mountPaths = new Set(mounts.map((mount) => text(mount, "mountPath")));
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const [index, device] of children(container, "volumeDevices").entries()) {
    const at = `${path}[${index}]`;
    const name = text(device, "name");
    const devicePath = text(device, "devicePath");
    const volume = volumes.get(name);
    if (name === "") errors.required(`${at}.name`);
    if (names.has(name)) errors.invalid(`${at}.name`, name, "must be unique");
    if (volume === undefined) errors.notFound(`${at}.name`, name);
    else if (child(volume, "persistentVolumeClaim") === undefined && child(volume, "ephemeral") === undefined)
      errors.invalid(`${at}.name`, name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    if (devicePath === "") errors.required(`${at}.devicePath`);
    if (paths.has(devicePath)) errors.invalid(`${at}.devicePath`, devicePath, "must be unique");
    if (hasBackstep(devicePath)) errors.invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')");
    else paths.add(devicePath);
    if (mountNames.has(name)) errors.invalid(`${at}.name`, name, "must not already exist in volumeMounts");
    if (mountPaths.has(devicePath)) errors.invalid(`${at}.devicePath`, devicePath, "must not already exist as a path in volumeMounts");
    if (name !== "") names.add(name);
  }
}
