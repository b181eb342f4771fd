import { describe, expect, test } from "bun:test";
import { mutatingConfigurationName, validatingConfigurationName } from "../admission/configuration.ts";
import { announcing, podNarrowing } from "../admission/pod-narrowing.ts";
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Webhook } from "../admission/webhook.ts";
import type { KindDefinition } from "../api/definition.ts";
import { gatesWith } from "../api/gates.ts";
import { defaultSettings } from "../api/settings.ts";
import { sidecarSetDefinition, sidecarSets } from "../api/sidecarset.ts";
import { features } from "../features/index.ts";
import { resourceName } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";

const parts = {
  mutations: features.flatMap((feature) => feature.podMutations ?? []),
  guards: features.flatMap((feature) => feature.podGuards ?? []),
};
const entryOf = (name: string, gates: Parameters<typeof gatesWith>[0] = {}) =>
  podNarrowing(parts, defaultSettings({ gates: gatesWith(gates) }))
    .configurations.flatMap(({ entries }) => entries)
    .find((entry) => entry.name === name);

describe("what the pod webhooks are narrowed by", () => {
  test("creations: pods of our workloads and of launch orders always, others by SidecarSets and budgets", () => {
    const entry = entryOf("mpod.kb.io");
    expect(entry?.sources.toSorted()).toEqual(["podunavailablebudgets.policy.kruise.io", "sidecarsets.apps.kruise.io"]);
    expect(entry?.always).toHaveLength(2);
    expect(entry?.always.join()).toContain('owner.apiVersion.startsWith("apps.kruise.io/")');
    expect(entry?.always.join()).toContain("KRUISE_CONTAINER_PRIORITY");
  });

  test("a gate that gives every pod something leaves nothing to narrow", () => {
    expect(entryOf("mpod.kb.io", { KruisePodReadinessGate: true })?.always).toContain("true");
  });

  test("updates and deletions: pods that carry a budget's name; evictions: namespaces with a budget", () => {
    const entry = entryOf("vpod.kb.io");
    expect([entry?.sources, entry?.always]).toEqual([[], [expect.stringContaining("pub.kruise.io/related-pub")]]);
    expect(entryOf("vpodeviction.kb.io")).toEqual({
      name: "vpodeviction.kb.io",
      always: [],
      sources: ["podunavailablebudgets.policy.kruise.io"],
      seesPod: false,
    });
  });

  test("kinds that come later count from the start", () => {
    const entries = (serves: boolean) => podNarrowing(parts, defaultSettings({ serves: () => serves }));
    expect(JSON.stringify(entries(false))).toBe(JSON.stringify(entries(true)));
  });

  test("a feature that says nothing is asked about every pod", () => {
    const { configurations } = podNarrowing({ mutations: [{ name: "x", order: 1, mutate: (pod) => pod }], guards: [] }, defaultSettings());
    expect(configurations.map(({ name, entries }) => [name, entries[0]?.always])).toEqual([
      [mutatingConfigurationName, ["true"]],
      [validatingConfigurationName, []],
    ]);
  });

  const scopeOf = (object: object) =>
    podNarrowing(parts, defaultSettings())
      .sources.find(({ of }) => resourceName(of) === "sidecarsets.apps.kruise.io")
      ?.scope(object as KubeObject);

  test("a SidecarSet brings the pods that it selects, in namespaces that it names or in all", () => {
    const selector = { matchLabels: { app: "web" } };
    const labels = [{ key: "app", operator: "In" as const, values: ["web"], equals: true }];
    expect(scopeOf({ spec: { selector } })).toEqual({ labels });
    expect(scopeOf({ spec: { selector, namespaceSelector: { matchLabels: { team: "a" } } } })).toEqual({ labels });
    expect(scopeOf({ spec: { selector, namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } } } })).toEqual({
      namespaces: ["shop"],
      labels,
    });
    expect([scopeOf({}), scopeOf({ spec: {} }), scopeOf({ spec: { selector: {} } })]).toEqual([undefined, undefined, undefined]);
  });
});

describe("what is let through is announced", () => {
  const { sources } = podNarrowing(parts, defaultSettings());
  const webhook = (type: Webhook["type"], verdict = allow): Webhook => ({
    name: "vsidecarset.kb.io",
    type,
    path: "/x",
    rules: [{ operations: ["CREATE", "UPDATE"], group: sidecarSets.group, versions: ["v1beta1"], resources: [sidecarSets.plural] }],
    review: () => verdict,
  });
  const ask = async (changes: Partial<AdmissionRequest>, given = webhook("validating"), problem?: string) => {
    const announced: unknown[] = [];
    const kinds = [sidecarSetDefinition as unknown as KindDefinition];
    const wrapped = announcing(given, sources, kinds, {
      announce: async (kind, object, old) => {
        announced.push([resourceName(kind), (object as { spec?: unknown }).spec, (old as { spec?: unknown } | undefined)?.spec]);
        return problem;
      },
    });
    const request = {
      operation: "CREATE",
      namespace: "",
      dryRun: false,
      resource: { group: sidecarSets.group, version: "v1beta1", resource: sidecarSets.plural },
      object: { metadata: { name: "mesh" }, spec: { selector: { matchLabels: { app: "web" } } } },
      ...changes,
    } as AdmissionRequest;
    return { verdict: await wrapped.review(request, {} as AdmissionContext), announced };
  };

  test("in the version that is stored, with what it was", async () => {
    const resource = { group: sidecarSets.group, version: "v1alpha1", resource: sidecarSets.plural };
    const object = {
      metadata: { name: "mesh" },
      spec: { namespace: "shop", selector: { matchLabels: { app: "web" } } },
    } as unknown as KubeObject;
    const { announced } = await ask({ resource, object, oldObject: object, operation: "UPDATE" });
    const stored = {
      selector: { matchLabels: { app: "web" } },
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } },
    };
    expect(announced).toMatchObject([["sidecarsets.apps.kruise.io", stored, stored]]);
  });

  test("not in a dry run, not when it is refused or deleted, not before it is finished", async () => {
    const answers = await Promise.all([
      ask({ dryRun: true }),
      ask({}, webhook("validating", deny(500, "no"))),
      ask({ operation: "DELETE" }),
      ask({}, webhook("mutating")),
    ]);
    expect(answers.map(({ announced }) => announced)).toEqual([[], [], [], []]);
    expect(answers[1]?.verdict.allowed).toBe(false);
  });

  test("or it is not let through", async () => {
    expect((await ask({})).verdict).toEqual(allow);
    expect((await ask({}, webhook("validating"), "no answer")).verdict).toMatchObject({
      allowed: false,
      code: 503,
      message: expect.stringContaining("no answer"),
    });
  });
});
