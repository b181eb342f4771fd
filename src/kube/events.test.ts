import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import { cutBytes, EventRecorder, type EventSubject, eventLimits } from "./events.ts";
import { nodes, pods } from "./kinds.ts";
import { anonymousCredentials, createKube } from "./kube.ts";
import { FakeApi, status } from "./testing/fake-api.ts";

const path = "/api/v1/events";
const web: EventSubject = { of: pods, namespace: "shop", name: "web-0", uid: "u1", resourceVersion: "7" };

interface Told {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly [field: string]: unknown;
}

function setUp() {
  const env = new FakeEnv();
  const api = new FakeApi(path);
  const { client } = createKube(env, anonymousCredentials(), { userAgent: "t", fetch: api.fetch });
  const recorder = EventRecorder.create(env, client, "cloneset-controller", "host-1");
  const told = () => api.all(path) as unknown as Told[];
  const say = (message: string, subject = web, reason = "Scaled") => recorder.record(subject, { type: "Normal", reason, message });
  return { env, api, recorder, told, say };
}

test("an Event as kubectl describe shows it", async () => {
  const { env, told, say } = setUp();
  say("created pod web-0");
  await env.advance(10);
  expect(told()).toHaveLength(1);
  expect(told()[0]).toMatchObject({
    apiVersion: "v1",
    kind: "Event",
    metadata: { namespace: "shop", name: expect.stringMatching(/^web-0\.[0-9a-f]+$/) },
    involvedObject: { apiVersion: "v1", kind: "Pod", namespace: "shop", name: "web-0", uid: "u1", resourceVersion: "7" },
    type: "Normal",
    reason: "Scaled",
    message: "created pod web-0",
    source: { component: "cloneset-controller", host: "host-1" },
    reportingComponent: "cloneset-controller",
    firstTimestamp: "2025-01-01T00:00:00Z",
    lastTimestamp: "2025-01-01T00:00:00Z",
    count: 1,
  });
});

test("what has no namespace tells it in default", async () => {
  const { env, told, say } = setUp();
  say("gone", { of: nodes, namespace: "", name: "n1" });
  await env.advance(10);
  expect(told()[0]?.metadata.namespace).toBe("default");
  expect((told()[0]!.involvedObject as { namespace?: string }).namespace).toBeUndefined();
});

test("the same again raises the count; at the same moment it is one write", async () => {
  const { env, api, told, say } = setUp();
  say("a");
  say("a");
  await env.advance(10);
  expect(api.requests).toHaveLength(1);
  expect(told().map(({ count }) => count)).toEqual([2]);
  await env.advance(5000);
  say("a");
  await env.advance(10);
  expect(api.requests.map(({ method }) => method)).toEqual(["POST", "PATCH"]);
  expect(told()).toMatchObject([{ count: 3, firstTimestamp: "2025-01-01T00:00:00Z", lastTimestamp: "2025-01-01T00:00:05Z" }]);
});

test("an Event that has expired is told anew", async () => {
  const { env, api, told, say } = setUp();
  say("a");
  await env.advance(10);
  api.remove(path, told()[0]!.metadata.name, "shop");
  say("a");
  await env.advance(10);
  expect(told()).toMatchObject([{ count: 1, message: "a" }]);
});

test("many similar ones become one, until it has been quiet", async () => {
  const { env, told, say } = setUp();
  for (let index = 0; index < 20; index += 1) {
    say(`created pod web-${index}`);
    await env.advance(100);
  }
  const messages = told().map(({ message }) => message);
  expect(messages).toHaveLength(10);
  expect(messages.at(-1)).toBe("(combined from similar events): created pod web-19");
  expect(told().at(-1)?.count).toBe(11);
  say("created pod other", web, "Other");
  await env.advance(eventLimits.similarWindowMs + 1000);
  say("created pod web-99");
  await env.advance(100);
  expect(told().map(({ message }) => message)).toContain("created pod web-99");
});

test("an object that never stops gets 25, then one in five minutes; others are not held up by it", async () => {
  const { env, recorder, told, say } = setUp();
  for (let index = 0; index < 100; index += 1) {
    say("again");
    await env.advance(10);
  }
  expect(told()[0]?.count).toBe(25);
  expect(recorder.dropped).toBe(75);
  say("again", { ...web, name: "web-1", uid: "u2" });
  await env.advance(eventLimits.objectRefillMs);
  say("again");
  say("again");
  await env.advance(10);
  expect(told().map(({ count }) => count)).toEqual([26, 1]);
});

describe("a server that does not take them", () => {
  test("for a while: they are told when it does", async () => {
    const { env, api, recorder, told, say } = setUp();
    api.intercept = () => "drop";
    say("a");
    await env.advance(4000);
    api.intercept = undefined;
    await env.advance(60_000);
    expect(told()).toHaveLength(1);
    expect(recorder.dropped).toBe(0);
  });

  test("at all: they are dropped, and nobody waits", async () => {
    const { env, api, recorder, say } = setUp();
    api.intercept = () => status(403, "Forbidden", "namespace shop is being terminated");
    say("a");
    say("b");
    await env.advance(10);
    expect(recorder.dropped).toBe(2);
    api.intercept = () => "drop";
    for (let index = 0; index < eventLimits.waitingMax + 100; index += 1) say("c", { ...web, name: `web-${index}` });
    expect(recorder.dropped).toBe(102);
    await env.runUntilIdle(24 * 3_600_000);
    await recorder.flush();
    expect(recorder.dropped).toBe(eventLimits.waitingMax + 102);
  });
});

test("two components tell apart", async () => {
  const { env, recorder, told, say } = setUp();
  say("a");
  recorder.as("statefulset-controller").record(web, { type: "Normal", reason: "Scaled", message: "a" });
  await env.advance(10);
  expect(told().map(({ source }) => (source as { component: string }).component)).toEqual([
    "cloneset-controller",
    "statefulset-controller",
  ]);
  expect(new Set(told().map(({ metadata }) => metadata.name)).size).toBe(2);
});

test("a message is cut at whole characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), fc.integer({ min: 3, max: 80 }), (text, bytesMax) => {
      const cut = cutBytes(text, bytesMax);
      if (Buffer.byteLength(text) <= bytesMax) expect(cut).toBe(text);
      else {
        expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(bytesMax);
        expect(Buffer.byteLength(cut)).toBeGreaterThan(bytesMax - 4);
        expect(cut.endsWith("…")).toBe(true);
        expect(text.startsWith(cut.slice(0, -1))).toBe(true);
      }
    }),
  );
});
