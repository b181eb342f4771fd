import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { activePaths, webhookConfigurations } from "../../admission/configuration.ts";
import type { AdmissionContext, AdmissionRequest, Refusal, Verdict } from "../../admission/webhook.ts";
import { type GateName, gatesWith } from "../../api/gates.ts";
import { testSettings } from "../../engine/testing/settings.ts";
import { World } from "../../engine/testing/world.ts";
import { FakeEnv } from "../../env/fake.ts";
import type { Kind } from "../../kube/kind.ts";
import { persistentVolumeClaims, pods } from "../../kube/kinds.ts";
import { webhooks } from "./webhooks.ts";

type Gates = Partial<Record<GateName, boolean>>;
const on: Gates = { ResourcesDeletionProtection: true };
const crds: Gates = { ...on, DeletionProtectionForCRDCascadingGate: true };
const games: Kind = { group: "example.com", version: "v1", kind: "Game", plural: "games", namespaced: true };

function court(gates: Gates = on) {
  const world = new World(new FakeEnv());
  const refused: Refusal[] = [];
  const settings = testSettings({ gates: gatesWith(gates) });
  const context = { read: world, settings, refused: (refusal: Refusal) => void refused.push(refusal) } as unknown as AdmissionContext;
  const ask = async (kind: string, object: object, more: Partial<AdmissionRequest> = {}): Promise<Verdict> => {
    const plural = { Ingress: "ingresses", CustomResourceDefinition: "customresourcedefinitions" }[kind] ?? `${kind.toLowerCase()}s`;
    const webhook = webhooks.find(({ rules }) => rules[0]!.resources.includes(plural))!;
    const named = { ...object, metadata: { name: "x", ...(object as { metadata?: object }).metadata } };
    const request = {
      kind: { group: "", version: "v1", kind },
      operation: "DELETE",
      namespace: kind === "CustomResourceDefinition" ? "" : kind === "Namespace" ? "x" : "shop",
      name: "x",
      oldObject: named,
      dryRun: false,
      userInfo: { username: "alice" },
      ...more,
    } as unknown as AdmissionRequest;
    return webhook.review(request, context);
  };
  return { world, refused, ask };
}
const told = (verdict: Verdict) => (verdict.allowed ? "allowed" : `${verdict.code} ${verdict.message}`);
const labelled = (value: string, spec: object = {}, more: object = {}) => ({
  metadata: { labels: { "policy.kruise.io/delete-protection": value }, ...more },
  spec,
});

describe("namespaces", () => {
  const pod = (world: World, name: string, phase: string, more: object = {}) =>
    world.add(pods, { metadata: { name, namespace: "x", ...more }, spec: { containers: [] }, status: { phase } } as never);
  const claim = (world: World, phase: string, more: object = {}) =>
    world.add(persistentVolumeClaims, { metadata: { name: "c", namespace: "x", ...more }, spec: {}, status: { phase } });

  test("1: Always", async () => {
    expect(told(await court().ask("Namespace", labelled("Always")))).toBe(
      "403 forbidden by ResourcesProtectionDeletion for policy.kruise.io/delete-protection=Always",
    );
  });
  test("2: Cascading, a pod runs", async () => {
    const { world, ask, refused } = court();
    pod(world, "a", "Running");
    expect(told(await ask("Namespace", labelled("Cascading")))).toEndWith("=Cascading and active pods 1>0");
    expect(refused).toEqual([{ event: "DeletionProtection", kind: "Namespace", namespace: "", name: "x", userAgent: "alice" }]);
  });
  test("2: a pod that the cache does not show yet", async () => {
    const { world, ask } = court();
    const made = pod(world, "a", "Running");
    world.remove(pods, { namespace: "x", name: "a", uid: made.metadata.uid });
    expect(told(await ask("Namespace", labelled("Cascading")))).toEndWith("active pods 1>0");
  });
  test("3: finished and terminating pods do not hold it", async () => {
    const { world, ask } = court();
    pod(world, "a", "Succeeded");
    pod(world, "b", "Running", { finalizers: ["keep"] });
    world.drop(pods, { namespace: "x", name: "b" });
    expect(told(await ask("Namespace", labelled("Cascading")))).toBe("allowed");
  });
  test.each<[string, object, string]>([
    [
      "Bound",
      {},
      '403 forbidden by ResourcesProtectionDeletion for policy.kruise.io/delete-protection=Cascading and "Bound" status pvc 1>0',
    ],
    ["Pending", {}, "allowed"],
    ["Lost", {}, "allowed"],
  ])("4: a claim that is %s", async (phase, more, expected) => {
    const { world, ask } = court();
    claim(world, phase, more);
    expect(told(await ask("Namespace", labelled("Cascading")))).toBe(expected);
  });
  test("4: a bound claim on its way out", async () => {
    const { world, ask } = court();
    claim(world, "Bound", { finalizers: ["keep"] });
    world.drop(persistentVolumeClaims, { namespace: "x", name: "c" });
    expect(told(await ask("Namespace", labelled("Cascading")))).toBe("allowed");
  });
  test("what cannot be counted is not let go", async () => {
    const { world, ask } = court();
    world.fault = () => ({ ok: false, why: "unavailable", mayHaveHappened: false, message: "down" });
    expect(told(await ask("Namespace", labelled("Cascading")))).toBe(
      "403 forbidden by ResourcesProtectionDeletion for policy.kruise.io/delete-protection=Cascading and its pods cannot be counted: down",
    );
  });
});

describe("5, 6: workloads", () => {
  for (const kind of ["Deployment", "ReplicaSet", "StatefulSet"]) {
    test.each<[string, number | undefined, string]>([
      ["Always", 0, "403"],
      ["Cascading", 2, "403 forbidden by ResourcesProtectionDeletion for policy.kruise.io/delete-protection=Cascading and replicas 2>0"],
      ["Cascading", 0, "allowed"],
      ["Cascading", undefined, "allowed"],
      ["cascading", 3, "allowed"],
      ["", 3, "allowed"],
    ])(`${kind} %s with %p replicas`, async (value, replicas, expected) => {
      expect(told(await court().ask(kind, labelled(value, { replicas })))).toStartWith(expected);
    });
  }
});

test.each(["Service", "Ingress"])("8: %s", async (kind) => {
  expect(told(await court().ask(kind, labelled("Always")))).toStartWith("403 ");
  expect(told(await court().ask(kind, labelled("Cascading")))).toBe("allowed");
});

describe("9: CRDs", () => {
  const definition = (value: string) =>
    labelled(value, {
      group: "example.com",
      names: { plural: "games", kind: "Game", listKind: "GameList" },
      scope: "Namespaced",
      versions: [
        { name: "v2", served: true, storage: false },
        { name: "v1", served: true, storage: true },
      ],
    });
  test("Always, and Cascading without its gate", async () => {
    expect(told(await court().ask("CustomResourceDefinition", definition("Always")))).toStartWith("403 ");
    expect(told(await court().ask("CustomResourceDefinition", definition("Cascading")))).toContain(
      "feature-gate DeletionProtectionForCRDCascadingGate is not enabled",
    );
  });
  test("Cascading: one, one on its way out, none", async () => {
    const { world, ask } = court(crds);
    world.add(games, { metadata: { name: "chess", namespace: "a", finalizers: ["keep"] } });
    expect(told(await ask("CustomResourceDefinition", definition("Cascading")))).toEndWith("active CRs 1>0");
    expect(world.calls.at(-1)).toMatchObject({ verb: "list", kind: "Game", options: { metadataOnly: true } });
    world.drop(games, { namespace: "a", name: "chess" });
    expect(told(await ask("CustomResourceDefinition", definition("Cascading")))).toBe("allowed");
    world.edit(games, { namespace: "a", name: "chess" }, (object) => {
      object.metadata.finalizers = [];
    });
    expect(told(await ask("CustomResourceDefinition", definition("Cascading")))).toBe("allowed");
  });
  test("without the right to count them it says which right", async () => {
    const { world, ask } = court(crds);
    world.fault = () => ({ ok: false, why: "denied", code: 403, reason: "Forbidden", message: "forbidden" });
    expect(told(await ask("CustomResourceDefinition", definition("Cascading")))).toEndWith("grant the manager list on games.example.com");
  });
});

test("10, 13: the gate is off; the object is going already; nothing is known of it; a part of it", async () => {
  expect(told(await court({}).ask("Deployment", labelled("Always")))).toBe("allowed");
  expect(told(await court({}).ask("Namespace", labelled("Always")))).toBe("allowed");
  const { ask } = court();
  expect(told(await ask("Deployment", labelled("Always", {}, { deletionTimestamp: "2025-01-01T00:00:00Z" })))).toBe("allowed");
  expect(told(await ask("Deployment", labelled("Always"), { oldObject: undefined }))).toBe("allowed");
  expect(told(await ask("Deployment", labelled("Always"), { subResource: "status" }))).toBe("allowed");
  expect(told(await ask("Deployment", labelled("Always"), { operation: "UPDATE" }))).toBe("allowed");
});

test("11, 15: a dry run is refused and counted as well", async () => {
  const { ask, refused } = court();
  expect(told(await ask("Deployment", labelled("Always"), { dryRun: true }))).toStartWith("403 ");
  expect(refused).toEqual([{ event: "DeletionProtection", kind: "Deployment", namespace: "shop", name: "x", userAgent: "alice" }]);
});

test("16: only labelled objects come here at all, and the paths of what is switched off are left out", () => {
  const [, validating] = webhookConfigurations(webhooks, "kruise-system") as {
    webhooks: { objectSelector?: object; failurePolicy: string }[];
  }[];
  expect(validating!.webhooks).toHaveLength(7);
  for (const entry of validating!.webhooks) {
    expect(entry.objectSelector).toEqual({ matchExpressions: [{ key: "policy.kruise.io/delete-protection", operator: "Exists" }] });
    expect(entry.failurePolicy).toBe("Fail");
  }
  const paths = (gates: Gates) => [...activePaths(webhooks, testSettings({ gates: gatesWith(gates) }))];
  expect(paths({})).not.toContain("/validate-service");
  expect(paths({})).toContain("/validate-namespace");
  expect(paths(on)).toContain("/validate-ingress");
});

test("any object gets an answer", () =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom("Namespace", "Deployment", "Service", "CustomResourceDefinition"),
      fc.object(),
      fc.anything(),
      async (kind, spec, metadata) => {
        const oldObject = { spec, metadata: typeof metadata === "object" && metadata !== null ? metadata : {} };
        const verdict = await court(crds).ask(kind, {}, { oldObject: oldObject as never });
        expect(typeof verdict.allowed).toBe("boolean");
      },
    ),
    { numRuns: 200 },
  ));
