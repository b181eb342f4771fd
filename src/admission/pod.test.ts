import { describe, expect, test } from "bun:test";
import type { Pod } from "../kube/types.ts";
import { guardPod, mutatePod, podWebhooks } from "./pod.ts";
import { contextWith, podRequest, settingsWith } from "./testing/fixtures.ts";
import { allow, deny, type PodGuard, type PodMutation, type Verdict } from "./webhook.ts";

const pod = { metadata: { name: "web-0", namespace: "shop" }, spec: { containers: [] } } as unknown as Pod;
const labelled = (name: string, order: number, more: Partial<PodMutation> = {}): PodMutation => ({
  name,
  order,
  mutate: (seen) => ({
    ...seen,
    metadata: { ...seen.metadata, labels: { ...seen.metadata.labels, [name]: String(Object.keys(seen.metadata.labels ?? {}).length) } },
  }),
  ...more,
});
const mutate = (mutations: PodMutation[], request = podRequest({ object: pod }), context = contextWith()) =>
  Promise.resolve(mutatePod(mutations)(request, context));
const labelsOf = (verdict: Verdict) => (verdict.allowed ? (verdict.object as Pod | undefined)?.metadata.labels : undefined);

describe("/mutate-pod", () => {
  test("runs the parts in their order, each on what the one before made", async () => {
    const later = labelled("later", 20, { mutate: async (seen, ...rest) => labelled("later", 0).mutate(seen, ...rest) });
    expect(labelsOf(await mutate([labelled("last", 30), later, labelled("first", 10)]))).toEqual({ first: "0", later: "1", last: "2" });
  });

  test("leaves out what its gate turns off", async () => {
    const context = contextWith({ settings: settingsWith({ off: ["WorkloadSpread"] }) });
    const verdict = await mutate([labelled("a", 1, { gate: "WorkloadSpread" }), labelled("b", 2)], undefined, context);
    expect(labelsOf(verdict)).toEqual({ b: "0" });
  });

  test.each([
    [podRequest({ object: pod, operation: "UPDATE" }), "an update"],
    [podRequest({ object: pod, subResource: "status" }), "a subresource"],
    [podRequest({ object: pod, resource: { group: "", version: "v1", resource: "podtemplates" } }), "another resource"],
  ])("%# looks away: %s", async (request) => {
    expect(await mutate([labelled("a", 1)], request)).toBe(allow);
  });

  test("no change is the plain yes, also where the namespace was implied", async () => {
    const same: PodMutation = { name: "same", order: 1, mutate: (seen) => seen as Pod };
    expect(await mutate([same])).toBe(allow);
    const bare = { ...pod, metadata: { name: "web-0" } } as unknown as Pod;
    let seen: string | undefined;
    const asks: PodMutation = {
      name: "asks",
      order: 1,
      mutate: (given) => {
        seen = given.metadata.namespace;
        return given as Pod;
      },
    };
    expect(await mutate([asks], podRequest({ object: bare }))).toBe(allow);
    expect(seen).toBe("shop");
    const verdict = await mutate([labelled("a", 1)], podRequest({ object: bare }));
    expect(verdict).toMatchObject({ object: { metadata: { name: "web-0", labels: { a: "0" } } } });
    expect(labelsOf(verdict) && (verdict as { object: Pod }).object.metadata.namespace).toBeUndefined();
    expect(bare).toEqual({ metadata: { name: "web-0" }, spec: { containers: [] } } as unknown as Pod);
  });

  test("a refusal has the last word, with the warnings so far", async () => {
    const warns: PodMutation = { name: "warns", order: 1, mutate: () => ({ allowed: true, warnings: ["w"] }) };
    const refuses: PodMutation = { name: "refuses", order: 2, mutate: () => deny(403, "no") };
    const never: PodMutation = {
      name: "never",
      order: 3,
      mutate: () => {
        throw new Error("reached");
      },
    };
    expect(await mutate([warns, refuses, never])).toEqual({ ...deny(403, "no"), warnings: ["w"] });
    expect(await mutate([warns])).toEqual({ allowed: true, warnings: ["w"] });
  });

  test.each([
    [
      () => {
        throw new Error("boom");
      },
      "at once",
    ],
    [() => Promise.reject(new Error("boom")), "later"],
  ] as [PodMutation["mutate"], string][])("an error refuses the pod with 500: %#", async (fails) => {
    expect(await mutate([{ name: "sidecarset", order: 1, mutate: fails }])).toEqual(deny(500, "sidecarset: boom"));
  });

  test("a creation without a pod is a bad request", async () => {
    expect(await mutate([])).toBe(allow);
    expect(await mutate([], podRequest({}))).toMatchObject({ allowed: false, code: 400 });
  });
});

describe("/validate-pod", () => {
  const guard = (name: string, order: number, review: PodGuard["review"], operations: PodGuard["operations"]): PodGuard => ({
    name,
    order,
    operations,
    active: () => true,
    review,
  });
  const all = ["update", "resize", "delete", "evict"] as const;
  const refuse = (text: string) => () => deny(429, text);

  test.each([
    ["UPDATE", undefined, "update"],
    ["UPDATE", "resize", "resize"],
    ["UPDATE", "status", undefined],
    ["DELETE", undefined, "delete"],
    ["CREATE", "eviction", "evict"],
    ["CREATE", undefined, undefined],
    ["CREATE", "binding", undefined],
  ] as const)("%s of %s is %s", async (operation, subResource, asked) => {
    const request = podRequest({ operation, subResource, oldObject: pod });
    for (const one of all) {
      const verdict = await guardPod([guard("g", 1, refuse("no"), [one])])(request, contextWith());
      expect(verdict.allowed).toBe(one !== asked);
    }
  });

  test("the first refusal wins, inactive guards are not asked", async () => {
    const guards = [
      guard("second", 2, refuse("second"), all),
      guard("first", 1, refuse("first"), all),
      { ...guard("off", 0, refuse("off"), all), active: () => false },
      guard("zeroth", 0, () => ({ allowed: true, warnings: ["w"] }), all),
    ];
    const verdict = await guardPod(guards)(podRequest({ operation: "DELETE", oldObject: pod }), contextWith());
    expect(verdict).toMatchObject({ allowed: false, message: "first", warnings: ["w"] });
  });

  test("a deletion of nobody knows what is allowed, an error is a bad request", async () => {
    const review = guardPod([guard("g", 1, () => Promise.reject(new Error("boom")), all)]);
    expect(await review(podRequest({ operation: "DELETE" }), contextWith())).toBe(allow);
    expect(await review(podRequest({ operation: "DELETE", oldObject: pod }), contextWith())).toEqual({
      ...deny(400, "g: boom"),
      warnings: [],
    });
  });
});

describe("when the pod webhooks are active", () => {
  const [mpod, vpod, vpodeviction] = podWebhooks({ mutations: [], guards: [], installNamespace: "kruise-system" });
  const pub = "v1beta1.podunavailablebudgets";
  test.each([
    [{}, true, true, "by default"],
    [{ off: ["PodWebhook"] }, false, false, "the gate is off"],
    [{ missing: ["v1beta1.sidecarsets"] }, false, true, "nothing to inject"],
    [{ missing: [pub] }, true, true, "WorkloadSpread still counts deletions"],
    [{ missing: [pub], off: ["WorkloadSpread"] }, true, false, "nothing to guard"],
  ])("%j mutating %p validating %p: %s", (options, mutating, validating) => {
    const settings = settingsWith(options);
    expect(mpod?.active?.(settings)).toBe(mutating);
    expect(vpod?.active?.(settings)).toBe(validating);
    expect(vpodeviction?.active?.(settings)).toBe(validating);
  });
});
