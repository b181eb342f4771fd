/** The volumes of a pod: names, and one source each. */
import type { Fields } from "../json.ts";
import { FieldErrors } from "./field-error.ts";
import type { Volumes } from "./mounts.ts";
import { labelProblems } from "./names.ts";
import { child, children, optionalText, text } from "./read.ts";
import { volumeSources } from "./volume-sources.ts";

function checkSource(errors: FieldErrors, volume: Fields, path: string): void {
  let count = 0;
  for (const [name, check] of volumeSources) {
    const source = child(volume, name);
    if (source === undefined) continue;
    count += 1;
    if (count > 1) errors.forbidden(`${path}.${name}`, "may not specify more than 1 volume type");
    else check(errors, source, `${path}.${name}`);
    if (name === "iscsi") checkInitiator(errors, volume, source, path);
  }
  // A source newer than this build is the server's to judge.
  const hasUnknown = Object.keys(volume).some((field) => field !== "name" && !volumeSources.has(field));
  if (count === 0 && !hasUnknown) errors.required(path, "must specify a volume type");
}

function checkInitiator(errors: FieldErrors, volume: Fields, source: Fields, path: string): void {
  const name = text(volume, "name");
  if (optionalText(source, "initiatorName") !== undefined && `${name}:${text(source, "targetPortal")}`.length > 64)
    errors.invalid(
      `${path}.name`,
      name,
      "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
    );
}

/**
 * @param podName where it is known: claims that will be made for ephemeral volumes are then known too
 * @returns the volumes that are all right: a mount of another one is an error of its own
 */
export function checkVolumes(errors: FieldErrors, spec: Fields, path: string, podName?: string): Volumes {
  const volumes = children(spec, "volumes");
  const created = new Set(
    podName === undefined
      ? []
      : volumes.filter((volume) => child(volume, "ephemeral") !== undefined).map((volume) => `${podName}-${text(volume, "name")}`),
  );
  const valid = new Map<string, Fields>();
  for (const [index, volume] of volumes.entries()) {
    const at = `${path}[${index}]`;
    const own = new FieldErrors();
    const name = text(volume, "name");
    checkSource(own, volume, at);
    if (name === "") own.required(`${at}.name`);
    else own.invalidAll(`${at}.name`, name, labelProblems(name));
    if (valid.has(name)) own.duplicate(`${at}.name`, name);
    if (own.any) errors.list.push(...own.list);
    else valid.set(name, volume);
    const claimName = text(child(volume, "persistentVolumeClaim") ?? {}, "claimName");
    if (claimName !== "" && created.has(claimName))
      errors.invalid(
        `${at}.persistentVolumeClaim.claimName`,
        claimName,
        "must not reference a PVC that gets created for an ephemeral volume",
      );
  }
  return valid;
}
