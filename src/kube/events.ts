/**
 * Telling users what happened, as Events that `kubectl describe` and `kubectl get events` show. Recording never waits and never fails:
 * what is too much is counted together, and what the server does not take is dropped.
 *
 * The same rules as client-go's, whose output people know: equal events of an object raise the `count` of one, many similar ones of an
 * object are told as one, and an object that never stops gets one event in five minutes.
 */
import { type Env, sleep } from "../env/env.ts";
import type { KubeClient } from "./client.ts";
import { TokenBucket } from "./flow.ts";
import { apiVersion, type Kind } from "./kind.ts";
import { events } from "./kinds.ts";
import { type Failure, failureText } from "./outcome.ts";
import { Recent } from "./recent.ts";
import { formatTime } from "./time.ts";
import type { KubeObject } from "./types.ts";

export const eventLimits = {
  /** The API server refuses longer ones. */
  messageBytesMax: 1024,
  /** Events that wait to be sent; equal ones wait as one. */
  waitingMax: 1000,
  /** For each object: so many at once, then one in `refillMs`. */
  objectBurst: 25,
  objectRefillMs: 300_000,
  /** Different messages of one reason before they are told as one. */
  similarMax: 10,
  similarWindowMs: 600_000,
  /** Objects, reasons and events remembered for all of this. */
  rememberedMax: 4096,
  triesMax: 4,
} as const;

export interface EventSubject {
  readonly of: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** "spec.containers{app}". */
  readonly fieldPath?: string;
}

export interface EventText {
  readonly type: "Normal" | "Warning";
  /** CamelCase, for machines. */
  readonly reason: string;
  readonly message: string;
}

interface EventObject extends KubeObject {
  involvedObject: Record<string, string | undefined>;
  reason: string;
  message: string;
  type: string;
  source: { component: string; host?: string };
  firstTimestamp: string;
  lastTimestamp: string;
  count: number;
}

interface Waiting {
  readonly key: string;
  readonly component: string;
  readonly subject: EventSubject;
  readonly type: EventText["type"];
  readonly reason: string;
  message: string;
  firstMs: number;
  lastMs: number;
  /** Told this often since it was last sent. */
  times: number;
}

interface Shared {
  readonly env: Env;
  readonly client: KubeClient;
  readonly host: string | undefined;
  readonly buckets: Recent<string, TokenBucket>;
  readonly similar: Recent<string, { messages: Set<string>; sinceMs: number }>;
  readonly sent: Recent<string, { name: string; namespace: string; count: number }>;
  readonly waiting: Map<string, Waiting>;
  working: Promise<void> | undefined;
  serial: number;
  dropped: number;
}

export class EventRecorder {
  static create(env: Env, client: KubeClient, component: string, host?: string): EventRecorder {
    const { rememberedMax } = eventLimits;
    return new EventRecorder(
      {
        env,
        client,
        host,
        buckets: new Recent(rememberedMax),
        similar: new Recent(rememberedMax),
        sent: new Recent(rememberedMax),
        waiting: new Map(),
        working: undefined,
        serial: 0,
        dropped: 0,
      },
      component,
    );
  }

  private constructor(
    private readonly shared: Shared,
    private readonly component: string,
  ) {}

  /** The same queue, for another `source.component`. */
  as(component: string): EventRecorder {
    return new EventRecorder(this.shared, component);
  }

  /** Events that were never told: too many for one object, too many waiting, or refused by the server. */
  get dropped(): number {
    return this.shared.dropped;
  }

  record(subject: EventSubject, text: EventText): void {
    const { shared } = this;
    const objectKey = `${this.component}\n${subject.of.group}\n${subject.of.kind}\n${subject.namespace}\n${subject.name}\n${subject.uid ?? ""}`;
    if (!this.allowed(objectKey)) {
      shared.dropped += 1;
      return;
    }
    const reasonKey = `${objectKey}\n${text.type}\n${text.reason}`;
    const message = cutBytes(text.message, eventLimits.messageBytesMax);
    const combined = this.tooManySimilar(reasonKey, message);
    const key = combined ? reasonKey : `${reasonKey}\n${subject.fieldPath ?? ""}\n${message}`;
    this.enqueue(
      key,
      subject,
      text,
      combined ? cutBytes(`(combined from similar events): ${message}`, eventLimits.messageBytesMax) : message,
    );
  }

  /** Resolves when everything recorded so far is sent or given up. */
  async flush(): Promise<void> {
    while (this.shared.working) await this.shared.working;
  }

  private allowed(objectKey: string): boolean {
    const { buckets, env } = this.shared;
    const { objectBurst, objectRefillMs } = eventLimits;
    return buckets.getOrAdd(objectKey, () => new TokenBucket(env, { perSecond: 1000 / objectRefillMs, burst: objectBurst })).tryTake();
  }

  private tooManySimilar(reasonKey: string, message: string): boolean {
    const nowMs = this.shared.env.monotonicMs();
    const seen = this.shared.similar.getOrAdd(reasonKey, () => ({ messages: new Set<string>(), sinceMs: nowMs }));
    if (nowMs - seen.sinceMs > eventLimits.similarWindowMs) seen.messages.clear();
    seen.sinceMs = nowMs;
    if (seen.messages.size < eventLimits.similarMax) seen.messages.add(message);
    return seen.messages.size >= eventLimits.similarMax;
  }

  private enqueue(key: string, subject: EventSubject, { type, reason }: EventText, message: string): void {
    const { shared, component } = this;
    const nowMs = shared.env.nowMs();
    const waiting = shared.waiting.get(key);
    if (waiting) {
      waiting.times += 1;
      waiting.lastMs = nowMs;
      waiting.message = message;
      return;
    }
    if (shared.waiting.size >= eventLimits.waitingMax) {
      shared.dropped += 1;
      return;
    }
    shared.waiting.set(key, { key, component, subject, type, reason, message, firstMs: nowMs, lastMs: nowMs, times: 1 });
    shared.working ??= work(shared).finally(() => {
      shared.working = undefined;
    });
  }
}

/** One at a time: events are told in order, and never crowd out the work they tell of. */
async function work(shared: Shared): Promise<void> {
  // In the next turn: what one plan tells several times is still one write.
  await new Promise<void>((resolve) => shared.env.after(0, resolve));
  for (;;) {
    const [next] = shared.waiting.values();
    if (!next) return;
    shared.waiting.delete(next.key);
    await send(shared, next);
  }
}

async function send(shared: Shared, waiting: Waiting): Promise<void> {
  const { env } = shared;
  for (let tries = 1; ; tries += 1) {
    const failure = await write(shared, waiting);
    if (!failure) return;
    const passing = failure.why === "unavailable" || failure.why === "throttled";
    if (!passing || tries >= eventLimits.triesMax || env.stopped.aborted) {
      shared.dropped += 1;
      // A namespace that is being deleted takes no events; nothing is wrong then.
      env.log.debug({ reason: waiting.reason, object: waiting.subject.name, error: failureText(failure) }, "an event was not taken");
      return;
    }
    await sleep(env, failure.why === "throttled" ? failure.retryAfterMs : 1000 * 2 ** tries * (0.5 + env.random()));
  }
}

async function write(shared: Shared, waiting: Waiting): Promise<Failure | undefined> {
  const { key, message, times } = waiting;
  const sent = shared.sent.get(key);
  if (sent) {
    const count = sent.count + times;
    const ref = { of: events, namespace: sent.namespace, name: sent.name };
    const patched = await shared.client.patch(ref, "merge", { count, message, lastTimestamp: formatTime(waiting.lastMs) });
    if (patched.ok) {
      sent.count = count;
      return undefined;
    }
    // Events live an hour; this one is history.
    if (patched.why !== "notFound") return patched;
    shared.sent.delete(key);
  }
  const event = eventOf(shared, waiting);
  const created = await shared.client.create<EventObject>(events as Kind<EventObject>, event);
  if (!created.ok && created.why !== "alreadyExists") return created;
  shared.sent.set(key, { name: event.metadata.name, namespace: event.metadata.namespace, count: times });
  return undefined;
}

function eventOf(shared: Shared, { component, subject, type, reason, message, firstMs, lastMs, times }: Waiting) {
  // What has no namespace tells its events in "default", where kubectl looks for them.
  const namespace = subject.namespace || "default";
  shared.serial = (shared.serial + 1) % 1_000_000;
  const unique = (BigInt(Math.trunc(firstMs)) * 1_000_000n + BigInt(shared.serial)).toString(16);
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${subject.name.slice(0, 253 - 1 - unique.length)}.${unique}`, namespace },
    involvedObject: {
      apiVersion: apiVersion(subject.of),
      kind: subject.of.kind,
      namespace: subject.namespace || undefined,
      name: subject.name,
      uid: subject.uid,
      resourceVersion: subject.resourceVersion,
      fieldPath: subject.fieldPath,
    },
    type,
    reason,
    message,
    source: { component, ...(shared.host !== undefined && { host: shared.host }) },
    reportingComponent: component,
    reportingInstance: shared.host ?? "",
    firstTimestamp: formatTime(firstMs),
    lastTimestamp: formatTime(lastMs),
    count: times,
  };
}

/** @returns the longest beginning of whole characters that fits, marked when something is missing */
export function cutBytes(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return text;
  const mark = "…";
  const bytes = Buffer.from(text).subarray(0, bytesMax - Buffer.byteLength(mark));
  let end = bytes.length;
  while (end > 0 && ((bytes[end - 1] as number) & 0xc0) === 0x80) end -= 1;
  const lead = bytes[end - 1] ?? 0;
  const wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  // The last character stays only when all of its bytes are there.
  const whole = bytes.length - (end - 1) >= wanted ? bytes.length : end - 1;
  return bytes.subarray(0, whole).toString() + mark;
}
