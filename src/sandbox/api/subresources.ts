/** What hangs below an object: scale, eviction, binding, resize, ephemeral containers, logs, tokens. Status is an update like any other. */
import { type Fields, fieldsOf, isFields, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { requirementsText, selectorText } from "../../kube/selector.ts";
import { formatTime } from "../../kube/time.ts";
import type { LabelSelector } from "../../kube/types.ts";
import { FieldErrors } from "../../kube/validate/field-error.ts";
import { applyConfig } from "../fields/apply.ts";
import { compilePath, readPath } from "../kinds/columns.ts";
import type { ScalePaths } from "../kinds/resource.ts";
import { checkResize, ephemeralContainersOnly, podRules, resourcesOnly } from "../kinds/rules/pods.ts";
import { builtinType } from "../schema/builtin.ts";
import type { Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import { parseJson } from "./body.ts";
import type { Call } from "./call.ts";
import { evictPod } from "./evict.ts";
import { type PatchKind, patched } from "./patch.ts";
import { badRequest, conflict, invalid, notFound } from "./refusal.ts";
import { type Change, updateObject } from "./update.ts";

export const created = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 } as const;

// scale

/** The `Scale` of an object. */
export function scaleOf(object: Stored, paths: ScalePaths): Stored {
  const number = (path: string): number => {
    const [value] = readPath(compilePath(path), object);
    return typeof value === "number" ? value : 0;
  };
  const [selector] = paths.labelSelectorPath === undefined ? [] : readPath(compilePath(paths.labelSelectorPath), object);
  const text = selectorTextOf(selector);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: withFields({} as Fields, { replicas: number(paths.specReplicasPath) || undefined }),
    status: { replicas: number(paths.statusReplicasPath), ...(text === "" ? {} : { selector: text }) },
  } as unknown as Stored;
}

/** A text, a label selector, or the plain labels of a ReplicationController. */
function selectorTextOf(selector: unknown): string {
  if (typeof selector === "string") return selector;
  if (!isFields(selector)) return "";
  if (isFields(selector["matchLabels"]) || Array.isArray(selector["matchExpressions"])) return selectorText(selector as LabelSelector);
  const requirements = Object.entries(selector).map(([key, value]) => ({
    key,
    operator: "In" as const,
    values: [textOf(value)],
    equals: true,
  }));
  return requirementsText(requirements);
}

export async function getScale(api: Api, call: Call): Promise<Stored> {
  return scaleOf(await currentOf(api, call), scalePaths(call));
}

function scalePaths(call: Call): ScalePaths {
  if (call.version.scale === undefined) throw notFound(call.resource.kind, call.name);
  return call.version.scale;
}

async function currentOf(api: Api, call: Call): Promise<Stored> {
  const stored = api.store.get(call.resource.storage, { namespace: call.namespace, name: call.name });
  if (stored === undefined) throw notFound(call.resource.kind, call.name);
  return api.converter.show(call.resource, call.version, stored);
}

/** PUT and PATCH of a scale. @param kind undefined for PUT */
export async function writeScale(api: Api, call: Call, kind: PatchKind | undefined, text: string | undefined): Promise<Stored> {
  const paths = scalePaths(call);
  const body = parseJson(text);
  const change: Change = {
    next: (current) => {
      const scale = scaleOf(current, paths);
      const wanted = fieldsOf(wantedScale(call, scale, kind, body));
      const replicas = fieldsOf(wanted["spec"])["replicas"] ?? 0;
      const { resourceVersion, uid } = fieldsOf(wanted["metadata"]);
      if (textOf(uid) !== "" && uid !== current.metadata.uid) throw conflict(call.resource.kind, call.name, "the uid differs");
      if (typeof replicas !== "number" || replicas < 0) {
        const errors = new FieldErrors();
        errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0");
        throw invalid("autoscaling", "Scale", call.name, errors.list);
      }
      const next = setPath(current, paths.specReplicasPath, replicas) as Stored;
      return withFields(next, {
        metadata: withFields(next.metadata, { resourceVersion: textOf(resourceVersion) || current.metadata.resourceVersion }),
      }) as Stored;
    },
    prepare: (next) => next,
    validate: () => [],
    reviewed: (next) => scaleOf(next, paths),
  };
  return scaleOf(await updateObject(api, call, change), paths);
}

function wantedScale(call: Call, scale: Stored, kind: PatchKind | undefined, body: unknown): unknown {
  if (kind === undefined) {
    if (!isFields(body)) throw badRequest("the body of the request is not a Scale");
    return body;
  }
  if (kind !== "apply") return patched(scaleCall(call), kind, scale, body);
  return applyConfig(scaleCall(call), scale, body as Stored, true, 0);
}

/** Patches of a scale follow the schema of Scale. */
function scaleCall(call: Call): Call {
  return { ...call, version: { ...call.version, schema: builtinType("autoscaling.v1.Scale") } };
}

function setPath(object: unknown, path: string, value: unknown): unknown {
  const [first = "", ...rest] = path.split(".").filter((part) => part !== "");
  const fields = fieldsOf(object);
  return withFields(fields, { [first]: rest.length === 0 ? value : setPath(fields[first], rest.join("."), value) });
}

// Pods

/** POST to pods/binding and bindings. */
export async function bindPod(api: Api, call: Call, body: unknown): Promise<void> {
  const target = textOf(fieldsOf(fieldsOf(body)["target"])["name"]);
  if (target === "") {
    const errors = new FieldErrors();
    errors.required("target.name");
    throw invalid("", "Binding", call.name, errors.list);
  }
  const nowMs = api.env.nowMs();
  await updateObject(
    api,
    { ...call, subresource: "binding" },
    {
      next: (current) => {
        const { metadata } = current;
        if (metadata.deletionTimestamp !== undefined)
          throw conflict(
            { group: "", plural: "pods/binding" },
            call.name,
            `pod ${call.name} is being deleted, cannot be assigned to a host`,
          );
        const spec = fieldsOf(current["spec"]);
        if (textOf(spec["nodeName"]) !== "")
          throw conflict(
            { group: "", plural: "pods/binding" },
            call.name,
            `pod ${call.name} is already assigned to node "${spec["nodeName"]}"`,
          );
        const status = fieldsOf(current["status"]);
        const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: formatTime(nowMs) };
        const conditions = itemsOf(status["conditions"]).filter((condition) => fieldsOf(condition)["type"] !== "PodScheduled");
        return withFields(current, {
          spec: withFields(spec, { nodeName: target }),
          status: withFields(status, { conditions: [...conditions, scheduled] }),
        }) as Stored;
      },
      prepare: (next) => next,
      validate: () => [],
      reviewed: () => fieldsOf(body) as Stored,
    },
  );
}

export async function createSubresource(api: Api, call: Call, text: string | undefined): Promise<unknown> {
  const body = parseJson(text);
  if (call.resource.storage === "pods" && call.subresource === "eviction") {
    await evictPod(api, call, fieldsOf(body));
    return created;
  }
  if (call.resource.storage === "pods" && call.subresource === "binding") {
    await bindPod(api, call, body);
    return created;
  }
  if (call.resource.storage === "serviceaccounts" && call.subresource === "token") {
    await currentOf(api, call);
    return {
      kind: "TokenRequest",
      apiVersion: "authentication.k8s.io/v1",
      metadata: { name: call.name, namespace: call.namespace, creationTimestamp: formatTime(api.env.nowMs()) },
      spec: fieldsOf(fieldsOf(body)["spec"]),
      status: { token: `sandbox.${call.namespace}.${call.name}`, expirationTimestamp: formatTime(api.env.nowMs() + 3_600_000) },
    };
  }
  throw badRequest(`the sandbox runs no containers: ${call.resource.kind.plural}/${call.subresource} is not available`);
}

/** How an update through a subresource differs from one of the object. Undefined: there is no such subresource. */
export function changeFor(call: Call): Partial<Change> | undefined {
  switch (call.subresource) {
    case "":
      return {};
    case "status":
      return call.version.status ? {} : undefined;
    case "ephemeralcontainers":
      return call.resource.storage === "pods" ? { prepare: ephemeralContainersOnly, validate: checkEphemeral } : undefined;
    case "resize":
      return call.resource.storage === "pods" ? { prepare: resourcesOnly, validate: checkResized } : undefined;
    case "finalize":
      return call.resource.storage === "namespaces" ? { prepare: finalizersOnly, validate: () => [] } : undefined;
    default:
      return undefined;
  }
}

function checkResized(next: Stored, current: Stored) {
  const errors = new FieldErrors();
  checkResize(errors, next, current);
  return [...(podRules.validate?.(next) ?? []), ...errors.list];
}

function checkEphemeral(next: Stored, current: Stored) {
  const errors = new FieldErrors();
  const before = itemsOf(fieldsOf(current["spec"])["ephemeralContainers"]).map(fieldsOf);
  const after = itemsOf(fieldsOf(next["spec"])["ephemeralContainers"]).map(fieldsOf);
  for (const old of before) {
    const now = after.find((container) => container["name"] === old["name"]);
    if (now === undefined)
      errors.forbidden("spec.ephemeralContainers", `existing ephemeral containers "${old["name"]}" may not be removed\n`);
  }
  return [...errors.list, ...(podRules.validate?.(next) ?? [])];
}

function finalizersOnly(next: Stored, current: Stored): Stored {
  return withFields(current, {
    spec: next["spec"],
    metadata: { ...current.metadata, resourceVersion: next.metadata.resourceVersion },
  }) as Stored;
}

/** The text of `pods/log`. */
export async function podLog(api: Api, call: Call, query: URLSearchParams): Promise<string> {
  const pod = await currentOf(api, call);
  const namesOf = (field: string) => itemsOf(fieldsOf(pod["spec"])[field]).map((container) => textOf(fieldsOf(container)["name"]));
  const [mains, first] = [namesOf("containers"), namesOf("initContainers")];
  const asked = query.get("container") ?? "";
  if (asked === "" && mains.length > 1) {
    const others = first.length === 0 ? "" : ` or one of the init containers: [${first.join(" ")}]`;
    throw badRequest(`a container name must be specified for pod ${call.name}, choose one of: [${mains.join(" ")}]${others}`);
  }
  const container = asked === "" ? (mains[0] as string) : asked;
  if (![...mains, ...first, ...namesOf("ephemeralContainers")].includes(container))
    throw badRequest(`container ${container} is not valid for pod ${call.name}`);
  return api.nodes.log(pod, container);
}
