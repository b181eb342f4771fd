/** Admission webhooks: whom to ask, what to send, and what to do with the answer or without one. */

import type { Env } from "../../env/env.ts";
import { type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import { applyJsonPatch, type JsonPatchOperation } from "../../kube/patch/json-patch.ts";
import { selectorMatches } from "../../kube/selector.ts";
import type { LabelSelector } from "../../kube/types.ts";
import { withDefaults } from "../api/body.ts";
import { internalError, Refusal } from "../api/refusal.ts";
import type { Registry } from "../api/registry.ts";
import { evaluate, expressionOf } from "../cel/evaluate.ts";
import { SyntaxProblem } from "../cel/parse.ts";
import { Problem, Unsupported } from "../cel/values.ts";
import { type Version, versionOf } from "../kinds/resource.ts";
import { decodeBuiltin } from "../schema/decode.ts";
import type { Store, Stored } from "../storage/store.ts";
import type { Review } from "./admission.ts";
import type { CallWebhook } from "./conversion.ts";

interface Parts {
  readonly env: Env;
  readonly store: Store;
  readonly registry: Registry;
  readonly callWebhook: CallWebhook;
}

const mutatingResource = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
const validatingResource = "validatingwebhookconfigurations.admissionregistration.k8s.io";

export async function mutatingWebhooks(parts: Parts, review: Review): Promise<Stored | undefined> {
  let current = review;
  const asked: Fields[] = [];
  const changedAfter = new Map<Fields, Stored | undefined>();
  for (const webhook of matching(parts, mutatingResource, review)) {
    const object = await askToChange(parts, webhook, current);
    asked.push(webhook);
    changedAfter.set(webhook, object);
    if (object !== current.object) current = { ...current, object };
  }
  for (const webhook of asked) {
    if (webhook["reinvocationPolicy"] !== "IfNeeded" || changedAfter.get(webhook) === current.object) continue;
    const object = await askToChange(parts, webhook, current);
    if (object !== current.object) current = { ...current, object };
  }
  return current.object;
}

export async function validatingWebhooks(parts: Parts, review: Review): Promise<void> {
  const webhooks = matching(parts, validatingResource, review);
  if (webhooks.length === 0) return;
  const answers = await Promise.allSettled(webhooks.map((webhook) => ask(parts, webhook, review)));
  for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
}

function matching(parts: Parts, resource: string, review: Review): readonly Fields[] {
  // Configurations themselves are never sent to webhooks: nobody locks himself out.
  if (review.resource.kind.group === "admissionregistration.k8s.io") return [];
  const configurations = parts.store.list(resource);
  if (configurations.length === 0) return [];
  return configurations
    .flatMap((configuration) => itemsOf(configuration["webhooks"]).map(fieldsOf))
    .filter(
      (webhook) => versionFor(webhook, review) !== undefined && selects(parts.store, webhook, review) && conditionsHold(webhook, review),
    );
}

/** Conditions that cannot be evaluated are the webhook's failure, as its policy says. */
function conditionsHold(webhook: Fields, review: Review): boolean {
  const conditions = itemsOf(webhook["matchConditions"]).map(fieldsOf);
  if (conditions.length === 0) return true;
  const names = { request: requestOf(webhook, review, ""), object: review.object ?? null, oldObject: review.oldObject ?? null };
  let failed = "";
  for (const condition of conditions) {
    try {
      if (evaluate(expressionOf(textOf(condition["expression"])), names) === false) return false;
    } catch (error) {
      if (!(error instanceof Problem || error instanceof Unsupported || error instanceof SyntaxProblem)) throw error;
      failed = error.message;
    }
  }
  if (failed === "") return true;
  if (webhook["failurePolicy"] === "Ignore") return false;
  throw internalError(`failed calling webhook "${textOf(webhook["name"])}": match conditions cannot be evaluated: ${failed}`);
}

/** The version in which the webhook wants the object; undefined when no rule matches. */
function versionFor(webhook: Fields, review: Review): Version | undefined {
  const rules = itemsOf(webhook["rules"])
    .map(fieldsOf)
    .filter((rule) => ruleCovers(rule, review));
  const allows = (rule: Fields, version: string) => itemsOf(rule["apiVersions"]).some((name) => name === "*" || name === version);
  if (rules.some((rule) => allows(rule, review.version.name))) return review.version;
  if (webhook["matchPolicy"] === "Exact") return undefined;
  return review.resource.versions.find((version) => rules.some((rule) => allows(rule, version.name))) ?? undefined;
}

function ruleCovers(rule: Fields, review: Review): boolean {
  const has = (field: string, ...values: string[]) => itemsOf(rule[field]).some((value) => values.includes(textOf(value)));
  const { kind } = review.resource;
  if (!has("operations", "*", review.operation) || !has("apiGroups", "*", kind.group)) return false;
  const { subresource } = review;
  const resources =
    subresource === "" ? ["*", "*/*", kind.plural] : ["*/*", `${kind.plural}/*`, `*/${subresource}`, `${kind.plural}/${subresource}`];
  if (!has("resources", ...resources)) return false;
  const scope = textOf(rule["scope"]) || "*";
  return scope === "*" || (scope === "Namespaced") === kind.namespaced;
}

function selects(store: Store, webhook: Fields, review: Review): boolean {
  const namespaceSelector = webhook["namespaceSelector"] as LabelSelector | undefined;
  const isNamespace = review.resource.storage === "namespaces";
  if (namespaceSelector !== undefined && (review.resource.kind.namespaced || isNamespace)) {
    const namespace = store.get("namespaces", { namespace: "", name: isNamespace ? review.name : review.namespace });
    const labels = isNamespace ? (review.object ?? review.oldObject)?.metadata.labels : namespace?.metadata.labels;
    if (!selectorMatches(namespaceSelector, labels)) return false;
  }
  const objectSelector = webhook["objectSelector"] as LabelSelector | undefined;
  if (objectSelector === undefined) return true;
  return [review.object, review.oldObject].some(
    (object) => object !== undefined && selectorMatches(objectSelector, object.metadata.labels),
  );
}

async function askToChange(parts: Parts, webhook: Fields, review: Review): Promise<Stored | undefined> {
  const response = await ask(parts, webhook, review);
  const encoded = textOf(response?.["patch"]);
  if (encoded === "" || review.object === undefined) return review.object;
  const patch = JSON.parse(Buffer.from(encoded, "base64").toString("utf8")) as JsonPatchOperation[];
  const patched = applyJsonPatch(review.object, patch);
  if (!patched.ok) throw internalError(`jsonpatch ${patched.problem}`);
  if (review.subresource !== "") return patched.value as Stored;
  // Read like what a user sends, so that what is left open is filled in.
  const { resource, version } = review;
  const read = resource.custom === undefined ? decodeBuiltin(version.schema, fieldsOf(patched.value)).value : fieldsOf(patched.value);
  return withDefaults(review, read as Stored);
}

/** @returns the response; undefined when the webhook could not be asked and may be ignored @throws Refusal when it says no */
async function ask(parts: Parts, webhook: Fields, review: Review): Promise<Fields | undefined> {
  const name = textOf(webhook["name"]);
  const uid = parts.env.uuid();
  const version = itemsOf(webhook["admissionReviewVersions"]).includes("v1") ? "v1" : "v1beta1";
  const request = { apiVersion: `admission.k8s.io/${version}`, kind: "AdmissionReview", request: requestOf(webhook, review, uid) };
  let response: Fields;
  try {
    const answer = await parts.callWebhook(webhook["clientConfig"], request, Number(webhook["timeoutSeconds"] ?? 10) * 1000);
    response = fieldsOf(fieldsOf(answer)["response"]);
    if (response["uid"] !== uid) throw new Error(`expected response.uid="${uid}", got "${textOf(response["uid"])}"`);
  } catch (error) {
    if (webhook["failurePolicy"] === "Ignore") return undefined;
    throw internalError(`failed calling webhook "${name}": failed to call webhook: ${(error as Error).message}`);
  }
  for (const warning of itemsOf(response["warnings"]))
    if (!review.warnings.includes(textOf(warning))) review.warnings.push(textOf(warning));
  if (response["allowed"] !== true) throw refusalOf(name, fieldsOf(response["status"]));
  return response;
}

function refusalOf(name: string, status: Fields): Refusal {
  const code = typeof status["code"] === "number" && status["code"] >= 400 ? status["code"] : 400;
  const said = textOf(status["message"]) || textOf(status["reason"]);
  const prefix = `admission webhook "${name}" denied the request`;
  return new Refusal(code, textOf(status["reason"]), said === "" ? `${prefix} without explanation` : `${prefix}: ${said}`);
}

const subresourceKinds: Readonly<Record<string, { group: string; version: string; kind: string }>> = {
  eviction: { group: "policy", version: "v1", kind: "Eviction" },
  binding: { group: "", version: "v1", kind: "Binding" },
  scale: { group: "autoscaling", version: "v1", kind: "Scale" },
};

function requestOf(webhook: Fields, review: Review, uid: string): Fields {
  const { kind } = review.resource;
  const version = versionFor(webhook, review) ?? review.version;
  const gvk = subresourceKinds[review.subresource] ?? { group: kind.group, version: version.name, kind: kind.kind };
  const resource = { group: kind.group, version: version.name, resource: kind.plural };
  const shape = (object: Stored | undefined) => (object === undefined ? null : inVersion(review, version, object));
  return {
    uid,
    kind: gvk,
    resource,
    ...(review.subresource === "" ? {} : { subResource: review.subresource }),
    requestKind: { ...gvk, ...(subresourceKinds[review.subresource] === undefined ? { version: review.version.name } : {}) },
    requestResource: { ...resource, version: review.version.name },
    ...(review.subresource === "" ? {} : { requestSubResource: review.subresource }),
    name: review.name,
    ...(review.resource.kind.namespaced || review.resource.storage === "namespaces"
      ? { namespace: review.resource.storage === "namespaces" ? review.name : review.namespace }
      : {}),
    operation: review.operation,
    userInfo: { username: review.actor.username, groups: review.actor.groups },
    object: shape(review.object),
    oldObject: shape(review.oldObject),
    dryRun: review.dryRun,
    options: review.options,
  };
}

/** Versions of one shape differ in their name only; others are left to webhooks that list every version. */
function inVersion(review: Review, version: Version, object: Stored): Stored {
  if (version === review.version || versionOf(review.resource, version.name) === undefined) return object;
  return { ...object, apiVersion: `${review.resource.kind.group}/${version.name}` } as Stored;
}
