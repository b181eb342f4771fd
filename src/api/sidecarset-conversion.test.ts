import { expect, test } from "bun:test";
import type { KubeObject } from "../kube/types.ts";
import { sidecarSetConversion as conversion } from "./sidecarset-conversion.ts";

const set = (version: string, spec: object, labels?: Record<string, string>): KubeObject =>
  ({
    apiVersion: `apps.kruise.io/${version}`,
    kind: "SidecarSet",
    metadata: { name: "proxy", uid: "1", resourceVersion: "7", creationTimestamp: "2026-01-01T00:00:00Z", ...(labels ? { labels } : {}) },
    spec,
  }) as KubeObject;
const version = "apps.kruise.io/sidecarset-custom-version";
const containers = [{ name: "envoy", image: "envoy:1", future: { field: true }, resourcesPolicy: { targetContainersMode: "sum" } }];
const inNamespace = { matchLabels: { "kubernetes.io/metadata.name": "ns-1" } };

test.each([
  [{ containers }, undefined, { containers }, undefined, "containers travel untouched"],
  [{ namespace: "ns-1" }, undefined, { namespaceSelector: inNamespace }, undefined, "a namespace is a selector"],
  [
    { namespace: "ns-1", namespaceSelector: { matchLabels: { a: "b" } } },
    undefined,
    { namespaceSelector: inNamespace },
    undefined,
    "namespace wins",
  ],
  [{ namespace: "", namespaceSelector: {} }, undefined, { namespaceSelector: {} }, undefined, "no namespace"],
  [{}, { [version]: "v2", app: "x" }, { customVersion: "v2" }, { app: "x" }, "the label becomes the field"],
  [{}, { [version]: "v2" }, { customVersion: "v2" }, undefined, "and no empty labels stay"],
])("v1alpha1 %j with labels %j is v1beta1 %j with labels %j: %s", (spec, labels, expected, expectedLabels) => {
  expect(conversion.toStorage(set("v1alpha1", spec, labels as never))).toEqual(set("v1beta1", expected, expectedLabels));
});

test.each([
  [
    { containers, namespaceSelector: inNamespace },
    undefined,
    { containers, namespaceSelector: inNamespace },
    undefined,
    "a selector stays one",
  ],
  [{ customVersion: "v2" }, { app: "x" }, {}, { app: "x", [version]: "v2" }, "the field becomes the label"],
  [{}, { [version]: "v1" }, {}, { [version]: "v1" }, "a label is a label"],
])("v1beta1 %j with labels %j is v1alpha1 %j with labels %j: %s", (spec, labels, expected, expectedLabels) => {
  expect(conversion.fromStorage(set("v1beta1", spec, labels as never))).toEqual(set("v1alpha1", expected, expectedLabels as never));
});
