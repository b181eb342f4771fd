import { describe, expect, test } from "bun:test";
import type { KubeObject } from "../types.ts";
import { knownEvent } from "./known-event.ts";
import { Store } from "./store.ts";

const known: KubeObject = {
  metadata: { name: "web-1", namespace: "shop", uid: "u-1", resourceVersion: "100", creationTimestamp: "" },
};
const store = new Store<KubeObject>(() => {});
store.upsert(known);

/** As the API server writes it. */
const line = (metadata: object, type = "MODIFIED", kind = "Pod") =>
  JSON.stringify({ type, object: { kind, apiVersion: "v1", metadata, spec: {} } });
const metadata = { name: "web-1", generateName: "web-", namespace: "shop", uid: "u-1", resourceVersion: "100" };

describe("an event is an echo", () => {
  test.each<[string, string, number | undefined]>([
    ["of the version in the store", line(metadata), 100],
    ["of an older one", line({ ...metadata, resourceVersion: "99" }), 99],
    ["created", line(metadata, "ADDED"), 100],
    ["without generateName", line({ name: "web-1", namespace: "shop", uid: "u-1", resourceVersion: "7" }), 7],
    ["not: newer", line({ ...metadata, resourceVersion: "101" }), undefined],
    ["not: newer by length", line({ ...metadata, resourceVersion: "1000" }), undefined],
    ["not: a successor of the same name", line({ ...metadata, uid: "u-2" }), undefined],
    ["not: unknown", line({ ...metadata, name: "web-2" }), undefined],
    ["not: another namespace", line({ ...metadata, namespace: "other" }), undefined],
    ["not: a successor is gone", line({ ...metadata, uid: "u-2" }, "DELETED"), undefined],
    ["not: another one is gone", line({ ...metadata, name: "web-2" }, "DELETED"), undefined],
    ["not: a bookmark", line({ resourceVersion: "100", creationTimestamp: null }, "BOOKMARK"), undefined],
    ["not: an error", JSON.stringify({ type: "ERROR", object: { kind: "Status", apiVersion: "v1", metadata: {}, code: 410 } }), undefined],
    ["not: fields in another order", line({ uid: "u-1", name: "web-1", namespace: "shop", resourceVersion: "1" }), undefined],
    ["not: cut off", line(metadata).slice(0, 90), undefined],
  ])("%s", (_, text, version) => {
    expect(knownEvent(text, store)).toEqual(version === undefined ? undefined : { version });
  });
});

test("an event says that an object is gone, at a version of its own", () => {
  expect(knownEvent(line({ ...metadata, resourceVersion: "120" }, "DELETED"), store)).toEqual({ version: 120, gone: known });
});
