/** What a namespace is still needed by: pods that run in it, else volumes that are bound to claims in it. */
import type { AdmissionContext, AdmissionRequest, Verdict } from "../../admission/webhook.ts";
import { allow } from "../../admission/webhook.ts";
import { persistentVolumeClaims, pods } from "../../kube/kinds.ts";
import { failureText } from "../../kube/outcome.ts";
import { isActive } from "../../kube/pod.ts";
import { protectionOf, refuseDeletion } from "../../workload/deletion-protection.ts";

export async function reviewNamespace(request: AdmissionRequest, context: AdmissionContext): Promise<Verdict> {
  const protection = protectionOf(request, context);
  if (protection === undefined) return allow;
  if (protection === "Always") return refuseDeletion(request, context, protection);
  const because = await stillNeeded(request.name || (request.oldObject?.metadata.name ?? ""), context);
  return because === undefined ? allow : refuseDeletion(request, context, protection, because);
}

/**
 * What the cache shows is enough to refuse, and not to let go: everything in the namespace would go with it, so "nothing" is only believed
 * of the server itself. Who cannot be counted counts.
 */
async function stillNeeded(namespace: string, { read }: AdmissionContext): Promise<string | undefined> {
  const seen = read.list(pods, namespace).filter(isActive).length;
  if (seen > 0) return `active pods ${seen}>0`;
  const [running, claims] = await Promise.all([
    read.live.list(pods, { namespace, fieldSelector: "status.phase!=Succeeded,status.phase!=Failed" }),
    read.live.list(persistentVolumeClaims, { namespace }),
  ]);
  if (!running.ok) return `its pods cannot be counted: ${failureText(running)}`;
  const active = running.object.filter(isActive).length;
  if (active > 0) return `active pods ${active}>0`;
  if (!claims.ok) return `its claims cannot be counted: ${failureText(claims)}`;
  const bound = claims.object.filter(
    ({ metadata, status }) => status?.phase === "Bound" && metadata.deletionTimestamp === undefined,
  ).length;
  return bound > 0 ? `"Bound" status pvc ${bound}>0` : undefined;
}
