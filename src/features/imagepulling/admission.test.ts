/** Numbers are those of the acceptance scenarios of image pulling. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { AdmissionContext, AdmissionRequest, Operation, Verdict, Webhook } from "../../admission/webhook.ts";
import { gatesWith } from "../../api/gates.ts";
import type { ImagePullJob } from "../../api/imagepulljob.ts";
import type { NodeImage } from "../../api/nodeimage.ts";
import type { KubeObject } from "../../kube/types.ts";
import { imagePulling } from "./index.ts";
import { pullSettings } from "./testing/agents.ts";

const nowMs = Date.UTC(2025, 0, 1);
type Body = { readonly [field: string]: unknown };

function context(off: Parameters<typeof gatesWith>[0] = {}): AdmissionContext {
  const settings = pullSettings({ gates: gatesWith({ ImagePullJobGate: true, ...off }) });
  return { settings, nowMs: () => nowMs } as unknown as AdmissionContext;
}

function webhookAt(path: string): Webhook {
  return imagePulling.webhooks!.find((webhook) => webhook.path === path || webhook.aliases?.includes(path))!;
}

interface Asked {
  readonly operation?: Operation;
  readonly version?: string;
  readonly old?: unknown;
  readonly off?: Parameters<typeof gatesWith>[0];
}

function review(
  verb: "mutate" | "validate",
  kind: string,
  object: unknown,
  { operation = "CREATE", version = "v1beta1", old, off }: Asked = {},
): Verdict {
  const request = {
    operation,
    object,
    oldObject: old,
    resource: { group: "apps.kruise.io", version, resource: `${kind}s` },
  } as unknown as AdmissionRequest;
  return webhookAt(`/${verb}-apps-kruise-io-${kind}`).review(request, context(off)) as Verdict;
}

function filled<T extends KubeObject>(kind: string, object: Body, asked?: Asked): T {
  const verdict = review("mutate", kind, { metadata: {}, ...object }, asked);
  if (!verdict.allowed) throw new Error(verdict.message);
  return (verdict.object ?? { metadata: {}, ...object }) as T;
}

/** "" when it is allowed; else the code and the message. After the defaults, as the API server does it. */
function refusal(kind: string, spec: Body, asked: Asked & { readonly oldSpec?: Body } = {}): string {
  const object = filled(kind, { spec }, asked);
  const verdict = review("validate", kind, object, { ...asked, old: asked.oldSpec && { metadata: {}, spec: asked.oldSpec } });
  return verdict.allowed ? "" : `${verdict.code} ${verdict.message}`;
}

describe("webhooks", () => {
  test("names, paths and rules", () => {
    expect(imagePulling.webhooks!.map(({ name, type, path }) => [name, type, path])).toEqual([
      ["mnodeimage.kb.io", "mutating", "/mutate-apps-kruise-io-nodeimage"],
      ["vnodeimage.kb.io", "validating", "/validate-apps-kruise-io-nodeimage"],
      ["mimagepulljob-v1beta1.kb.io", "mutating", "/mutate-apps-kruise-io-imagepulljob"],
      ["vimagepulljob-v1beta1.kb.io", "validating", "/validate-apps-kruise-io-imagepulljob"],
      ["mimagelistpulljob-v1beta1.kb.io", "mutating", "/mutate-apps-kruise-io-imagelistpulljob"],
      ["vimagelistpulljob-v1beta1.kb.io", "validating", "/validate-apps-kruise-io-imagelistpulljob"],
    ]);
    for (const { rules, failurePolicy } of imagePulling.webhooks!) {
      expect(failurePolicy ?? "Fail").toBe("Fail");
      expect(rules[0]).toMatchObject({ operations: ["CREATE", "UPDATE"], versions: ["v1alpha1", "v1beta1"] });
    }
  });

  test.each<[string, Asked["off"], string]>([
    ["nodeimage", { KruiseDaemon: false }, "403 feature-gate KruiseDaemon is not enabled"],
    ["imagepulljob", { KruiseDaemon: false }, "403 feature-gate KruiseDaemon is not enabled"],
    ["imagelistpulljob", { KruiseDaemon: false }, "403 feature-gate KruiseDaemon is not enabled"],
    ["nodeimage", { ImagePullJobGate: false }, ""],
    ["imagepulljob", { ImagePullJobGate: false }, "403 feature-gate ImagePullJobGate is not enabled"],
    ["imagelistpulljob", { ImagePullJobGate: false }, "403 feature-gate ImagePullJobGate is not enabled"],
  ])("40: %s with %p", (kind, off, expected) => {
    expect(refusal(kind, kind === "nodeimage" ? {} : { image: "a", images: ["a"] }, { off })).toBe(expected);
  });
});

describe("NodeImage", () => {
  const tags = (...list: Body[]) => ({ images: { nginx: { tags: list } } });
  const ttl = { pullPolicy: { ttlSecondsAfterFinished: 60 } };

  test("6: what is filled in", () => {
    const nodeImage = filled<NodeImage>("nodeimage", { spec: tags({ tag: "latest", ...ttl }) });
    expect(nodeImage.spec.images?.["nginx"]?.tags).toEqual([
      {
        tag: "latest",
        createdAt: "2025-01-01T00:00:00Z",
        pullPolicy: { timeoutSeconds: 600, backoffLimit: 3, ttlSecondsAfterFinished: 60 },
      },
    ]);
  });
  test("7: tags are sorted by their bytes, in spec and status", () => {
    const nodeImage = filled<NodeImage>("nodeimage", {
      spec: tags({ tag: "b", ...ttl }, { tag: "B", ...ttl }, { tag: "a", ...ttl }),
      status: { imageStatuses: { nginx: { tags: [{ tag: "2" }, { tag: "1" }] } } },
    });
    expect(nodeImage.spec.images?.["nginx"]?.tags.map(({ tag }) => tag)).toEqual(["B", "a", "b"]);
    expect(nodeImage.status?.imageStatuses?.["nginx"]?.tags.map(({ tag }) => tag)).toEqual(["1", "2"]);
  });
  test("what is complete stays as it is", () => {
    const complete = { createdAt: "2020-01-01T00:00:00Z", pullPolicy: { timeoutSeconds: 1, backoffLimit: 0, ttlSecondsAfterFinished: 0 } };
    expect(review("mutate", "nodeimage", { metadata: {}, spec: tags({ tag: "a", ...complete }), status: {} })).toEqual({ allowed: true });
  });

  test.each<[string, Body, string]>([
    [
      "6: a task without TTL",
      tags({ tag: "latest" }),
      "400 spec.images[nginx].tags[0].pullPolicy.ttlSecondsAfterFinished: Required value: seconds after which the finished task is removed",
    ],
    ["7: a tag twice", tags({ tag: "a", ...ttl }, { tag: "a", ...ttl }), '400 spec.images[nginx].tags[1].tag: Duplicate value: "a"'],
    [
      "7: a version below 0",
      tags({ tag: "a", version: -1, ...ttl }),
      "400 spec.images[nginx].tags[0].version: Invalid value: -1: must be greater than or equal to 0",
    ],
    ["an empty tag", tags({ tag: "", ...ttl }), "400 spec.images[nginx].tags[0].tag: Required value: a tag or a digest"],
    ["an empty image", { images: { "": { tags: [] } } }, "400 spec.images[]: Required value: the name of an image"],
    [
      "7: 257 images",
      { images: Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`i${index}`, { tags: [] }])) },
      "400 spec.images: Too many: 257: must have at most 256 items",
    ],
    ["256 images", { images: Object.fromEntries(Array.from({ length: 256 }, (_, index) => [`i${index}`, { tags: [] }])) }, ""],
    ["nothing", {}, ""],
    ["a digest, tags", tags({ tag: `sha256:${"a".repeat(64)}`, ...ttl }, { tag: "a", version: 0, ...ttl }), ""],
  ])("%s", (_, spec, expected) => {
    for (const version of ["v1alpha1", "v1beta1"]) expect(refusal("nodeimage", spec, { version })).toBe(expected);
  });
});

describe("ImagePullJob", () => {
  test("16: what is filled in, in each version", () => {
    const defaults = {
      pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 },
      completionPolicy: { type: "Always" },
      imagePullPolicy: "IfNotPresent",
    };
    const beta = filled<ImagePullJob>("imagepulljob", { spec: { image: "nginx", completionPolicy: {} } });
    expect(beta.spec).toEqual({ image: "nginx", ...defaults });
    expect(beta.metadata.finalizers).toBeUndefined();
    const alpha = filled<ImagePullJob>("imagepulljob", { spec: { image: "nginx" } }, { version: "v1alpha1" });
    expect(alpha.spec).toEqual({ image: "nginx", ...defaults });
    expect(alpha.metadata.finalizers).toEqual(["apps.kruise.io/deletion-protection"]);
    const updated = filled<ImagePullJob>("imagepulljob", { spec: { image: "nginx" } }, { version: "v1alpha1", operation: "UPDATE" });
    expect(updated.metadata.finalizers).toBeUndefined();
  });
  test("what users say stays", () => {
    const spec = {
      image: "nginx",
      completionPolicy: { type: "Never" },
      pullPolicy: { timeoutSeconds: 1, backoffLimit: 0 },
      imagePullPolicy: "Always",
    };
    expect(review("mutate", "imagepulljob", { metadata: {}, spec })).toEqual({ allowed: true });
  });

  const always = (policy: Body) => ({ completionPolicy: { type: "Always", ...policy } });
  test.each<[string, Body, string]>([
    ["an image", {}, ""],
    [
      "17: names and labels",
      { selector: { names: ["a"], matchLabels: { a: "b" } } },
      "400 spec.selector.names: Forbidden: may not be set together with matchLabels or matchExpressions",
    ],
    ["17: names twice", { selector: { names: ["a", "b", "a"] } }, '400 spec.selector.names[2]: Duplicate value: "a"'],
    [
      "17: both selectors",
      { selector: {}, podSelector: {} },
      "400 spec.podSelector: Forbidden: may not be set together with spec.selector",
    ],
    [
      "an invalid selector",
      { selector: { matchExpressions: [{ key: "a", operator: "Is" }] } },
      '400 spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
    ],
    ["an invalid podSelector", { podSelector: { matchLabels: { a: "b c" } } }, "400 spec.podSelector.matchLabels: Invalid value"],
    ["selectors", { selector: { names: ["a"] } }, ""],
    ["a podSelector", { podSelector: { matchLabels: { a: "b" } } }, ""],
    ["17: a percentage", { parallelism: "50%" }, '400 spec.parallelism: Invalid value: "50%": must be a number of nodes, not a percentage'],
    ["17: below 0", { parallelism: "-1" }, '400 spec.parallelism: Invalid value: "-1": must be an integer greater than or equal to 0'],
    ["below 0", { parallelism: -1 }, "400 spec.parallelism: Invalid value: -1: must be an integer greater than or equal to 0"],
    ["no number", { parallelism: "x" }, '400 spec.parallelism: Invalid value: "x": must be an integer greater than or equal to 0'],
    ["17: a text", { parallelism: "50" }, ""],
    ["17: 0", { parallelism: 0 }, ""],
    [
      "18: a deadline below the timeout",
      always({ activeDeadlineSeconds: 300 }),
      "400 spec.completionPolicy.activeDeadlineSeconds: Invalid value: 300: must be greater than or equal to spec.pullPolicy.timeoutSeconds (600)",
    ],
    ["18: as long as the timeout", always({ activeDeadlineSeconds: 600 }), ""],
    [
      "18: Never with a TTL",
      { completionPolicy: { type: "Never", ttlSecondsAfterFinished: 1 } },
      "400 spec.completionPolicy.ttlSecondsAfterFinished: Forbidden: may only be set when type is Always",
    ],
    [
      "Never with a deadline",
      { completionPolicy: { type: "Never", activeDeadlineSeconds: 1 } },
      "400 spec.completionPolicy.activeDeadlineSeconds: Forbidden: may only be set when type is Always",
    ],
    [
      "another type",
      { completionPolicy: { type: "Often" } },
      '400 spec.completionPolicy.type: Unsupported value: "Often": supported values: "Always", "Never"',
    ],
    ["no image", { image: "" }, "400 spec.image: Required value: an image to pull"],
    ["no reference", { image: "UPPER/case" }, '400 spec.image: Invalid value: "UPPER/case": must be an image reference such as nginx:1.25'],
  ])("%s", (_, spec, expected) => {
    for (const version of ["v1alpha1", "v1beta1"]) {
      const said = refusal("imagepulljob", { image: "nginx:1", ...spec }, { version });
      if (expected === "") expect(said).toBe("");
      else expect(said).toStartWith(expected);
    }
  });

  test.each<[string, Body, Body, string]>([
    ["added", {}, { pullSecrets: ["a"] }, "403"],
    ["removed", { pullSecrets: ["a"] }, {}, "403"],
    ["changed", { pullSecrets: ["a"] }, { pullSecrets: ["b"] }, "403"],
    ["the same", { pullSecrets: ["a"] }, { pullSecrets: ["a"] }, ""],
    ["absent and empty", {}, { pullSecrets: [] }, ""],
    ["parallelism", { parallelism: 1 }, { parallelism: 5 }, ""],
  ])("19: an update, pull secrets %s", (_, before, after, expected) => {
    const said = refusal("imagepulljob", { image: "nginx:1", ...after }, { operation: "UPDATE", oldSpec: { image: "nginx:1", ...before } });
    expect(said.slice(0, 3)).toBe(expected);
  });
});

describe("ImageListPullJob", () => {
  const list = (count: number) => Array.from({ length: count }, (_, index) => `app-${index}:v1`);
  test("what is filled in", () => {
    expect(filled("imagelistpulljob", { spec: { images: ["a"] } }, { version: "v1alpha1" })).toEqual({
      metadata: {},
      spec: { images: ["a"], completionPolicy: { type: "Always" }, pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 } },
    } as unknown as KubeObject);
  });
  test.each<[string, Body, string]>([
    ["images", { images: ["nginx", "nginx:latest"] }, ""],
    ["255 images", { images: list(255) }, ""],
    ["40: 256 images", { images: list(256) }, "400 spec.images: Too many: 256: must have at most 255 items"],
    ["40: twice the same", { images: ["a:1", "a:1"] }, '400 spec.images[1]: Duplicate value: "a:1"'],
    ["40: none", { images: [] }, "400 spec.images: Required value: at least one image"],
    ["40: no reference", { images: ["a:1", "B"] }, '400 spec.images[1]: Invalid value: "B": must be an image reference such as nginx:1.25'],
    ["a percentage", { parallelism: "5%" }, "400 spec.parallelism"],
    [
      "a deadline its jobs could not have",
      { completionPolicy: { activeDeadlineSeconds: 1 } },
      "400 spec.completionPolicy.activeDeadlineSeconds",
    ],
    [
      "Never with a deadline",
      { completionPolicy: { type: "Never", activeDeadlineSeconds: 1000 } },
      "400 spec.completionPolicy.activeDeadlineSeconds",
    ],
  ])("%s", (_, spec, expected) => {
    const said = refusal("imagelistpulljob", { images: ["a:1"], ...spec });
    if (expected === "") expect(said).toBe("");
    else expect(said).toStartWith(expected);
  });
  test("one that has a short deadline already may change otherwise", () => {
    const spec = { images: ["a:1"], completionPolicy: { activeDeadlineSeconds: 1 } };
    expect(refusal("imagelistpulljob", spec, { operation: "UPDATE", oldSpec: spec })).toBe("");
  });
});

describe("whatever comes", () => {
  const field = fc.constantFrom(
    "metadata", "spec", "status", "images", "image", "tags", "tag", "pullPolicy", "selector", "podSelector", "names", "matchLabels",
    "matchExpressions", "parallelism", "completionPolicy", "type", "pullSecrets", "finalizers", "imageStatuses", "nginx", "__proto__",
  ); // biome-ignore format: a list of words
  const { anything } = fc.letrec((tie) => ({
    anything: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(null, "", "x", 0, -1, 1.5, true, "nginx:1", "50%"),
      tie("list"),
      tie("object"),
    ),
    list: fc.array(tie("anything"), { maxLength: 4 }),
    object: fc.dictionary(field, tie("anything"), { maxKeys: 6 }),
  }));
  // The frame sees to it that there is metadata.
  const anyObject = fc
    .tuple(fc.dictionary(field, anything, { maxKeys: 6 }), fc.dictionary(field, anything, { maxKeys: 3 }))
    .map(([object, metadata]) => ({ ...object, metadata }));
  const kind = fc.constantFrom("nodeimage", "imagepulljob", "imagelistpulljob");
  const operation = fc.constantFrom<Operation>("CREATE", "UPDATE", "DELETE");

  test("any JSON gets an answer, and what is filled in is not filled in again", () => {
    fc.assert(
      fc.property(kind, anyObject, anyObject, operation, fc.constantFrom("v1alpha1", "v1beta1"), (of, object, old, op, version) => {
        const asked = { operation: op, version, old };
        const before = JSON.stringify(object);
        const first = review("mutate", of, object, asked);
        expect(first.allowed).toBe(true);
        const once = first.allowed ? (first.object ?? object) : object;
        const second = review("mutate", of, once, asked);
        expect(second.allowed && second.object !== undefined ? second.object : once).toEqual(once as object);
        const verdict = review("validate", of, once, asked);
        if (!verdict.allowed) expect([400, 403]).toContain(verdict.code);
        expect(JSON.stringify(object)).toBe(before);
      }),
      { numRuns: 300 },
    );
  });
});
