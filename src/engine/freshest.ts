/**
 * The freshest version of an object that we know: the cache (which holds the answers of our own writes), the answer of the step before,
 * or, for kinds nobody watches, a live read.
 */
import type { Reader } from "../kube/access.ts";
import type { Key, Kind, Ref } from "../kube/kind.ts";
import type { Failure } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import type { CachePort } from "./ports.ts";

export interface Objects {
  readonly read: Reader;
  readonly cache: CachePort;
}

export type Fresh = { readonly ok: true; readonly object: Readonly<KubeObject> } | Failure;

/** Whether `a` is an older version than `b`. Versions are numbers of any length; what is no number counts as older. */
export function isOlder(a: string, b: string): boolean {
  if (!digits.test(b)) return false;
  if (!digits.test(a)) return true;
  return a.length === b.length ? a < b : a.length < b.length;
}
const digits = /^[1-9][0-9]*$/;

export function isGone(name: string): Failure {
  return { ok: false, why: "notFound", message: `${name} is gone` };
}

/** Not the version that somebody drew a conclusion from. */
export function isAnother(name: string, version: string): Failure {
  return { ok: false, why: "conflict", message: `${name} is not at version ${version} any more` };
}

/** The object behind `ref`. Gone, or another object under its name: "notFound". `known` is what an earlier step was answered. */
export function freshest(objects: Objects, ref: Ref, known: Readonly<KubeObject> | undefined): Fresh | Promise<Fresh> {
  const uid = ref.uid ?? known?.metadata.uid;
  // A kind that is not held may not even be watched: then the cache is not to be asked.
  if (!objects.cache.holds(ref.of)) return known === undefined ? liveRead(objects, ref, uid) : { ok: true, object: known };
  const cached = objects.read.get(ref.of, ref);
  if (cached === undefined || (uid !== undefined && cached.metadata.uid !== uid)) return isGone(ref.name);
  const newer = known !== undefined && isOlder(cached.metadata.resourceVersion, known.metadata.resourceVersion) ? known : cached;
  return { ok: true, object: newer };
}

/** Straight from the API server; the cache learns what it says. */
export async function liveRead(objects: Objects, ref: Ref, uid: string | undefined = ref.uid): Promise<Fresh> {
  const answer = await objects.read.live.get(ref.of, ref);
  if (answer.ok) {
    objects.cache.put(ref.of, answer.object);
    if (uid === undefined || answer.object.metadata.uid === uid) return answer;
    objects.cache.remove(ref.of, { namespace: ref.namespace, name: ref.name, uid });
    return isGone(ref.name);
  }
  if (answer.why === "notFound") objects.cache.remove(ref.of, { namespace: ref.namespace, name: ref.name, uid });
  return answer;
}

/** One id an object, for locks and gatherings. */
export function objectId(of: Kind, key: Key & { readonly uid?: string }): string {
  return key.uid ?? `${of.group}/${of.kind}/${key.namespace}/${key.name}`;
}
