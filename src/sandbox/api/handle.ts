/** The one door of the API server: a request comes in, an answer goes out, whatever happens inside. */
import { type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import type { Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import { decodeObject, deleteOptions, parseJson } from "./body.ts";
import { type Actor, type Call, callOf, type Verb } from "./call.ts";
import { createObject } from "./create.ts";
import { discoveryDocument } from "./discovery.ts";
import { listObjects } from "./list.ts";
import { openApiDocument } from "./openapi.ts";
import { type PatchKind, patchKindOf, patchObject } from "./patch.ts";
import { jsonOfProtobuf } from "./protobuf-body.ts";
import { badRequest, internalError, methodNotAllowed, notFound, Refusal, unknownResource } from "./refusal.ts";
import { deleteObject } from "./remove.ts";
import { formOf, listText, type View, viewText } from "./render.ts";
import { answerReview } from "./reviews.ts";
import { selectionOf } from "./select.ts";
import { bindPod, changeFor, created, createSubresource, getScale, podLog, writeScale } from "./subresources.ts";
import { type Target, targetOf } from "./target.ts";
import { updateObject } from "./update.ts";
import { watchObjects } from "./watch.ts";

export interface ApiRequest {
  readonly method: string;
  /** With its query, below the server's address. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Bytes: protobuf. */
  readonly body?: string | Uint8Array;
  readonly actor: Actor;
  /** Aborted when the client leaves: its watch ends. */
  readonly signal?: AbortSignal;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | AsyncIterable<Uint8Array>;
}

/** A request whose body is text. */
interface TextRequest extends ApiRequest {
  readonly body?: string;
}

export async function handle(api: Api, request: ApiRequest): Promise<ApiAnswer> {
  try {
    const { body, ...rest } = request;
    if (body === undefined) return await route(api, rest);
    return await route(api, { ...rest, body: typeof body === "string" ? body : jsonOfProtobuf(api.registry, body) });
  } catch (error) {
    const refusal = error instanceof Refusal ? error : internalError(error instanceof Error ? error.message : String(error));
    if (!(error instanceof Refusal)) api.env.log.error({ error, path: request.path, method: request.method }, "sandbox: a request failed");
    const seconds = refusal.details?.retryAfterSeconds;
    return json(refusal.code, refusal.status, seconds === undefined ? {} : { "retry-after": String(seconds) });
  }
}

function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): ApiAnswer {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    body: typeof value === "string" ? value : JSON.stringify(value),
  };
}

function plain(status: number, text: string): ApiAnswer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: text };
}

async function route(api: Api, request: TextRequest): Promise<ApiAnswer> {
  const mark = request.path.indexOf("?");
  const path = mark < 0 ? request.path : request.path.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? "" : request.path.slice(mark + 1));
  const document = documentFor(api, request, path);
  if (document !== undefined) return document;
  const target = targetOf(path);
  if (target === undefined) throw unknownResource();
  const review = reviewFor(request, target);
  if (review !== undefined) return json(201, review);
  if (target.group === "" && target.plural === "bindings" && request.method === "POST")
    return bindByCollection(api, request, target, query);
  const served = api.registry.find(target.group, target.version, target.plural);
  if (served === undefined) throw unknownResource();
  const verb = verbOf(request.method, target, query);
  const call = callOf(request.actor, verb, served.resource, served.version, target, query);
  if (target.namespace !== "" && !served.resource.kind.namespaced) throw unknownResource();
  const answer = await answerCall(api, call, request, query, target);
  if (call.warnings.length === 0) return answer;
  const warning = call.warnings.map((text) => `299 - ${JSON.stringify(text)}`).join(", ");
  return { ...answer, headers: { ...answer.headers, warning } };
}

function documentFor(api: Api, request: TextRequest, path: string): ApiAnswer | undefined {
  switch (path) {
    case "/version":
    case "/version/": {
      const [, major = "1", minor = "34"] = /^v(\d+)\.(\d+)/.exec(api.serverVersion) ?? [];
      return json(200, {
        major,
        minor,
        gitVersion: api.serverVersion,
        gitCommit: "sandbox",
        gitTreeState: "clean",
        buildDate: "1970-01-01T00:00:00Z",
        goVersion: "none",
        compiler: "none",
        platform: "sandbox",
      });
    }
    case "/readyz":
    case "/livez":
    case "/healthz":
      return plain(200, "ok");
    default:
      break;
  }
  if (request.method !== "GET") return undefined;
  const discovery = discoveryDocument(api.registry, path, request.headers["accept"] ?? "");
  if (discovery !== undefined) {
    const aggregated = discovery["kind"] === "APIGroupDiscoveryList";
    const version = textOf(discovery["apiVersion"]).split("/")[1];
    return json(
      200,
      discovery,
      aggregated ? { "content-type": `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList` } : {},
    );
  }
  const openApi = openApiDocument(api.registry, path);
  return openApi === undefined ? undefined : json(200, openApi);
}

function reviewFor(request: TextRequest, target: Target): Fields | undefined {
  if (target.group !== "authentication.k8s.io" && target.group !== "authorization.k8s.io") return undefined;
  if (request.method !== "POST") throw methodNotAllowed();
  const answer = answerReview(target.plural, fieldsOf(parseJson(request.body)), request.actor);
  if (answer === undefined) throw unknownResource();
  return answer;
}

async function bindByCollection(api: Api, request: TextRequest, target: Target, query: URLSearchParams): Promise<ApiAnswer> {
  const body = fieldsOf(parseJson(request.body));
  const served = api.registry.find("", "v1", "pods");
  if (served === undefined) throw unknownResource();
  const name = textOf(fieldsOf(body["metadata"])["name"]);
  const call = callOf(request.actor, "create", served.resource, served.version, { ...target, name, subresource: "binding" }, query);
  await bindPod(api, call, body);
  return json(201, created);
}

function verbOf(method: string, target: Target, query: URLSearchParams): Verb {
  switch (method) {
    case "GET":
    case "HEAD":
      if (target.name !== "") return "get";
      return query.get("watch") === "true" || query.get("watch") === "1" ? "watch" : "list";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return target.name === "" ? "deletecollection" : "delete";
    default:
      throw methodNotAllowed();
  }
}

function viewOf(api: Api, call: Call, request: TextRequest, query: URLSearchParams, isList: boolean): View {
  const include = query.get("includeObject");
  return {
    form: formOf(request.headers["accept"], isList),
    resource: call.resource,
    version: call.version,
    nowMs: api.env.nowMs(),
    includeObject: include === "None" || include === "Object" ? include : "Metadata",
  };
}

async function answerCall(api: Api, call: Call, request: TextRequest, query: URLSearchParams, target: Target): Promise<ApiAnswer> {
  switch (call.verb) {
    case "get":
      return getOne(api, call, request, query);
    case "list": {
      const page = await listObjects(api, call, selectionOf(call.resource, query, ""), query);
      return json(200, listText(viewOf(api, call, request, query, true), page.objects, page.metadata));
    }
    case "watch": {
      const view = viewOf(api, call, request, query, true);
      const selection = selectionOf(call.resource, query, "");
      const stream = watchObjects(api, call, { selection, view, query, ...(request.signal ? { signal: request.signal } : {}) });
      return { status: 200, headers: { "content-type": "application/json" }, body: stream };
    }
    case "create":
      return postOne(api, call, request, query, target);
    case "update":
    case "patch":
      return changeOne(api, call, request, query);
    case "delete":
      return deleteOne(api, call, request, query);
    case "deletecollection":
      return deleteAll(api, call, request, query);
  }
}

async function getOne(api: Api, call: Call, request: TextRequest, query: URLSearchParams): Promise<ApiAnswer> {
  if (call.subresource === "scale") return json(200, await getScale(api, call));
  if (call.subresource === "log" && call.resource.storage === "pods") return plain(200, await podLog(api, call, query));
  if (call.subresource !== "" && changeFor(call) === undefined) throw unknownSubresource(call);
  const namespace = call.resource.kind.namespaced ? call.namespace : "";
  const stored = api.store.get(call.resource.storage, { namespace, name: call.name });
  if (stored === undefined) throw notFound(call.resource.kind, call.name);
  const object = await api.converter.show(call.resource, call.version, stored);
  return json(200, viewText(viewOf(api, call, request, query, false), object));
}

function unknownSubresource(call: Call): Refusal {
  if (call.resource.subresources.includes(call.subresource))
    return badRequest(`the sandbox runs no containers: ${call.resource.kind.plural}/${call.subresource} is not available`);
  return unknownResource();
}

async function postOne(api: Api, call: Call, request: TextRequest, query: URLSearchParams, target: Target): Promise<ApiAnswer> {
  if (call.subresource !== "") {
    if (!call.resource.subresources.includes(call.subresource)) throw unknownResource();
    return json(201, await createSubresource(api, call, request.body));
  }
  if (target.name !== "") throw methodNotAllowed();
  const object = await createObject(api, call, parseJson(request.body));
  return json(201, viewText(viewOf(api, call, request, query, false), object));
}

async function changeOne(api: Api, call: Call, request: TextRequest, query: URLSearchParams): Promise<ApiAnswer> {
  if (call.name === "") throw methodNotAllowed();
  const kind = call.verb === "patch" ? requiredPatchKind(request) : undefined;
  if (call.subresource === "scale") return json(200, await writeScale(api, call, kind, request.body));
  const change = changeFor(call);
  if (change === undefined) throw unknownSubresource(call);
  const view = viewOf(api, call, request, query, false);
  if (kind === undefined) {
    const body = parseJson(request.body);
    const object = await updateObject(api, call, { ...change, next: () => decodeObject(call, body) });
    return json(200, viewText(view, object));
  }
  const { object, created: isNew } = await patchObject(api, call, kind, request.body, query, change);
  return json(isNew ? 201 : 200, viewText(view, object));
}

function requiredPatchKind(request: TextRequest): PatchKind {
  const kind = patchKindOf(request.headers["content-type"] ?? "");
  if (kind !== undefined) return kind;
  const accepted =
    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
  throw new Refusal(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted}`,
    {},
  );
}

async function deleteOne(api: Api, call: Call, request: TextRequest, query: URLSearchParams): Promise<ApiAnswer> {
  if (call.subresource !== "") throw methodNotAllowed();
  const options = deleteOptions(parseJson(request.body), query);
  const dryRun = call.dryRun || itemsOf(options["dryRun"]).length > 0;
  const { object, gone } = await deleteObject(api, { ...call, dryRun }, options);
  const { kind } = call.resource;
  const asObject = !gone || answersWithObject.has(call.resource.storage);
  if (asObject) return json(200, viewText(viewOf(api, call, request, query, false), object));
  const details = {
    name: object.metadata.name,
    ...(kind.group === "" ? {} : { group: kind.group }),
    kind: kind.plural,
    uid: object.metadata.uid,
  };
  return json(200, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details });
}

/** Kinds whose deletion answers with the object even when it is gone. */
const answersWithObject: ReadonlySet<string> = new Set([
  "pods",
  "services",
  "serviceaccounts",
  "persistentvolumeclaims",
  "persistentvolumes",
  "resourcequotas",
  "podtemplates",
]);

async function deleteAll(api: Api, call: Call, request: TextRequest, query: URLSearchParams): Promise<ApiAnswer> {
  if (!call.resource.verbs.includes("deletecollection")) throw methodNotAllowed();
  const options = deleteOptions(parseJson(request.body), query);
  const dryRun = call.dryRun || itemsOf(options["dryRun"]).length > 0;
  const page = await listObjects(api, call, selectionOf(call.resource, query, ""), query);
  for (const object of page.objects)
    await deleteQuietly(api, { ...call, dryRun, name: object.metadata.name, namespace: object.metadata.namespace ?? "" }, options);
  return json(200, listText(viewOf(api, call, request, query, true), page.objects, page.metadata));
}

/** Somebody else may have been faster. */
async function deleteQuietly(api: Api, call: Call, options: Fields): Promise<Stored | undefined> {
  try {
    return (await deleteObject(api, call, options)).object;
  } catch (error) {
    if (error instanceof Refusal && error.code === 404) return undefined;
    throw error;
  }
}
