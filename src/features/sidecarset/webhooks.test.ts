import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mutatePod } from "../../admission/pod.ts";
import { type SidecarSetSpec, sidecarSets } from "../../api/sidecarset.ts";
import type { KubeObject } from "../../kube/types.ts";
import { injection } from "./inject.ts";
import { asked, contextOf, filled, given, one, selector } from "./testing/admission.ts";
import { pod, sidecarSet, stage } from "./testing/objects.ts";
import { mutate, validate } from "./webhooks.ts";

describe("versions and any JSON", () => {
  test("v1alpha1 is validated as what it is stored as", async () => {
    const object = given({ namespace: "shop" });
    const context = contextOf({
      others: [
        sidecarSet("other", { selector, containers: [one], namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "else" } } }),
      ],
    });
    const set = filled(object, "v1alpha1");
    expect((await validate(asked(set, "CREATE", undefined, "v1alpha1"), context)).allowed).toBe(true);
    expect((await validate(asked(filled(given({}), "v1alpha1"), "CREATE", undefined, "v1alpha1"), context)).allowed).toBe(false);
  });

  test.each<[unknown, string, string]>([
    [given({ containers: "x" }), "v1beta1", "spec.containers: Invalid type"],
    [given({ revisionHistoryLimit: "x" }), "v1beta1", "spec.revisionHistoryLimit: Invalid type"],
    [given(), "v2", "unsupported version v2"],
    [undefined, "v1beta1", "the request carries no SidecarSet"],
  ])("%j as %s is not readable", async (object, version, expected) => {
    const refused = mutate(asked(object, "CREATE", undefined, version));
    expect(refused).toMatchObject({ allowed: false, code: 400, message: expect.stringContaining(expected) });
    expect(await validate(asked(object, "CREATE", undefined, version), contextOf())).toMatchObject({ allowed: false, code: 400 });
  });

  test.each<[string, Partial<SidecarSetSpec>]>([
    ["a word that is not allowed", { injectionStrategy: { revision: { revisionName: "r", policy: "Foo" as "Always" } } }],
    [
      "one of a container's",
      { containers: [{ ...one, resourcesPolicy: { targetContainersMode: "avg" as "sum", resourcesExpr: { limits: { cpu: "cpu" } } } }] },
    ],
    ["a field that is missing", { containers: [{ ...one, resourcesPolicy: { resourcesExpr: {} } as never }] }],
  ])("%s is left to the server's schema, which answers 422", (_, spec) => {
    expect(mutate(asked(given(spec))).allowed).toBe(true);
  });

  test("a status that a client sends along does no harm", () => expect(mutate(asked({ ...given(), status: {} })).allowed).toBe(true));

  const fieldNames = fc.constantFrom(
    "selector",
    "containers",
    "initContainers",
    "volumes",
    "updateStrategy",
    "injectionStrategy",
    "patchPodMetadata",
    "imagePullSecrets",
    "namespaceSelector",
    "x",
  );
  const innerNames = fc.constantFrom(
    "name",
    "image",
    "env",
    "resourcesPolicy",
    "upgradeStrategy",
    "type",
    "partition",
    "selector",
    "revision",
    "annotations",
    "matchLabels",
    "transferEnv",
    "volumeMounts",
    "resources",
    "__proto__",
  );
  const shallow = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.dictionary(innerNames, fc.jsonValue({ maxDepth: 2 })),
    fc.array(fc.dictionary(innerNames, fc.jsonValue({ maxDepth: 1 })), { maxLength: 2 }),
  );
  const anySpec = fc.dictionary(fieldNames, shallow);

  test(
    "an answer to everything",
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.oneof(anySpec, fc.jsonValue()),
          fc.oneof(fc.constant({ name: "mesh" }), fc.jsonValue()),
          anySpec,
          fc.boolean(),
          async (spec, metadata, old, alpha) => {
            const version = alpha ? "v1alpha1" : "v1beta1";
            const meta = typeof metadata === "object" && metadata !== null && !Array.isArray(metadata) ? metadata : {};
            const question = asked({ metadata: meta, spec }, "UPDATE", { metadata: { name: "mesh" }, spec: old }, version);
            const verdict = mutate(question);
            const answer = await validate(verdict.allowed ? { ...question, object: verdict.object as KubeObject } : question, contextOf());
            expect(typeof answer.allowed).toBe("boolean");
          },
        ),
        { numRuns: 200 },
      ),
    60_000,
  );
});

test(
  "whatever the spec of a stored SidecarSet, creating a pod gets an answer",
  () =>
    fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          fc.constantFrom(
            "containers",
            "initContainers",
            "volumes",
            "imagePullSecrets",
            "patchPodMetadata",
            "injectionStrategy",
            "updateStrategy",
            "namespaceSelector",
          ),
          fc.oneof(
            fc.jsonValue(),
            fc.array(
              fc.dictionary(
                fc.constantFrom("name", "image", "env", "transferEnv", "shareVolumePolicy", "resourcesPolicy", "annotations"),
                fc.jsonValue(),
              ),
            ),
          ),
        ),
        async (spec) => {
          const { world, context } = stage();
          world.add(sidecarSets, { metadata: { name: "odd" }, spec: { selector, ...spec } as SidecarSetSpec });
          const question = { ...asked(pod("web-1")), resource: { group: "", version: "v1", resource: "pods" } };
          expect(typeof (await mutatePod([injection])(question, context)).allowed).toBe("boolean");
        },
      ),
      { numRuns: 150 },
    ),
  60_000,
);
