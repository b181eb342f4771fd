/**
 * Reading and writing objects straight at the API server. Every answer is a value. Objects go out and come back as the JSON they
 * are, but for `metadata.managedFields`, which are left out when reading; `apiVersion` and `kind` are filled in where they are missing.
 */
import type { DeleteOptions, Draft, ListOptions, LiveReader, PatchType, ScaleView, Subresource, WriteOptions, Writer } from "./access.ts";
import { failureOf } from "./failure.ts";
import { apiVersion, type Key, type Kind, type Ref } from "./kind.ts";
import { parseLean } from "./lean.ts";
import type { Failure, Written } from "./outcome.ts";
import { collectionPath, objectPath, withQuery } from "./path.ts";
import type { ApiAnswer, ApiRequest, Method, Transport } from "./transport.ts";
import type { KubeObject } from "./types.ts";

/** Objects a page: large enough to need few requests, small enough for the server's memory. */
const pageSizeDefault = 500;
const metadataListAccept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
/** A list whose continue token expires is begun again; more than this and the server is too slow for its own compaction. */
const listRestartsMax = 3;

const patchTypes: Readonly<Record<PatchType, string>> = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
};
/** All that the server says of a JSON patch it could not apply (code 422). */
const patchInapplicable = "the server rejected our request due to an error in our request";
/** Their answers are not the object itself. */
const foreignAnswers: ReadonlySet<Subresource | undefined> = new Set<Subresource>(["scale", "eviction", "binding"]);

export interface ListPage<T> {
  readonly items: readonly T[];
  /** Of the whole list, the same on each page. */
  readonly resourceVersion: string;
}

/** Told of what writes returned, so that the watch cache shows them at once. */
export interface WriteObserver {
  put(kind: Kind, object: KubeObject): void;
  remove(ref: Ref): void;
}

export interface ClientOptions {
  readonly observer?: WriteObserver;
  /** Goes past the queue and the rate limit, see `ApiRequest`. */
  readonly urgent?: boolean;
  readonly deadlineMs?: number;
}

export class KubeClient implements Writer, LiveReader {
  constructor(
    readonly transport: Transport,
    private readonly options: ClientOptions = {},
  ) {}

  /** The same client under another user agent: "kruise-manager/cloneset-controller". */
  as(userAgent: string): KubeClient {
    return new KubeClient(this.transport.as(userAgent), this.options);
  }
  with(options: ClientOptions): KubeClient {
    return new KubeClient(this.transport, { ...this.options, ...options });
  }

  get<T extends KubeObject>(kind: Kind<T>, key: Key): Promise<Written<T>> {
    return this.send<T>("GET", objectPath(kind, key));
  }

  async list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}): Promise<Written<readonly T[]>> {
    const items: T[] = [];
    for (let restarts = 0; ; restarts += 1) {
      let failure: Failure | undefined;
      items.length = 0;
      for await (const page of this.pages(kind, options)) {
        if (page.ok) for (const item of page.object.items) items.push(item);
        else failure = page;
      }
      if (!failure) return { ok: true, object: items };
      if (failure.why !== "expired" || restarts >= listRestartsMax) return failure;
    }
  }

  /** Page by page. A failure is the last thing given; "expired" means that the list must begin again. */
  async *pages<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}): AsyncGenerator<Written<ListPage<T>>, void> {
    const { labelSelector, fieldSelector, limit = pageSizeDefault, itemsMax = Number.POSITIVE_INFINITY } = options;
    const path = collectionPath(kind, options.namespace);
    const accept = options.metadataOnly ? metadataListAccept : undefined;
    let next: string | undefined;
    let read = 0;
    do {
      const page = withQuery(path, { limit, labelSelector, fieldSelector, continue: next });
      const answer = await this.send<RawList<T>>("GET", page, undefined, undefined, undefined, accept);
      if (!answer.ok) {
        yield answer;
        return;
      }
      const items = answer.object.items ?? [];
      for (const item of items) fillType(kind, item);
      yield { ok: true, object: { items, resourceVersion: answer.object.metadata?.resourceVersion ?? "" } };
      next = answer.object.metadata?.continue;
      read += items.length;
    } while (next && read < itemsMax);
  }

  async scale(kind: Kind, key: Key): Promise<Written<ScaleView>> {
    const answer = await this.send<RawScale>("GET", objectPath(kind, key, "scale"));
    if (!answer.ok) return answer;
    const { metadata, spec, status } = answer.object;
    const uid = metadata?.uid ? { uid: metadata.uid } : {};
    return { ok: true, object: { replicas: spec?.replicas ?? 0, selector: status?.selector ?? "", ...uid } };
  }

  create<T extends KubeObject>(kind: Kind<T>, object: Draft<T>, options: WriteOptions = {}): Promise<Written<T>> {
    const namespace = object.metadata.namespace ?? "";
    const path = options.subresource
      ? objectPath(kind, { namespace, name: object.metadata.name ?? "" }, options.subresource)
      : collectionPath(kind, namespace);
    return this.write(kind, "POST", path, typed(kind, object), undefined, options);
  }

  update<T extends KubeObject>(kind: Kind<T>, object: T, options: WriteOptions = {}): Promise<Written<T>> {
    const key = { namespace: object.metadata.namespace ?? "", name: object.metadata.name };
    return this.write(kind, "PUT", objectPath(kind, key, options.subresource), typed(kind, object), undefined, options);
  }

  async patch<T extends KubeObject>(ref: Ref<T>, type: PatchType, body: unknown, options: WriteOptions = {}): Promise<Written<T>> {
    const written = await this.write(ref.of, "PATCH", objectPath(ref.of, ref, options.subresource), body, patchTypes[type], options);
    // A `test` that does not hold, or a path that is not there: the object is not what the patch was computed from.
    if (type === "json" && !written.ok && written.why === "denied" && written.message === patchInapplicable)
      return { ok: false, why: "conflict", message: "the JSON patch does not apply to the object as it is now" };
    return written;
  }

  apply<T extends KubeObject>(
    ref: Ref<T>,
    body: unknown,
    fieldManager: string,
    options: WriteOptions & { force?: boolean } = {},
  ): Promise<Written<T>> {
    const path = withQuery(objectPath(ref.of, ref, options.subresource), { fieldManager, force: options.force });
    const object = { apiVersion: apiVersion(ref.of), kind: ref.of.kind, ...(body as object) };
    return this.write(ref.of, "PATCH", path, object, "application/apply-patch+yaml", options);
  }

  async delete<T extends KubeObject>(ref: Ref<T>, options: DeleteOptions = {}): Promise<Written<T | undefined>> {
    const answer = await this.send<T | DeleteStatus>("DELETE", objectPath(ref.of, ref), deleteBody(ref, options));
    if (!answer.ok) return answer;
    const { object } = answer;
    const gone = isStatus(object) || isGone(object);
    if (!options.dryRun) {
      const uid = ref.uid ?? (isStatus(object) ? object.details?.uid : object.metadata.uid);
      if (!gone) this.options.observer?.put(ref.of, object);
      else if (uid) this.options.observer?.remove({ of: ref.of, namespace: ref.namespace, name: ref.name, uid });
    }
    return { ok: true, object: gone ? undefined : object };
  }

  async evict(ref: Ref, options: DeleteOptions = {}): Promise<Written<undefined>> {
    const body = {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name: ref.name, namespace: ref.namespace },
      deleteOptions: deleteBody(ref, options),
    };
    // A 429 here is a disruption budget's answer, not a busy server's: the caller decides when to ask again.
    const answer = await this.send<unknown>("POST", objectPath(ref.of, ref, "eviction"), body, undefined, 0);
    return answer.ok ? { ok: true, object: undefined } : answer;
  }

  /** Any path, for what has no kind: discovery, /version, CRD establishment. Plain text comes back as a string. */
  async raw<T>(method: Method, path: string, options: { body?: unknown; contentType?: string; accept?: string } = {}): Promise<Written<T>> {
    return this.send<T>(method, path, options.body, options.contentType, undefined, options.accept);
  }

  private async write<T extends KubeObject>(
    kind: Kind<T>,
    method: Method,
    path: string,
    body: unknown,
    contentType: string | undefined,
    options: WriteOptions,
  ): Promise<Written<T>> {
    const query = { dryRun: options.dryRun ? "All" : undefined, fieldManager: options.fieldManager };
    const answer = await this.send<T>(method, withQuery(path, query), body, contentType);
    if (answer.ok && !options.dryRun && !foreignAnswers.has(options.subresource)) this.options.observer?.put(kind, answer.object);
    return answer;
  }

  private async send<T>(
    method: Method,
    path: string,
    body?: unknown,
    contentType?: string,
    retriesMax?: number,
    accept?: string,
  ): Promise<Written<T>> {
    const { urgent, deadlineMs } = this.options;
    const text = body === undefined ? undefined : bodyOf(body);
    const request: ApiRequest = { method, path, body: text, contentType, accept, retriesMax, urgent, deadlineMs };
    return answerOf<T>(await this.transport.request(request), method);
  }
}

interface RawList<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[] | null;
}
interface RawScale {
  readonly metadata?: { readonly uid?: string };
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly selector?: string };
}
interface DeleteStatus {
  readonly kind: "Status";
  readonly details?: { readonly uid?: string };
}

const htmlUnsafe = /[<>&\u2028\u2029]/g;

/**
 * As Go's encoder writes it, with <, >, &, U+2028 and U+2029 escaped. The server keeps the `data` of a ControllerRevision as the text that came, writes it so
 * itself whenever it is patched, and refuses a patch after which the two differ.
 */
function bodyOf(body: unknown): string {
  return JSON.stringify(body).replace(htmlUnsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function answerOf<T>(answer: ApiAnswer, method: Method): Written<T> {
  if (answer.status === 0 || answer.status >= 400) return failureOf(answer, method);
  try {
    return { ok: true, object: parseBody(answer.text) as T };
  } catch (error) {
    const message = `the API server's answer cannot be read: ${(error as Error).message}`;
    return { ok: false, why: "unavailable", mayHaveHappened: method !== "GET", message };
  }
}

function parseBody(text: string): unknown {
  const first = text.charCodeAt(0);
  return first === 0x7b || first === 0x5b ? parseLean(text) : text;
}

/** The wire wants both fields; items of lists of Kubernetes' own kinds come without. */
function typed<T extends { metadata: unknown }>(kind: Kind, object: T): T {
  const { apiVersion: version, kind: name } = object as { apiVersion?: string; kind?: string };
  return version !== undefined && name !== undefined ? object : { ...object, apiVersion: apiVersion(kind), kind: kind.kind };
}
function fillType(kind: Kind, object: KubeObject): void {
  object.apiVersion ??= apiVersion(kind);
  object.kind ??= kind.kind;
}

function deleteBody(ref: Ref, options: DeleteOptions): object {
  const preconditions = ref.uid !== undefined || options.resourceVersion !== undefined;
  return {
    apiVersion: "v1",
    kind: "DeleteOptions",
    ...(preconditions && { preconditions: { uid: ref.uid, resourceVersion: options.resourceVersion } }),
    ...(options.gracePeriodSeconds !== undefined && { gracePeriodSeconds: options.gracePeriodSeconds }),
    ...(options.propagationPolicy && { propagationPolicy: options.propagationPolicy }),
    ...(options.dryRun && { dryRun: ["All"] }),
  };
}

function isStatus(value: KubeObject | DeleteStatus): value is DeleteStatus {
  return value.kind === "Status";
}

/** Some kinds answer a delete with the object as it was although nothing is left of it. */
function isGone({ metadata }: KubeObject): boolean {
  if (metadata.finalizers?.length) return false;
  return metadata.deletionTimestamp === undefined || metadata.deletionGracePeriodSeconds === 0;
}
