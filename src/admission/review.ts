/** AdmissionReview on the wire: v1 and v1beta1, answered in the version they came in. Any JSON gets an answer. */
import { fieldsOf, isFields, itemsOf, textOf, utf8Bytes } from "../kube/json.ts";
import { parseLean } from "../kube/lean.ts";
import { jsonPatchOf, jsonPatchText } from "../kube/patch/json-patch.ts";
import type { KubeObject } from "../kube/types.ts";
import type { AdmissionRequest, Operation, Verdict } from "./webhook.ts";

export const reviewGroup = "admission.k8s.io";
const operations: ReadonlySet<string> = new Set<Operation>(["CREATE", "UPDATE", "DELETE", "CONNECT"]);

export type DecodedReview =
  | { readonly ok: true; readonly apiVersion: string; readonly request: AdmissionRequest }
  /** 400: nobody knows what was asked. */
  | { readonly ok: false; readonly apiVersion: string; readonly uid: string; readonly message: string };

/** @param text the body of the request */
export function decodeReview(text: string): DecodedReview {
  if (text === "") return unreadable("the body is empty");
  let review: unknown;
  try {
    review = parseLean(text);
  } catch (error) {
    return unreadable(`the body is not JSON: ${(error as Error).message}`);
  }
  if (!isFields(review)) return unreadable("the body is not a JSON object");
  const apiVersion = review["apiVersion"];
  if (apiVersion !== "admission.k8s.io/v1" && apiVersion !== "admission.k8s.io/v1beta1")
    return unreadable(`apiVersion: want ${reviewGroup}/v1 or ${reviewGroup}/v1beta1`);
  if (review["kind"] !== "AdmissionReview") return unreadable("kind: want AdmissionReview", apiVersion);
  const request = review["request"];
  if (!isFields(request)) return unreadable("request: missing", apiVersion);
  const uid = request["uid"];
  if (typeof uid !== "string") return unreadable("request.uid: missing", apiVersion);
  const operation = request["operation"];
  if (typeof operation !== "string" || !operations.has(operation))
    return unreadable("request.operation: want CREATE, UPDATE, DELETE or CONNECT", apiVersion, uid);
  for (const field of ["object", "oldObject"] as const) {
    const value = request[field];
    if (value !== undefined && value !== null && !isObject(value))
      return unreadable(`request.${field}: want an object with metadata`, apiVersion, uid);
  }
  return { ok: true, apiVersion, request: normalised(request, uid, operation as Operation) };
}

/** Everything sent to a webhook is an object of the API; its metadata is the one part that every reader relies on. */
function isObject(value: unknown): boolean {
  if (!isFields(value)) return false;
  const metadata = value["metadata"];
  return metadata === undefined || metadata === null || isFields(metadata);
}

function normalised(request: Readonly<Record<string, unknown>>, uid: string, operation: Operation): AdmissionRequest {
  const kind = fieldsOf(request["kind"]);
  const resource = fieldsOf(request["resource"]);
  const userInfo = fieldsOf(request["userInfo"]);
  const object = objectOf(request["object"]);
  const subResource = textOf(request["subResource"]);
  const options = request["options"];
  return {
    uid,
    kind: { group: textOf(kind["group"]), version: textOf(kind["version"]), kind: textOf(kind["kind"]) },
    resource: { group: textOf(resource["group"]), version: textOf(resource["version"]), resource: textOf(resource["resource"]) },
    subResource: subResource === "" ? undefined : subResource,
    name: textOf(request["name"]),
    namespace: textOf(request["namespace"]),
    operation,
    object,
    oldObject: objectOf(request["oldObject"]),
    options: options === null ? undefined : options,
    dryRun:
      request["dryRun"] === true ||
      isDryRun(options) ||
      // An eviction carries the options of the deletion that it stands for.
      (subResource === "eviction" && isDryRun((object as Evicts | undefined)?.deleteOptions)),
    userInfo: {
      username: textOf(userInfo["username"]),
      groups: itemsOf(userInfo["groups"]).filter((group): group is string => typeof group === "string"),
    },
  };
}
type Evicts = KubeObject & { deleteOptions?: unknown };

function objectOf(value: unknown): KubeObject | undefined {
  if (!isFields(value)) return undefined;
  if (isFields(value["metadata"])) return value as unknown as KubeObject;
  return { ...value, metadata: {} } as KubeObject;
}

function isDryRun(options: unknown): boolean {
  return isFields(options) && Array.isArray(options["dryRun"]) && options["dryRun"].length > 0;
}

function unreadable(message: string, apiVersion = `${reviewGroup}/v1`, uid = ""): DecodedReview {
  return { ok: false, apiVersion, uid, message };
}

const reasons: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  413: "RequestEntityTooLarge",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
};

/**
 * The answer's body.
 * @param original what the request carried: the patch leads from there to the verdict's object
 * @throws when the verdict's object cannot be written as JSON
 */
export function encodeVerdict(apiVersion: string, uid: string, verdict: Verdict, original?: unknown): string {
  const { warnings = [] } = verdict;
  const told = warnings.length === 0 ? "" : `,"warnings":${JSON.stringify(warnings)}`;
  const outcome = verdict.allowed ? patchText(verdict, original) : statusText(verdict);
  return `{"kind":"AdmissionReview","apiVersion":${JSON.stringify(apiVersion)},"response":{"uid":${JSON.stringify(uid)},"allowed":${verdict.allowed}${told}${outcome}}}`;
}

type Allowed = Verdict & { readonly allowed: true };

function patchText(verdict: Allowed, original: unknown): string {
  const patch = verdict.patch ?? (verdict.object === undefined ? [] : jsonPatchOf(original, verdict.object));
  // Base64 needs no escapes: what is longest in the answer is not looked through once more.
  return patch.length === 0 ? "" : `,"patchType":"JSONPatch","patch":"${utf8Bytes(jsonPatchText(patch)).toBase64()}"`;
}

function statusText({ message, code, reason = reasons[code] }: Exclude<Verdict, Allowed>): string {
  return `,"status":${JSON.stringify({ status: "Failure", message, reason, code })}`;
}
