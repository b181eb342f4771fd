import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { converterFor } from "../../admission/convert.ts";
import { createHandler } from "../../admission/handler.ts";
import { silentMetrics } from "../../admission/metrics.ts";
import { podWebhooks } from "../../admission/pod.ts";
import { contextWith, reviewText } from "../../admission/testing/fixtures.ts";
import type { AdmissionRequest, Verdict } from "../../admission/webhook.ts";
import { gatesWith } from "../../api/gates.ts";
import { type PodUnavailableBudget, podUnavailableBudgetDefinition } from "../../api/podunavailablebudget.ts";
import { testSettings } from "../../engine/testing/settings.ts";
import { FakeEnv } from "../../env/fake.ts";
import { guard } from "./guard.ts";
import { mutation } from "./mutation.ts";
import { webhooks } from "./webhooks.ts";

type Loose = Record<string, unknown>;
const selector = { matchLabels: { app: "web" } };
const targetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
const good = { selector, maxUnavailable: "30%" };
const object = (spec: Loose, annotations?: Record<string, string>, name = "web", namespace = "default") =>
  ({ metadata: { name, namespace, ...(annotations ? { annotations } : {}) }, spec }) as unknown as PodUnavailableBudget;

async function review(
  candidate: PodUnavailableBudget,
  {
    old,
    others = [],
    version = "v1beta1",
    gates = {},
    down = false,
  }: { old?: PodUnavailableBudget; others?: PodUnavailableBudget[]; version?: string; gates?: object; down?: boolean } = {},
): Promise<Verdict> {
  const request = {
    operation: old ? "UPDATE" : "CREATE",
    resource: { group: "policy.kruise.io", version, resource: "podunavailablebudgets" },
    namespace: "default",
    name: candidate.metadata.name,
    object: candidate,
    ...(old ? { oldObject: old } : {}),
  } as unknown as AdmissionRequest;
  // The cache has not seen any of them yet.
  const failure = { ok: false, why: "unavailable", mayHaveHappened: false, message: "etcd is down" };
  const read = { list: () => [], live: { list: async () => (down ? failure : { ok: true, object: others }) } } as never;
  return webhooks[0]!.review(request, contextWith({ read, settings: testSettings({ gates: gatesWith(gates) }) }));
}
const told = (verdict: Verdict) => (verdict.allowed ? "allowed" : `${verdict.code} ${verdict.message}`);

describe("the rules, by their number", () => {
  test.each<[string, PodUnavailableBudget, string | undefined]>([
    ["good", object(good), undefined],
    ["good, by target", object({ targetRef, minAvailable: 3 }), undefined],
    [
      "1: an annotation that is no number",
      object(good, { "pub.kruise.io/protect-total-replicas": "many" }),
      "metadata.annotations[pub.kruise.io/protect-total-replicas]: Invalid",
    ],
    ["1: an empty one", object(good, { "pub.kruise.io/protect-total-replicas": "" }), "metadata.annotations"],
    ["1: one that is", object(good, { "pub.kruise.io/protect-total-replicas": "15" }), undefined],
    [
      "2: annotation and field differ",
      object({ ...good, protectTotalReplicas: 9 }, { "pub.kruise.io/protect-total-replicas": "15" }),
      "contradicts",
    ],
    ["2: and agree", object({ ...good, protectTotalReplicas: 15 }, { "pub.kruise.io/protect-total-replicas": "15" }), undefined],
    ["3: neither", object({ maxUnavailable: 1 }), "spec.selector, targetRef: Required"],
    ["4: both", object({ ...good, targetRef }), "spec.selector, targetRef: Required"],
    ["5: no name", object({ targetRef: { ...targetRef, name: "" }, maxUnavailable: 1 }), "spec.targetRef: Invalid"],
    ["6: two slashes", object({ targetRef: { ...targetRef, apiVersion: "a/b/c" }, maxUnavailable: 1 }), "spec.targetRef: Invalid"],
    ["6: a bare version", object({ targetRef: { ...targetRef, apiVersion: "apps" }, maxUnavailable: 1 }), undefined],
    [
      "7: no such operator",
      object({ selector: { matchExpressions: [{ key: "a", operator: "Like" }] }, maxUnavailable: 1 }),
      "not a valid selector operator",
    ],
    [
      "7: a key that is none",
      object({ selector: { matchLabels: { "a b": "c" } }, maxUnavailable: 1 }),
      "spec.selector.matchLabels: Invalid",
    ],
    ["8: empty", object({ selector: {}, maxUnavailable: 1 }), "spec.selector: Invalid"],
    ["9: neither amount", object({ selector }), "spec.maxUnavailable, minAvailable: Required"],
    ["9: both amounts", object({ ...good, minAvailable: 1 }), "spec.maxUnavailable, minAvailable: Required"],
    ["10: negative", object({ selector, maxUnavailable: -1 }), "spec.maxUnavailable: Invalid"],
    ["10: a number as text", object({ selector, maxUnavailable: "5" }), "spec.maxUnavailable: Invalid"],
    ["10: more than all", object({ selector, minAvailable: "101%" }), "spec.minAvailable: Invalid"],
    ["10: all", object({ selector, minAvailable: "100%" }), undefined],
    ["11: no such operation", object({ ...good, protectOperations: ["DELETE", "PATCH"] }), "spec.protectOperations[1]: Unsupported value"],
    ["12: empty", object({ ...good, ignoredPodSelector: {} }), "spec.ignoredPodSelector: Invalid"],
    [
      "12: not a selector",
      object({ ...good, ignoredPodSelector: { matchExpressions: [{ key: "a", operator: "In" }] } }),
      "spec.ignoredPodSelector",
    ],
    ["any text in the deprecated operations annotation", object(good, { "kruise.io/pub-protect-operations": "BOGUS" }), undefined],
  ])("%s", async (_, candidate, expected) => {
    const answer = told(await review(candidate));
    if (expected === undefined) expect(answer).toBe("allowed");
    else expect(answer).toContain(expected);
    if (expected !== undefined) expect(answer).toStartWith("400 ");
  });

  test.each<[string, PodUnavailableBudget, string | undefined]>([
    ["13: another selector", object({ ...good, selector: { matchLabels: { app: "other" } } }), "cannot be changed"],
    ["13: a target instead", object({ targetRef, maxUnavailable: "30%" }), "cannot be changed"],
    ["24: another amount", object({ ...good, maxUnavailable: 1 }), undefined],
    ["the other amount", object({ selector, minAvailable: 1 }), undefined],
    ["the options", object({ ...good, protectOperations: ["DELETE"], protectTotalReplicas: 3, ignoredPodSelector: selector }), undefined],
  ])("%s", async (_, candidate, expected) => {
    const answer = told(await review(candidate, { old: object(good) }));
    if (expected === undefined) expect(answer).toBe("allowed");
    else expect(answer).toContain(expected);
  });

  const inA = (...values: string[]) => ({ matchExpressions: [{ key: "app", operator: "In", values }] });
  test.each<[string, Loose, PodUnavailableBudget, boolean]>([
    [
      "14: the same target in another version",
      { targetRef: { ...targetRef, apiVersion: "apps/v1beta1" }, maxUnavailable: 1 },
      object({ targetRef, maxUnavailable: 1 }, undefined, "b"),
      false,
    ],
    [
      "14: the same name of another group",
      { targetRef: { ...targetRef, apiVersion: "x/v1" }, maxUnavailable: 1 },
      object({ targetRef, maxUnavailable: 1 }, undefined, "b"),
      true,
    ],
    [
      "15: other values",
      { selector: { matchLabels: { app: "a" } }, maxUnavailable: 1 },
      object({ selector: { matchLabels: { app: "b" } } }, undefined, "b"),
      true,
    ],
    [
      "15: values that meet",
      { selector: { matchLabels: { app: "a" } }, maxUnavailable: 1 },
      object({ selector: inA("a", "c") }, undefined, "b"),
      false,
    ],
    [
      "15: other keys",
      { selector: { matchLabels: { app: "a" } }, maxUnavailable: 1 },
      object({ selector: { matchLabels: { app: "a", tier: "x" } } }, undefined, "b"),
      true,
    ],
    ["a target and a selector never meet", { targetRef, maxUnavailable: 1 }, object({ selector }, undefined, "b"), true],
    ["itself", good, object(good), true],
    ["of another namespace", good, object(good, undefined, "b", "other"), true],
  ])("25: %s", async (_, spec, other, allowed) => {
    expect((await review(object(spec), { others: [other] })).allowed).toBe(allowed);
  });

  test("16: others that cannot be listed", async () => {
    expect(told(await review(object(good), { down: true }))).toBe("400 : Internal error: etcd is down");
  });
});

test("26: v1alpha1 is judged by what its annotations mean", async () => {
  const alpha = async (annotations: Record<string, string>) => told(await review(object(good, annotations), { version: "v1alpha1" }));
  expect(await alpha({ "kruise.io/pub-protect-operations": "DELETE, EVICT", "pub.kruise.io/protect-total-replicas": "15" })).toBe(
    "allowed",
  );
  expect(await alpha({ "kruise.io/pub-protect-operations": "" })).toBe("allowed");
  expect(await alpha({ "kruise.io/pub-protect-operations": "BOGUS" })).toStartWith("400 ");
  expect(await alpha({ "pub.kruise.io/protect-total-replicas": "x" })).toStartWith("400 ");
});

test("26, 27: conversion both ways", () => {
  const { toStorage, fromStorage } = podUnavailableBudgetDefinition.conversion!["v1alpha1"]!;
  const up = toStorage(
    object(good, { "kruise.io/pub-protect-operations": "DELETE,EVICT", "pub.kruise.io/protect-total-replicas": "15" }),
  ) as PodUnavailableBudget;
  expect(up.spec).toMatchObject({ protectOperations: ["DELETE", "EVICT"], protectTotalReplicas: 15 });
  const down = fromStorage(object({ ...good, protectOperations: ["DELETE", "RESIZE"], protectTotalReplicas: 9 }, { keep: "me" }));
  expect(down.metadata.annotations).toEqual({
    keep: "me",
    "kruise.io/pub-protect-operations": "DELETE,RESIZE",
    "pub.kruise.io/protect-total-replicas": "9",
  });
  expect(fromStorage(object(good, { "kruise.io/pub-protect-operations": "DELETE" })).metadata.annotations).toBeUndefined();
});

test("30: with both gates off, and for a version nobody knows", async () => {
  const off = { PodUnavailableBudgetDeleteGate: false, PodUnavailableBudgetUpdateGate: false };
  expect(told(await review(object(good), { gates: off }))).toMatch(/^400 .*PodUnavailableBudgetDeleteGate.*PodUnavailableBudgetUpdateGate/);
  expect(told(await review(object(good), { version: "v2" }))).toStartWith("400 ");
});

test("any JSON gets an answer, from every webhook", async () => {
  const env = new FakeEnv();
  const absent = {
    get: () => undefined,
    list: () => [],
    find: () => [],
    live: { get: async () => ({ ok: false, why: "notFound", message: "" }), list: async () => ({ ok: true, object: [] }) },
  };
  const settings = testSettings({ gates: gatesWith({ PodUnavailableBudgetUpdateGate: true }) });
  const handler = createHandler({
    env,
    webhooks: [...webhooks, ...podWebhooks({ mutations: [mutation], guards: [guard], installNamespace: "kruise-system" })],
    converter: converterFor([podUnavailableBudgetDefinition]),
    context: contextWith({ read: absent as never, settings }),
    metrics: silentMetrics,
  });
  const anyPod = fc.record(
    {
      metadata: fc.oneof(fc.constant({ annotations: { "kruise.io/related-pub": "web" } }), fc.object()),
      spec: fc.anything(),
      status: fc.anything(),
    },
    { requiredKeys: [] },
  );
  const paths = ["/validate-pod", "/mutate-pod", "/validate-policy-kruise-io-podunavailablebudget"];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.constantFrom("CREATE", "UPDATE", "DELETE"),
      fc.oneof(
        anyPod,
        fc.json({ maxDepth: 4 }).map((text) => JSON.parse(text)),
      ),
      fc.oneof(anyPod, fc.constant(undefined)),
      fc.constantFrom(undefined, "eviction", "resize"),
      async (path, operation, given, oldObject, subResource) => {
        const resource = {
          group: "",
          version: "v1",
          resource: path.includes("pod-") || path.endsWith("pod") ? "pods" : "podunavailablebudgets",
        };
        const body = reviewText({ uid: "u", operation, resource, subResource, namespace: "default", name: "n", object: given, oldObject });
        const response = await handler(
          new Request(`https://host${path}`, { method: "POST", body, headers: { "content-type": "application/json" } }),
        );
        const answer = (await response.json()) as { response: { allowed: boolean; status?: { code: number } } };
        expect(answer.response.allowed || (answer.response.status?.code ?? 0) >= 400).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
});
