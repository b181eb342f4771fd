/** A tiny JSON client for the API server, and the kubeconfig files that kubectl and the manager read. Tests want the wire, not a library. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined };

/** Any Kubernetes object, as far as a test needs to know it; the rest is read by casting. */
export interface ObjectLike {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
    ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean }[];
  };
}

export type Credentials = { readonly certPem: string; readonly keyPem: string } | { readonly token: string };

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: T;
}

export type ContentType = "json" | "merge" | "strategic" | "jsonPatch" | "apply";

const contentTypes: Record<ContentType, string> = {
  json: "application/json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  jsonPatch: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
};

const requestTimeoutMs = 60_000;
const throttledTriesMax = 20;
const throttledPauseMs = 250;

/** A definition that changes: its old storage sends away what comes just then. */
const isBetweenStorages = ({ status, body }: Answer<unknown>): boolean => status === 503 && statusMessage(body).includes("shutting down");

/** A manager has just given a definition its authority, and the server still looks at the one before. */
const knowsOldAuthority = ({ status, body }: Answer<unknown>): boolean =>
  status === 500 && /conversion webhook .*failed to verify certificate/.test(statusMessage(body));

export class ApiClient {
  constructor(
    readonly url: string,
    readonly caPem: string,
    private readonly credentials: Credentials,
    private readonly userAgent = "kruiser-rig",
  ) {}

  /** One request. Any HTTP status is an answer (but that of a definition that changes, which asks to come back); only a broken connection throws. */
  async request<T = unknown>(method: string, path: string, body?: unknown, contentType: ContentType = "json"): Promise<Answer<T>> {
    return this.untilNot(isBetweenStorages, () => this.once<T>(method, path, body, contentType));
  }

  private async once<T>(method: string, path: string, body?: unknown, contentType?: ContentType): Promise<Answer<T>> {
    const response = await this.send(method, path, AbortSignal.timeout(requestTimeoutMs), body, contentType);
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    return { status: response.status, body: (isJson && text !== "" ? JSON.parse(text) : text) as T };
  }

  /** A watch, until the server or `signal` ends it. @param path with its query. @throws Error when the server refuses it */
  async *watch<T = ObjectLike>(path: string, signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
    const response = await this.send("GET", path, signal);
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${await response.text()}`);
    let rest = "";
    for await (const text of (response.body ?? new Blob([]).stream()).pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield JSON.parse(line) as WatchEvent<T>;
    }
  }

  private send(method: string, path: string, signal: AbortSignal, body?: unknown, contentType: ContentType = "json"): Promise<Response> {
    const headers: Record<string, string> = { accept: "application/json", "user-agent": this.userAgent };
    if (body !== undefined) headers["content-type"] = contentTypes[contentType];
    const tls: { ca: string; cert?: string; key?: string } = { ca: this.caPem };
    if ("token" in this.credentials) headers["authorization"] = `Bearer ${this.credentials.token}`;
    else Object.assign(tls, { cert: this.credentials.certPem, key: this.credentials.keyPem });
    return fetch(this.url + path, {
      method,
      headers,
      tls,
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** As every client does: a server that asks to come back later (while a definition changes, say) is asked again. */
  private patiently<T>(method: string, path: string, body?: unknown, contentType: ContentType = "json"): Promise<Answer<T>> {
    return this.untilNot(
      (answer) => answer.status === 429 || knowsOldAuthority(answer),
      () => this.request<T>(method, path, body, contentType),
    );
  }

  private async untilNot<T>(isTooEarly: (answer: Answer<T>) => boolean, ask: () => Promise<Answer<T>>): Promise<Answer<T>> {
    for (let tries = 1; ; tries += 1) {
      const answer = await ask();
      if (!isTooEarly(answer) || tries === throttledTriesMax) return answer;
      await Bun.sleep(throttledPauseMs);
    }
  }

  /** Like `request`, for requests that have to succeed. @throws Error with the server's message */
  async must<T = ObjectLike>(method: string, path: string, body?: unknown, contentType: ContentType = "json"): Promise<T> {
    const answer = await this.patiently<T>(method, path, body, contentType);
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${statusMessage(answer.body)}`);
    return answer.body;
  }

  /** The object, or undefined when it does not exist. */
  async get<T = ObjectLike>(path: string): Promise<T | undefined> {
    const answer = await this.patiently<T>("GET", path);
    if (answer.status === 404) return undefined;
    if (answer.status >= 300) throw new Error(`GET ${path} answered ${answer.status}: ${statusMessage(answer.body)}`);
    return answer.body;
  }

  async list<T = ObjectLike>(path: string): Promise<T[]> {
    return (await this.must<{ items: T[] }>("GET", path)).items;
  }

  create<T = ObjectLike>(path: string, object: unknown): Promise<T> {
    return this.must<T>("POST", path, object);
  }

  patch<T = ObjectLike>(path: string, patch: unknown, contentType: ContentType = "merge"): Promise<T> {
    return this.must<T>("PATCH", path, patch, contentType);
  }

  /** Gone already is fine. */
  async delete(path: string, body?: unknown): Promise<void> {
    const answer = await this.request("DELETE", path, body);
    if (answer.status >= 300 && answer.status !== 404)
      throw new Error(`DELETE ${path} answered ${answer.status}: ${statusMessage(answer.body)}`);
  }
}

export function statusMessage(body: unknown): string {
  if (typeof body === "object" && body !== null && "message" in body) return String(body.message);
  return typeof body === "string" ? body : JSON.stringify(body);
}

/** Writes a kubeconfig with everything inline, readable by the owner only, and returns its path. */
export function writeKubeconfig(path: string, cluster: { readonly url: string; readonly caPem: string }, credentials: Credentials): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const user =
    "token" in credentials
      ? { token: credentials.token }
      : { "client-certificate-data": base64(credentials.certPem), "client-key-data": base64(credentials.keyPem) };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "rig", cluster: { server: cluster.url, "certificate-authority-data": base64(cluster.caPem) } }],
    users: [{ name: "rig", user }],
    contexts: [{ name: "rig", context: { cluster: "rig", user: "rig" } }],
    "current-context": "rig",
  };
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return path;
}
