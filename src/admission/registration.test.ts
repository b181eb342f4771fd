import { describe, expect, test } from "bun:test";
import type { KindDefinition } from "../api/definition.ts";
import type { KubeObject } from "../kube/types.ts";
import { mutating, validating } from "./registration.ts";
import { contextWith, podRequest } from "./testing/fixtures.ts";
import { type AdmissionRequest, allow, deny } from "./webhook.ts";

interface Thing extends KubeObject {
  spec: { replicas?: number; extra?: string };
}
const definition = {
  kind: { group: "apps.kruise.io", version: "v1beta1", kind: "Thing", plural: "things", namespaced: true },
  singular: "thing",
  versions: [
    { name: "v1alpha1", served: true, storage: false },
    { name: "v1beta1", served: true, storage: true },
    { name: "v1", served: false, storage: false },
  ],
  conversion: {
    v1alpha1: {
      toStorage: (object: KubeObject) => {
        const { size, ...spec } = (object as unknown as { spec: { size?: unknown } }).spec;
        if (size === "broken") throw new Error("spec.size: want a number");
        return { ...object, spec: { ...spec, replicas: size } } as KubeObject;
      },
      fromStorage: (object: KubeObject) => {
        const { replicas, ...spec } = (object as Thing).spec;
        return { ...object, spec: { ...spec, size: replicas } } as KubeObject;
      },
    },
  },
} as unknown as KindDefinition<Thing>;

const request = (version: string, spec: object, changes: Partial<AdmissionRequest> = {}) =>
  podRequest({
    resource: { group: "apps.kruise.io", version, resource: "things" },
    object: { metadata: { name: "t" }, spec } as never,
    ...changes,
  });
const fills = mutating({
  name: "mthing.kb.io",
  definition,
  fill: (object) => (object.spec.replicas === undefined ? { ...object, spec: { ...object.spec, replicas: 1 } } : object),
});
const seen: (number | undefined)[] = [];
const checks = validating({
  name: "vthing.kb.io",
  definition,
  operations: ["CREATE", "UPDATE", "DELETE"],
  validate: ({ object, oldObject }) => {
    seen.push(object?.spec.replicas, oldObject?.spec.replicas);
    return allow;
  },
});

describe("webhooks of our own kinds", () => {
  test("are named and routed as installed", () => {
    expect(fills).toMatchObject({
      type: "mutating",
      path: "/mutate-apps-kruise-io-thing",
      aliases: ["/mutate-apps-kruise-io-v1alpha1-thing"],
      rules: [{ operations: ["CREATE", "UPDATE"], group: "apps.kruise.io", versions: ["v1alpha1", "v1beta1"], resources: ["things"] }],
    });
    expect(checks.rules[0]?.operations).toEqual(["CREATE", "UPDATE", "DELETE"]);
    const versioned = validating({ name: "v", definition, path: "/validate-apps-kruise-io-v1alpha1-thing", validate: () => allow });
    expect([versioned.path, versioned.aliases]).toEqual(["/validate-apps-kruise-io-v1alpha1-thing", ["/validate-apps-kruise-io-thing"]]);
  });

  test.each([
    ["v1beta1", { extra: "e" }, { extra: "e", replicas: 1 }],
    ["v1alpha1", { extra: "e" }, { extra: "e", size: 1 }],
  ])("fill in %s what it came in", async (version, before, after) => {
    expect(await fills.review(request(version, before), contextWith())).toEqual({
      allowed: true,
      object: { metadata: { name: "t" }, spec: after },
    });
  });

  test("leave alone what is complete, in any version", async () => {
    expect(await fills.review(request("v1alpha1", { size: 3 }), contextWith())).toBe(allow);
    expect(await fills.review(request("v1beta1", { replicas: 3 }), contextWith())).toBe(allow);
  });

  test("see the storage version of the new object and the old one", async () => {
    await checks.review(
      request("v1alpha1", { size: 3 }, { oldObject: { metadata: { name: "t" }, spec: { size: 2 } } as never }),
      contextWith(),
    );
    await checks.review(
      request("v1beta1", {}, { operation: "DELETE", object: undefined, oldObject: { metadata: {}, spec: { replicas: 4 } } as never }),
      contextWith(),
    );
    expect(seen).toEqual([3, 2, undefined, 4]);
  });

  test("refuse what cannot be read, and pass on refusals", async () => {
    expect(await checks.review(request("v1alpha1", { size: "broken" }), contextWith())).toMatchObject({ allowed: false, code: 400 });
    const refuses = mutating({ name: "m", definition, fill: async () => deny(403, "no") });
    expect(await refuses.review(request("v1alpha1", {}), contextWith())).toEqual(deny(403, "no"));
  });
});
