import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeReview, encodeVerdict } from "./review.ts";
import { reviewText } from "./testing/fixtures.ts";
import { allow, deny } from "./webhook.ts";

const request = {
  uid: "u1",
  kind: { group: "", version: "v1", kind: "Pod" },
  resource: { group: "", version: "v1", resource: "pods" },
  name: "web-0",
  namespace: "shop",
  operation: "CREATE",
  userInfo: { username: "alice", groups: ["dev", 7] },
  object: { metadata: { name: "web-0" } },
  oldObject: null,
  dryRun: null,
};
const decoded = (changes: object) => {
  const review = decodeReview(reviewText({ ...request, ...changes }));
  if (!review.ok) throw new Error(review.message);
  return review.request;
};
const answerTo = (text: string) => JSON.parse(text).response;

describe("decoding", () => {
  test.each([
    ["", "the body is empty"],
    ["{", "the body is not JSON"],
    ["[]", "the body is not a JSON object"],
    ["null", "the body is not a JSON object"],
    ['{"apiVersion":"v1","kind":"AdmissionReview"}', "apiVersion: want"],
    ['{"apiVersion":"admission.k8s.io/v1","kind":"Review"}', "kind: want AdmissionReview"],
    ['{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', "request: missing"],
    [reviewText({ uid: 1 }), "request.uid: missing"],
    [reviewText({ uid: "u", operation: "LIST" }), "request.operation: want"],
    [reviewText({ ...request, object: 3 }), "request.object: want an object"],
    [reviewText({ ...request, oldObject: { metadata: "x" } }), "request.oldObject: want an object"],
  ])("%s is refused: %s", (text, message) => {
    const review = decodeReview(text);
    expect(review.ok).toBe(false);
    expect(review.ok ? "" : review.message).toContain(message);
  });

  test("missing parts have their empty value", () => {
    expect(decoded({ name: undefined, namespace: undefined, userInfo: undefined, resource: undefined })).toMatchObject({
      name: "",
      namespace: "",
      subResource: undefined,
      oldObject: undefined,
      dryRun: false,
      resource: { group: "", version: "", resource: "" },
      userInfo: { username: "", groups: [] },
    });
    expect(decoded({}).userInfo.groups).toEqual(["dev"]);
  });

  test.each([
    [{ dryRun: true }, true, "as the request says"],
    [{ options: { dryRun: ["All"] } }, true, "as the options of the write say"],
    [{ options: { dryRun: [] } }, false, "an empty list says nothing"],
    [{ subResource: "eviction", object: { deleteOptions: { dryRun: ["All"] } } }, true, "as the options of the eviction say"],
    [{ object: { deleteOptions: { dryRun: ["All"] } } }, false, "only an eviction has those"],
  ])("%j dry run %p: %s", (changes, dryRun) => {
    expect(decoded(changes).dryRun).toBe(dryRun);
  });

  test("any text gets a decision", () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":${json}}`),
    );
    fc.assert(fc.property(texts, (text) => typeof decodeReview(text).ok === "boolean"));
  });
});

describe("encoding", () => {
  test("the version and the uid come back", () => {
    const answer = JSON.parse(encodeVerdict("admission.k8s.io/v1beta1", 'u"1', allow));
    expect(answer).toEqual({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1beta1", response: { uid: 'u"1', allowed: true } });
  });

  test("a refusal carries code, message and reason", () => {
    const verdict = { ...deny(403, "no"), warnings: ["soon"] };
    expect(answerTo(encodeVerdict("admission.k8s.io/v1", "u", verdict))).toEqual({
      uid: "u",
      allowed: false,
      warnings: ["soon"],
      status: { status: "Failure", code: 403, message: "no", reason: "Forbidden" },
    });
    expect(answerTo(encodeVerdict("admission.k8s.io/v1", "u", deny(422, "x"))).status.reason).toBe("Invalid");
  });

  test("a change is a JSON Patch in base64", () => {
    const original = { metadata: { name: "ä" }, spec: { a: 1 } };
    const verdict = { allowed: true, object: { ...original, metadata: { ...original.metadata, labels: { "a/b~": "ö" } } } } as const;
    const { patch, patchType } = answerTo(encodeVerdict("admission.k8s.io/v1", "u", verdict, original));
    expect(patchType).toBe("JSONPatch");
    const expected = [{ op: "add", path: "/metadata/labels", value: { "a/b~": "ö" } }];
    expect(JSON.parse(Buffer.from(patch, "base64").toString("utf8"))).toEqual(expected);
  });

  test("no change is no patch", () => {
    const original = { metadata: { name: "a" } };
    expect(answerTo(encodeVerdict("admission.k8s.io/v1", "u", { allowed: true, object: structuredClone(original) }, original))).toEqual({
      uid: "u",
      allowed: true,
    });
    expect(answerTo(encodeVerdict("admission.k8s.io/v1", "u", { allowed: true, patch: [] }))).toEqual({ uid: "u", allowed: true });
  });
});
