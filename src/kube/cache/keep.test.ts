import { expect, test } from "bun:test";
import type { Kind } from "../kind.ts";
import { configMaps, deployments, nodes, pods } from "../kinds.ts";
import type { KubeObject } from "../types.ts";
import { keepFor } from "./keep.ts";

const applied = "kubectl.kubernetes.io/last-applied-configuration";
const arrives = () =>
  ({
    metadata: {
      name: "a",
      uid: "u",
      resourceVersion: "1",
      creationTimestamp: "",
      annotations: { [applied]: "{}", mine: "x" },
      managedFields: [{}],
    },
    spec: { replicas: 1 },
    status: { images: [{ names: ["a"] }], phase: "x" },
  }) as KubeObject;

test.each<[string, Kind, boolean, object]>([
  [
    "a pod stays whole but for managedFields: it may be written back",
    pods as Kind,
    false,
    { annotations: { [applied]: "{}", mine: "x" }, rest: ["spec", "status"], images: true },
  ],
  [
    "what is only ever patched loses its manifest as text",
    deployments as Kind,
    false,
    { annotations: { mine: "x" }, rest: ["spec", "status"], images: true },
  ],
  ["a node loses its list of images", nodes as Kind, false, { annotations: { mine: "x" }, rest: ["spec", "status"], images: false }],
  ["metadata only", configMaps as Kind, true, { annotations: { mine: "x" }, rest: [], images: false }],
])("%s", (_, kind, metadataOnly, expected) => {
  const kept = keepFor(kind, metadataOnly)(arrives()) as KubeObject & { spec?: object; status?: { images?: object } };
  expect(kept).toMatchObject({ kind: kind.kind, metadata: { name: "a", uid: "u" } });
  expect(kept.metadata).not.toHaveProperty("managedFields");
  expect({
    annotations: kept.metadata.annotations,
    rest: Object.keys(kept).filter((key) => key === "spec" || key === "status"),
    images: kept.status?.images !== undefined,
  } as object).toEqual(expected);
});
