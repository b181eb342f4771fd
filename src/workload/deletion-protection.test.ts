import { expect, test } from "bun:test";
import type { Refusal } from "../admission/webhook.ts";
import { reviewDeletion } from "./deletion-protection.ts";
import { settingsWith } from "./testing/pods.ts";

function review(labels: object, replicas: number | undefined, more: { gate?: boolean; metadata?: object; oldObject?: unknown } = {}) {
  const refused: Refusal[] = [];
  const verdict = reviewDeletion(
    {
      operation: "DELETE",
      kind: { group: "apps.kruise.io", version: "v1beta1", kind: "CloneSet" },
      namespace: "shop",
      name: "web",
      userInfo: { username: "alice" },
      oldObject: ("oldObject" in more ? more.oldObject : { metadata: { labels, ...more.metadata }, spec: { replicas } }) as never,
    },
    {
      settings: { ...settingsWith({ ResourcesDeletionProtection: more.gate ?? true }) } as never,
      refused: (refusal) => refused.push(refusal),
    },
  );
  return { verdict, refused };
}
const key = "policy.kruise.io/delete-protection";

test.each<[string, object, number | undefined, Parameters<typeof review>[2], string | undefined]>([
  ["5: Always, even without replicas", { [key]: "Always" }, 0, {}, `forbidden by ResourcesProtectionDeletion for ${key}=Always`],
  [
    "5: Cascading with replicas",
    { [key]: "Cascading" },
    2,
    {},
    `forbidden by ResourcesProtectionDeletion for ${key}=Cascading and replicas 2>0`,
  ],
  ["5: Cascading scaled to 0", { [key]: "Cascading" }, 0, {}, undefined],
  ["Cascading that does not say", { [key]: "Cascading" }, undefined, {}, undefined],
  ["7: another spelling", { [key]: "cascading" }, 3, {}, undefined],
  ["no label", {}, 3, {}, undefined],
  ["10: the gate is off", { [key]: "Always" }, 3, { gate: false }, undefined],
  ["13: deleted already", { [key]: "Always" }, 3, { metadata: { deletionTimestamp: "2024-05-01T10:00:00Z" } }, undefined],
  ["an API server that sends no object", {}, 3, { oldObject: undefined }, undefined],
])("%s", (_, labels, replicas, more, message) => {
  const { verdict, refused } = review(labels, replicas, more);
  if (message === undefined) expect([verdict, refused]).toEqual([{ allowed: true }, []]);
  else {
    expect(verdict).toEqual({ allowed: false, code: 403, message });
    expect(refused).toEqual([{ event: "DeletionProtection", kind: "CloneSet", namespace: "shop", name: "web", userAgent: "alice" }]);
  }
});

test("an object that cannot be read", () => {
  expect(review({}, 1, { oldObject: "x" }).verdict).toMatchObject({ allowed: false, code: 400 });
});
