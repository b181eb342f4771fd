/**
 * What lies between a manager and the API server: a network that loses requests and answers, servers that refuse, watches that lag, repeat
 * themselves, freeze and break. Each kind of fault has a name, a share, and draws of its own.
 */
import type { FakeEnv } from "../../src/env/fake.ts";
import type { Fetch, HttpRequest, HttpResponse } from "../../src/env/network.ts";
import type { Sandbox } from "../../src/sandbox/index.ts";
import { Dice } from "./dice.ts";
import type { ProcessEnv } from "./process-env.ts";
import type { Trace } from "./trace.ts";

/** By request. */
export const requestFaults = ["conflict", "throttle", "error", "unavailable", "lostRequest", "lostAnswer", "hang", "slow"] as const;
/** By watch connection. */
export const watchFaults = ["lag", "freeze", "break", "repeat", "gone"] as const;
export type NetworkFault = (typeof requestFaults)[number] | (typeof watchFaults)[number];
export type Shares = Readonly<Partial<Record<NetworkFault, number>>>;

/** A process as the network knows it. */
export interface Peer {
  readonly name: string;
  readonly env: ProcessEnv;
}

const latencyMsMax = 12;
const slowMsMax = 4_000;
const lagMsMax = 3_000;
const freezeMsMax = 15_000;
const breakMsMax = 40_000;
/** Nobody ever answers. */
const never = new Promise<never>(() => {});

export class Network {
  /** False: from now on everything goes well. */
  faulty = true;
  /** The API server is down. */
  down = false;
  /** Put in the way of a request by a test: true holds up what the watch of this resource shows. */
  holds: (peer: Peer, resource: string) => boolean = () => false;
  readonly #dice: Dice;
  readonly #by: ReadonlyMap<NetworkFault, Dice>;
  readonly #streams = new Set<Stream>();

  constructor(
    private readonly env: FakeEnv,
    private readonly sandbox: Sandbox,
    private readonly trace: Trace,
    seed: string,
    private readonly shares: Shares,
  ) {
    this.#dice = new Dice(seed, "network");
    this.#by = new Map([...requestFaults, ...watchFaults].map((name) => [name, new Dice(seed, `network/${name}`)]));
  }

  /** The way to the API server for one process. */
  fetchOf(peer: Peer): Fetch {
    return (url, request) => (url.includes("watch=") ? this.#watch(peer, url, request) : this.#request(peer, url, request));
  }

  heal(): void {
    this.faulty = false;
    this.thaw();
  }
  /** What was held up comes now. */
  thaw(): void {
    for (const stream of this.#streams) stream.thaw();
  }
  /** All connections end, as when the server restarts or a process dies. */
  cut(of?: Peer): void {
    for (const stream of [...this.#streams]) if (of === undefined || stream.peer === of) stream.cut();
  }

  /** Up to which moment a process has been sent all that happened to these objects; minus infinity when nobody can say. */
  freshUntil(peer: Peer, resource: string): number {
    let untilMs = Number.NEGATIVE_INFINITY;
    for (const stream of this.#streams)
      if (stream.peer === peer && stream.resource === resource) untilMs = Math.max(untilMs, stream.freshUntilMs);
    return untilMs;
  }

  #strikes(fault: NetworkFault): boolean {
    const share = this.shares[fault] ?? 0;
    return this.faulty && share > 0 && (this.#by.get(fault) as Dice).chance(share);
  }
  #upTo(fault: NetworkFault, count: number): number {
    return (this.#by.get(fault) as Dice).upTo(count);
  }
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.env.after(ms, resolve));
  }

  async #request(peer: Peer, url: string, request: HttpRequest): Promise<HttpResponse> {
    const { signal } = request;
    const fault = requestFaults.find((name) => this.#strikes(name) && (name !== "conflict" || /^(PUT|PATCH|DELETE)$/.test(request.method)));
    const [there, back] = [this.#dice.upTo(latencyMsMax), this.#dice.upTo(latencyMsMax)];
    if (fault !== undefined) this.trace.note("network", fault, request.method, `${peer.name} ${pathOf(url)}`);
    return await raced(
      signal,
      this.#carry(peer, url, request, fault, there + (fault === "slow" ? this.#upTo("slow", slowMsMax) : 0), back),
    );
  }

  async #carry(
    peer: Peer,
    url: string,
    request: HttpRequest,
    fault: NetworkFault | undefined,
    thereMs: number,
    backMs: number,
  ): Promise<HttpResponse> {
    // On its way: it arrives whether its sender lives or not.
    await this.#pause(thereMs);
    if (this.down) throw Object.assign(new Error("connection refused"), { code: "ECONNREFUSED" });
    if (fault === "lostRequest") return this.#broken(backMs);
    if (fault === "conflict") await this.#touch(pathOf(url));
    const refused = fault === undefined ? undefined : refusals[fault];
    if (refused !== undefined) {
      await this.#pause(backMs);
      return peer.env.alive ? refused : never;
    }
    const { signal: _, ...rest } = request;
    const headers = { ...request.headers, "user-agent": `${request.headers["user-agent"] ?? ""}#${peer.name}` };
    const answer = await this.sandbox.fetch(url, { ...rest, headers });
    if (fault === "lostAnswer") return this.#broken(backMs);
    if (fault === "hang") return never;
    await this.#pause(backMs);
    return peer.env.alive ? answer : never;
  }

  /** Somebody else writes to the object in the same moment. Made-up conflicts would be unfair: after a real one the watch has news. */
  async #touch(path: string): Promise<void> {
    const object = path.replace(/\/(status|resize|scale)$/, "");
    const body = JSON.stringify({ metadata: { annotations: { "sim.kruise.io/touched": String(this.env.monotonicMs()) } } });
    const headers = { "content-type": "application/merge-patch+json", accept: "application/json", "user-agent": "somebody-else" };
    await this.sandbox.handle({ method: "PATCH", path: object, headers, body });
  }

  async #broken(afterMs: number): Promise<never> {
    await this.#pause(afterMs);
    throw Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" });
  }

  async #watch(peer: Peer, url: string, request: HttpRequest): Promise<HttpResponse> {
    await this.#pause(this.#dice.upTo(latencyMsMax));
    if (!peer.env.alive) return never;
    if (this.down) throw Object.assign(new Error("connection refused"), { code: "ECONNREFUSED" });
    if (this.#strikes("gone") && !url.includes("sendInitialEvents")) {
      this.trace.note("network", "gone", "watch", `${peer.name} ${pathOf(url)}`);
      return refusals.gone as HttpResponse;
    }
    const abort = new AbortController();
    request.signal?.addEventListener("abort", () => abort.abort(), { once: true });
    const headers = { ...request.headers, "user-agent": `${request.headers["user-agent"] ?? ""}#${peer.name}` };
    const answer = await this.sandbox.fetch(url, { ...request, headers, signal: abort.signal });
    if (answer.status !== 200 || answer.body === null) return answer;
    const resource = resourceOf(url);
    const lagMs = this.#strikes("lag") ? this.#upTo("lag", lagMsMax) : this.#dice.upTo(latencyMsMax);
    const stream = new Stream(this.env, peer, resource, answer.body, abort, {
      lagMs,
      repeats: () => this.#strikes("repeat"),
      held: () => this.holds(peer, resource),
    });
    this.#streams.add(stream);
    stream.ended = () => this.#streams.delete(stream);
    if (this.#strikes("freeze")) this.#freeze(stream, resource);
    if (this.#strikes("break"))
      this.env.after(500 + this.#upTo("break", breakMsMax), () => {
        if (!this.faulty) return;
        this.trace.note("network", "break", "watch", `${peer.name} ${resource}`);
        stream.cut();
      });
    return { ...answer, status: answer.status, headers: answer.headers, body: stream, text: () => answer.text() };
  }

  #freeze(stream: Stream, resource: string): void {
    this.env.after(this.#upTo("freeze", 30_000), () => {
      if (!this.faulty) return;
      const forMs = 1_000 + this.#upTo("freeze", freezeMsMax);
      this.trace.note("network", "freeze", "watch", `${stream.peer.name} ${resource} for ${forMs} ms`);
      stream.freeze();
      this.env.after(forMs, () => stream.thaw());
    });
  }
}

interface StreamFaults {
  readonly lagMs: number;
  readonly repeats: () => boolean;
  readonly held: () => boolean;
}

/** A watch on its way: late, in order, now and then twice. */
class Stream implements AsyncIterable<Uint8Array> {
  ended: () => void = () => {};
  readonly #queue: { readonly chunk: Uint8Array; readonly sentMs: number; readonly dueMs: number }[] = [];
  #frozen = false;
  #over: "no" | "done" | "cut" = "no";
  #wake: (() => void) | undefined;

  constructor(
    private readonly env: FakeEnv,
    readonly peer: Peer,
    readonly resource: string,
    source: AsyncIterable<Uint8Array>,
    private readonly abort: AbortController,
    private readonly faults: StreamFaults,
  ) {
    void this.#pump(source);
  }

  get freshUntilMs(): number {
    return this.#queue[0]?.sentMs ?? this.env.monotonicMs();
  }

  freeze(): void {
    this.#frozen = true;
  }
  thaw(): void {
    this.#frozen = false;
    this.#wake?.();
  }
  cut(): void {
    if (this.#over === "cut") return;
    this.#over = "cut";
    this.#finish();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        if (this.#over === "cut") throw Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" });
        const first = this.#queue[0];
        const held = this.#frozen || this.faults.held();
        if (first !== undefined && !held && first.dueMs <= this.env.monotonicMs()) {
          this.#queue.shift();
          yield first.chunk;
          if (this.faults.repeats()) yield first.chunk;
        } else if (first === undefined && this.#over === "done") return;
        else await this.#wait(first === undefined || held ? undefined : first.dueMs);
      }
    } finally {
      this.#finish();
    }
  }

  #wait(untilMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (untilMs !== undefined) this.env.after(Math.max(0, untilMs - this.env.monotonicMs()), resolve);
    });
  }

  async #pump(source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of source) {
        const sentMs = this.env.monotonicMs();
        this.#queue.push({ chunk, sentMs, dueMs: sentMs + this.faults.lagMs });
        this.#wake?.();
      }
    } catch {
      // A source that breaks ends like one that is done: the reader asks again either way.
    }
    if (this.#over === "no") this.#over = "done";
    this.#wake?.();
  }

  #finish(): void {
    this.abort.abort();
    this.ended();
  }
}

/** As `work`, unless the caller gives up first. */
function raced<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

function statusAnswer(code: number, reason: string, message: string, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  const text = JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code });
  return { status: code, headers: { get: (name) => headers[name] ?? null }, body: null, text: async () => text };
}

/** Answers after which nothing has happened. */
const refusals: Readonly<Partial<Record<NetworkFault, HttpResponse>>> = {
  throttle: statusAnswer(429, "TooManyRequests", "too many requests, please try again later", { "retry-after": "1" }),
  error: statusAnswer(500, "InternalError", "an error on the server has prevented the request from succeeding"),
  unavailable: statusAnswer(503, "ServiceUnavailable", "apiserver is shutting down", { "retry-after": "1" }),
  gone: statusAnswer(410, "Expired", "too old resource version"),
};

const pathOf = (url: string): string => url.replace(/^[a-z]+:\/\/[^/]+/, "").replace(/\?.*/, "");

/** "/apis/apps.kruise.io/v1beta1/clonesets?watch=1" → "clonesets". */
export function resourceOf(url: string): string {
  return pathOf(url).split("/").at(-1) as string;
}
