/**
 * What the fidelity cases are written with: requests to an API server, whichever it is. The same cases run against the sandbox in this
 * process and against a real kube-apiserver, so nothing here knows which of them answers.
 */
import { readFileSync } from "node:fs";
import type { Fetch } from "../../src/env/network.ts";

// biome-ignore lint/suspicious/noExplicitAny: cases read answers of every shape
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly warnings: readonly string[];
  readonly text: string;
}

export interface Server {
  readonly fetch: Fetch;
  readonly url: string;
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

/** The server of a kubeconfig with everything inline. */
export function serverOf(kubeconfigPath: string, fetch: Fetch): Server {
  const config = JSON.parse(readFileSync(kubeconfigPath, "utf8")) as {
    clusters: [{ cluster: { server: string; "certificate-authority-data": string } }];
    users: [{ user: { "client-certificate-data": string; "client-key-data": string } }];
  };
  const { cluster } = config.clusters[0];
  const { user } = config.users[0];
  const text = (base64: string) => Buffer.from(base64, "base64").toString("utf8");
  const tls = {
    ca: text(cluster["certificate-authority-data"]),
    cert: text(user["client-certificate-data"]),
    key: text(user["client-key-data"]),
  };
  return { fetch, url: cluster.server, tls };
}

export interface Ask {
  readonly type?: "json" | "merge" | "strategic" | "jsonPatch" | "apply" | string;
  readonly accept?: string;
  readonly userAgent?: string;
}

const types: Readonly<Record<string, string>> = {
  json: "application/json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  jsonPatch: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
};

export const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
export const metadataAccept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";

const waitMsMax = 20_000;
const lookEveryMs = 10;

export class Bench {
  constructor(
    private readonly server: Server,
    /** A fresh one for each case. */
    readonly namespace: string,
  ) {}

  /** Makes the namespace, and waits until it has what every namespace gets. */
  static async create(server: Server): Promise<Bench> {
    const bench = new Bench(server, "");
    const made = await bench.post("/api/v1/namespaces", { metadata: { generateName: "fidelity-" } });
    const inside = new Bench(server, made.body.metadata.name);
    for (const path of ["serviceaccounts/default", "configmaps/kube-root-ca.crt"])
      await inside.eventually(async () => (await inside.get(inside.core(path))).status === 200);
    return inside;
  }

  core(rest: string): string {
    return `/api/v1/namespaces/${this.namespace}/${rest}`;
  }
  /** @param group "apps/v1" */
  in(group: string, rest: string): string {
    return `/apis/${group}/namespaces/${this.namespace}/${rest}`;
  }

  /** Custom kinds are between two storages for a moment after their definition has changed, and the server says that it ends. */
  async ask(method: string, path: string, body?: unknown, ask: Ask = {}): Promise<Answer> {
    for (const deadlineMs = Date.now() + 5_000; ; await Bun.sleep(50)) {
      const answer = await this.askOnce(method, path, body, ask);
      if (answer.status !== 503 || answer.body?.message !== "apiserver is shutting down" || Date.now() > deadlineMs) return answer;
    }
  }

  private async askOnce(method: string, path: string, body: unknown, ask: Ask): Promise<Answer> {
    const { tls, url } = this.server;
    const headers: Record<string, string> = { accept: ask.accept ?? "application/json", "user-agent": ask.userAgent ?? "fidelity/1" };
    if (body !== undefined) headers["content-type"] = types[ask.type ?? "json"] ?? (ask.type as string);
    const response = await this.server.fetch(url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(tls === undefined ? {} : { tls }),
    });
    const text = await response.text();
    const warning = response.headers.get("warning") ?? "";
    const warnings = [...warning.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(([, quoted]) => JSON.parse(`"${quoted}"`) as string);
    const isJson = /^[[{]/.test(text);
    return { status: response.status, body: isJson ? JSON.parse(text) : text, warnings, text };
  }

  get(path: string, ask?: Ask): Promise<Answer> {
    return this.ask("GET", path, undefined, ask);
  }
  post(path: string, body: unknown, ask?: Ask): Promise<Answer> {
    return this.ask("POST", path, body, ask);
  }
  put(path: string, body: unknown, ask?: Ask): Promise<Answer> {
    return this.ask("PUT", path, body, ask);
  }
  patch(path: string, body: unknown, type: Ask["type"] = "merge"): Promise<Answer> {
    return this.ask("PATCH", path, body, { type });
  }
  delete(path: string, body?: unknown): Promise<Answer> {
    return this.ask("DELETE", path, body);
  }
  apply(path: string, manager: string, body: unknown, force = false): Promise<Answer> {
    return this.patch(`${path}${path.includes("?") ? "&" : "?"}fieldManager=${manager}${force ? "&force=true" : ""}`, body, "apply");
  }

  /** The object of an answer that has to be a success. */
  async must(answer: Promise<Answer>): Promise<Json> {
    const { status, body } = await answer;
    if (status >= 300) throw new Error(`answered ${status}: ${body?.message ?? body}`);
    return body;
  }

  configMap(name: string, rest: object = {}): Promise<Json> {
    return this.must(this.post(this.core("configmaps"), { metadata: { name }, ...rest }));
  }

  /** Polls until it holds. @throws Error when it does not in time */
  async eventually(holds: () => Promise<boolean>): Promise<void> {
    const endMs = performance.now() + waitMsMax;
    while (!(await holds())) {
      if (performance.now() > endMs) throw new Error(`it did not happen within ${waitMsMax / 1000} s`);
      await Bun.sleep(lookEveryMs);
    }
  }

  /** Opens a watch. `next` gives events in order; "end" when the server has ended it. */
  async watch(path: string, ask: Ask = {}): Promise<Watched> {
    const { tls, url } = this.server;
    const abort = new AbortController();
    const response = await this.server.fetch(`${url}${path}${path.includes("?") ? "&" : "?"}watch=true`, {
      method: "GET",
      headers: { accept: ask.accept ?? "application/json", "user-agent": "fidelity/1" },
      ...(tls === undefined ? {} : { tls }),
      signal: abort.signal,
    });
    return new Watched(response, abort);
  }
}

export interface WatchEvent {
  readonly type: string;
  readonly object: Json;
}

export class Watched {
  readonly status: number;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #text = "";
  #lines: string[] = [];
  readonly #decoder = new TextDecoder();

  constructor(
    private readonly response: Awaited<ReturnType<Fetch>>,
    private readonly abort: AbortController,
  ) {
    this.status = response.status;
    this.#chunks = response.status === 200 ? response.body?.[Symbol.asyncIterator]() : undefined;
  }

  text(): Promise<string> {
    return this.response.text();
  }

  /** @throws Error when nothing comes in time */
  async next(): Promise<WatchEvent | "end"> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return JSON.parse(line) as WatchEvent;
      const chunk = await withDeadline(this.#chunks?.next() ?? Promise.resolve({ done: true as const, value: undefined }));
      if (chunk.done === true) return "end";
      this.#text += this.#decoder.decode(chunk.value, { stream: true });
      const lines = this.#text.split("\n");
      this.#text = lines.pop() ?? "";
      this.#lines.push(...lines.filter((text) => text !== ""));
    }
  }

  async take(count: number): Promise<WatchEvent[]> {
    const events: WatchEvent[] = [];
    while (events.length < count) {
      const event = await this.next();
      if (event === "end") throw new Error(`the watch ended after ${events.length} of ${count} events`);
      events.push(event);
    }
    return events;
  }

  close(): void {
    this.abort.abort();
    void this.#chunks?.return?.().catch(() => {});
  }
}

function withDeadline<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`nothing came within ${waitMsMax / 1000} s`)), waitMsMax);
    work.then(resolve, reject).finally(() => clearTimeout(late));
  });
}

/** @param at below the namespace: "configmaps"; or with its group: "apps/v1 deployments" */
export function pathOf(b: Bench, at: string): string {
  const [first = "", plural] = at.split(" ");
  return plural === undefined ? b.core(first) : b.in(first, plural);
}

/** One behaviour of the API. */
export interface Case {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

export const shortType = (body: Json): string => `${body?.reason}: ${body?.message}`;
