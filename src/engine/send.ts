/** Puts preconditions into writes, so that each goes to the object it was computed for, or nowhere. */
import type { DeleteOptions, WriteOptions, Writer } from "../kube/access.ts";
import { fieldsOf } from "../kube/json.ts";
import type { Ref } from "../kube/kind.ts";
import { refOf } from "../kube/kind.ts";
import type { Written } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Write, WriteStep } from "./plan.ts";

/** Sends `write`, computed from `fresh`. A precondition that does not hold is answered with "conflict". */
export function send(
  writer: Writer,
  ref: Ref,
  write: Write,
  step: Pick<WriteStep, "precondition" | "subresource">,
  fresh: KubeObject,
): Promise<Written<KubeObject>> {
  const { uid, resourceVersion } = fresh.metadata;
  const version = step.precondition === "version" ? resourceVersion : undefined;
  const options: WriteOptions | undefined = step.subresource === undefined ? undefined : { subresource: step.subresource };
  if ("put" in write) return writer.update(ref.of, putBody(write.put, uid, version), options);
  const target: Ref = { ...refOf(ref.of, fresh), namespace: ref.namespace };
  const body = write.patch === "json" ? jsonPatchBody(write.body, uid, version) : mergeBody(write.body, uid, version);
  return writer.patch(target, write.patch, body, options);
}

/** Merge and strategic patches carry their preconditions in the metadata. */
export function mergeBody(body: object, uid: string, resourceVersion: string | undefined): object {
  const metadata = { ...fieldsOf(fieldsOf(body)["metadata"]), uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
  return { ...body, metadata };
}

/**
 * In a JSON patch the preconditions are set, not tested: the server compares what it is asked to store with what it holds and answers 409,
 * where a failed test is a 422 that nobody can tell from a bad patch.
 */
function jsonPatchBody(body: object, uid: string, resourceVersion: string | undefined): object {
  const operations: object[] = [{ op: "add", path: "/metadata/uid", value: uid }];
  if (resourceVersion !== undefined) operations.push({ op: "add", path: "/metadata/resourceVersion", value: resourceVersion });
  return Array.isArray(body) ? [...operations, ...body] : operations;
}

/** Without a version the write happens to whatever version there is. */
function putBody(object: KubeObject, uid: string, resourceVersion: string | undefined): KubeObject {
  const metadata: Partial<KubeObject["metadata"]> = { ...object.metadata, uid };
  if (resourceVersion === undefined) delete metadata.resourceVersion;
  else metadata.resourceVersion = resourceVersion;
  return { ...object, metadata: metadata as KubeObject["metadata"] };
}

/** Options of a deletion without the fields that say nothing. */
export function deleteOptions(options: { readonly gracePeriodSeconds?: number; readonly resourceVersion?: string }): DeleteOptions {
  return {
    ...(options.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds }),
    ...(options.resourceVersion === undefined ? {} : { resourceVersion: options.resourceVersion }),
  };
}
