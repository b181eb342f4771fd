import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FakeEnv } from "../env/fake.ts";
import type { Pod } from "../kube/types.ts";
import { bodyLimits, createHandler } from "./handler.ts";
import { type AdmissionMetrics, silentMetrics } from "./metrics.ts";
import { leavingHeader } from "./peer.ts";
import { podWebhooks } from "./pod.ts";
import { contextWith, podRequest, reviewText, settingsWith } from "./testing/fixtures.ts";
import { type AdmissionContext, allow, deny, type PodMutation, type Webhook } from "./webhook.ts";

const pod = { metadata: { name: "web-0", namespace: "shop" }, spec: { containers: [] } } as unknown as Pod;

function handlerWith(
  webhooks: readonly Webhook[],
  context: AdmissionContext = contextWith(),
  metrics: AdmissionMetrics = silentMetrics,
  env = new FakeEnv(),
) {
  const converter = () => ({ ok: false, message: "no kinds" }) as const;
  return createHandler({ env, webhooks, converter, context, metrics });
}
const webhook = (review: Webhook["review"], more: Partial<Webhook> = {}): Webhook => ({
  name: "vx.kb.io",
  type: "validating",
  path: "/validate-x",
  rules: [],
  review,
  ...more,
});
const post = (path: string, body: BodyInit, headers: Record<string, string> = { "content-type": "application/json" }) =>
  new Request(`https://localhost:9876${path}`, {
    method: "POST",
    body,
    headers: { ...headers, "content-length": String((body as string).length) },
  });
const reviewOf = async (response: Response | Promise<Response>) =>
  ((await (await response).json()) as { response: Record<string, never> }).response;

describe("admission over HTTP", () => {
  const yes = handlerWith([webhook(() => allow, { aliases: ["/validate-v1-x"] })]);
  const text = reviewText(podRequest({ object: pod }));

  test.each([
    [post("/validate-x?timeout=10s", text), 200, "the API server adds a query"],
    [post("/validate-v1-x", text), 200, "an older spelling"],
    [post("/validate-x", text, { "content-type": "Application/JSON; charset=utf-8" }), 200, "parameters of the type"],
    [post("/validate-y", text), 404, "no such path"],
    [post("/validate-x", ""), 400, "nothing in it"],
    [post("/validate-x", "{"), 400, "not JSON"],
    [post("/validate-x", text, { "content-type": "application/yaml" }), 400, "not JSON by its type"],
    [post("/validate-x", text, {}), 400, "of no type"],
    [post("/validate-x", "x".repeat(bodyLimits.reviewBytesMax + 1)), 413, "too large"],
    [new Request("https://localhost:9876/validate-x"), 405, "a GET"],
    [new Request("https://localhost:9876/healthz"), 200, "health"],
    [new Request("https://localhost:9876/healthz", { method: "PUT" }), 200, "health by any method"],
    [new Request("https://localhost:9876/convert"), 404, "conversion is posted"],
  ])("%# answers %i", async (request, status) => {
    const response = await yes(request.clone());
    expect(response.status).toBe(status);
    if (status === 400 || status === 413) expect(await reviewOf(response)).toMatchObject({ allowed: false, status: { code: status } });
  });

  test("a body of unknown length is bounded as well", async () => {
    const pieces = (count: number) =>
      new ReadableStream({
        start(controller) {
          for (let index = 0; index < count; index += 1) controller.enqueue(new Uint8Array(1024 * 1024).fill(32));
          controller.enqueue(new TextEncoder().encode(text));
          controller.close();
        },
      });
    const send = (count: number) =>
      yes(
        new Request("https://localhost/validate-x", {
          method: "POST",
          body: pieces(count),
          headers: { "content-type": "application/json" },
        }),
      );
    expect((await send(2)).status).toBe(200);
    expect((await send(8)).status).toBe(413);
  });

  test("what is told to one client is not told to the next", async () => {
    const first = await yes(post("/validate-x", text));
    first.headers.set("connection", "close");
    const next = await yes(post("/validate-x", text));
    expect([...next.headers]).toEqual([["content-type", "application/json"]]);
  });

  test("health is empty", async () => {
    expect(await (await yes(new Request("https://localhost/healthz"))).text()).toBe("");
  });

  test("asked to stop, it says that it is going", async () => {
    const env = new FakeEnv();
    const handler = handlerWith([], contextWith(), silentMetrics, env);
    const leaving = async () => (await handler(new Request("https://localhost/healthz"))).headers.get(leavingHeader);
    expect(await leaving()).toBeNull();
    env.stop();
    expect(await leaving()).toBe("1");
  });

  test("v1beta1 is answered in v1beta1 with the same uid", async () => {
    const response = await yes(post("/validate-x", reviewText(podRequest({ object: pod, uid: "u-7" }), "admission.k8s.io/v1beta1")));
    expect(await response.json()).toEqual({
      kind: "AdmissionReview",
      apiVersion: "admission.k8s.io/v1beta1",
      response: { uid: "u-7", allowed: true },
    });
  });

  test.each([
    [
      () => {
        throw new Error("boom");
      },
    ],
    [() => Promise.reject(new Error("boom"))],
    [() => ({ allowed: true, object: { metadata: 10n } }) as never],
  ] as [Webhook["review"]][])("a review that breaks refuses its request with 500, and only that: %#", async (review) => {
    const handler = handlerWith([webhook(review), webhook(() => deny(403, "no"), { name: "vy.kb.io", path: "/validate-y" })]);
    const response = await handler(post("/validate-x", text));
    expect(response.status).toBe(200);
    expect(await reviewOf(response)).toMatchObject({ uid: podRequest().uid, allowed: false, status: { code: 500 } });
    expect(await reviewOf(handler(post("/validate-y", text)))).toMatchObject({ allowed: false, status: { code: 403, message: "no" } });
  });

  test("an inactive webhook lets pass what was under way when its entry was withdrawn", async () => {
    const inactive = webhook(() => deny(403, "no"), { active: (settings) => settings.gates.enabled("PodWebhook") });
    const context = contextWith({ settings: settingsWith({ off: ["PodWebhook"] }) });
    expect(await reviewOf(handlerWith([inactive], context)(post("/validate-x", text)))).toEqual({
      uid: podRequest().uid,
      allowed: true,
    } as never);
  });

  test("two reviews for one path are a mistake in the house", () => {
    expect(() => handlerWith([webhook(() => allow), webhook(() => allow)])).toThrow("/validate-x");
  });

  test("every request is counted once, with its path, status and latency", async () => {
    const seen: string[] = [];
    let inFlight = 0;
    const metrics: AdmissionMetrics = {
      ...silentMetrics,
      webhook: (path) => ({
        started() {
          inFlight += 1;
        },
        finished(status, seconds) {
          inFlight -= 1;
          seen.push(`${path} ${status} ${seconds >= 0}`);
        },
      }),
    };
    const handler = handlerWith([webhook(() => deny(403, "no"), { aliases: ["/old"] })], undefined, metrics);
    for (const request of [post("/old", text), post("/validate-x", "{")]) await handler(request);
    expect(seen).toEqual(["/validate-x 200 true", "/validate-x 400 true"]);
    expect(inFlight).toBe(0);
  });
});

describe("dry run", () => {
  test("what a review writes becomes a dry run; what it tells is told", async () => {
    const calls: unknown[] = [];
    const answer = { ok: true, object: {} as never } as const;
    const context = contextWith({
      write: {
        patch: async (...given: unknown[]) => {
          calls.push(given[3]);
          return answer;
        },
      } as never,
      emit: () => calls.push("event"),
    });
    const review: Webhook["review"] = async (request, { write, emit }) => {
      const ref = { of: { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true }, namespace: "shop", name: "web-0" };
      emit(ref, "Normal", "R", "m");
      await write.patch(ref, "merge", {}, { subresource: "status" });
      return request.dryRun ? deny(403, "dry") : allow;
    };
    const handler = handlerWith([webhook(review)], context);
    expect(await reviewOf(handler(post("/validate-x", reviewText(podRequest({ dryRun: true })))))).toMatchObject({ allowed: false });
    expect(calls).toEqual(["event", { subresource: "status", dryRun: true }]);
    await handler(post("/validate-x", reviewText(podRequest())));
    expect(calls.slice(2)).toEqual(["event", { subresource: "status" }]);
  });
});

describe("whatever is sent", () => {
  const touches: PodMutation = {
    name: "touches",
    order: 1,
    mutate: (seen) => ({ ...seen, metadata: { ...seen.metadata, labels: { ...seen.metadata.labels, seen: "yes" } } }),
  };
  const guard = {
    name: "g",
    order: 1,
    operations: ["update", "delete", "evict", "resize"],
    active: () => true,
    review: () => deny(429, "no"),
  } as const;
  const handler = handlerWith(podWebhooks({ mutations: [touches], guards: [guard], installNamespace: "kruise-system" }));
  const json = fc.jsonValue();
  const request = fc.record(
    {
      uid: fc.oneof(fc.uuid(), json),
      operation: fc.oneof(fc.constantFrom("CREATE", "UPDATE", "DELETE", "CONNECT"), json),
      resource: fc.oneof(fc.constant({ group: "", version: "v1", resource: "pods" }), json),
      subResource: fc.oneof(fc.constantFrom("", "eviction", "resize"), json),
      object: fc.oneof(fc.record({ metadata: json, spec: json }, { requiredKeys: [] }), json),
      oldObject: json,
      namespace: json,
      options: json,
      userInfo: json,
      dryRun: json,
    },
    { requiredKeys: ["uid", "operation"] },
  );
  const body = fc.oneof(
    request.map((value) => reviewText(value)),
    json.map((value) => JSON.stringify(value)),
    fc.string(),
  );

  test("gets an answer that the API server can read", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("/mutate-pod", "/validate-pod"), body, async (path, sent) => {
        const response = await handler(post(path, sent, { "content-type": "application/json" }));
        const { kind, response: answer } = (await response.json()) as {
          kind: string;
          response: { allowed: boolean; status?: { code: number } };
        };
        expect([200, 400]).toContain(response.status);
        expect(kind).toBe("AdmissionReview");
        expect(answer.allowed || (answer.status?.code ?? 0) >= 400).toBe(true);
      }),
      { numRuns: 400 },
    );
  });
});
