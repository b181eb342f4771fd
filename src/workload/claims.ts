/** Volume claims of a pod made from claim templates: their names, and the volumes through which the pod uses them. */
import type { PersistentVolumeClaimTemplate, Volume } from "../kube/types.ts";

/** "data" of workload "web", pod "0" → "data-web-0". */
export function claimName(template: Readonly<PersistentVolumeClaimTemplate>, workload: string, pod: string | number): string {
  return `${template.metadata?.name ?? ""}-${workload}-${pod}`;
}

/** One volume for each claim template, in their order, before the template's own volumes of other names. */
export function volumesWithClaims(
  volumes: readonly Volume[],
  templates: readonly PersistentVolumeClaimTemplate[],
  claim: (template: PersistentVolumeClaimTemplate) => string,
): readonly Volume[] {
  if (templates.length === 0) return volumes;
  const claimed = templates.map((template) => ({
    name: template.metadata?.name ?? "",
    persistentVolumeClaim: { claimName: claim(template), readOnly: false },
  }));
  const names = new Set(claimed.map(({ name }) => name));
  return [...claimed, ...volumes.filter(({ name }) => !names.has(name))];
}
