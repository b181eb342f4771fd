/** A volume claim held against the template it came from: can it stay, must it grow, is it done growing? */
import { compareQuantityValues } from "./quantity.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate } from "./types.ts";

function requested(spec: PersistentVolumeClaimSpec | undefined): unknown {
  return spec?.resources?.requests?.["storage"];
}

/** Everything that cannot be changed on a claim agrees. A storage class left open on either side agrees with any. */
export function isCompatibleButForSize(claim: PersistentVolumeClaim, template: PersistentVolumeClaimTemplate): boolean {
  const claimClass = claim.spec.storageClassName;
  const templateClass = template.spec.storageClassName;
  if (claimClass !== undefined && templateClass !== undefined && claimClass !== templateClass) return false;
  const claimModes = claim.spec.accessModes ?? [];
  const templateModes = template.spec.accessModes ?? [];
  return claimModes.length === templateModes.length && claimModes.every((mode, index) => mode === templateModes[index]);
}

/** Compatible, and at least as large as the template asks. */
export function isCompatible(claim: PersistentVolumeClaim, template: PersistentVolumeClaimTemplate): boolean {
  return isCompatibleButForSize(claim, template) && !needsExpansion(claim, template);
}

export function needsExpansion(claim: PersistentVolumeClaim, template: PersistentVolumeClaimTemplate): boolean {
  return compareQuantityValues(requested(claim.spec), requested(template.spec)) < 0;
}

/** The volume is as large as the claim asks. */
export function isExpanded(claim: PersistentVolumeClaim): boolean {
  return compareQuantityValues(claim.status?.capacity?.["storage"], requested(claim.spec)) >= 0;
}

/** Nothing is left to do but what the pod's restart does: the volume has grown, or only its file system has yet to. */
export function isPatchCompleted(claim: PersistentVolumeClaim, template: PersistentVolumeClaimTemplate): boolean {
  if (!isCompatible(claim, template)) return false;
  const pending = claim.status?.conditions?.some(
    (condition) => condition.type === "FileSystemResizePending" && condition.status === "True",
  );
  return isExpanded(claim) || pending === true;
}

export interface ClaimMatch {
  readonly matches: boolean;
  /** What `needsWork` said of a claim that could match. */
  readonly needsWork: boolean;
}

/** Holds a claim against its template with a further question, asked only when the claim can be kept. */
export function matchClaim(
  claim: PersistentVolumeClaim,
  template: PersistentVolumeClaimTemplate,
  needsWork: (claim: PersistentVolumeClaim, template: PersistentVolumeClaimTemplate) => boolean,
): ClaimMatch {
  if (!isCompatibleButForSize(claim, template)) return { matches: false, needsWork: false };
  return needsWork(claim, template) ? { matches: false, needsWork: true } : { matches: true, needsWork: false };
}
