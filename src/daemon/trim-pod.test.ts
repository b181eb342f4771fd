import { expect, test } from "bun:test";
import type { Pod } from "../kube/types.ts";
import { trimPod } from "./trim-pod.ts";

test("what the daemon needs stays, the rest goes, and the object that came is not changed", () => {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "p",
      namespace: "shop",
      uid: "u",
      resourceVersion: "7",
      creationTimestamp: "2025-01-01T00:00:00Z",
      labels: { a: "b" },
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": "x".repeat(1000), mine: "1" },
      finalizers: ["f"],
    },
    spec: {
      nodeName: "n",
      volumes: [{ name: "v" }],
      containers: [
        {
          name: "app",
          image: "app:v1",
          resources: { limits: { cpu: "1" } },
          env: [
            { name: "A", value: "1" },
            { name: "B", valueFrom: { fieldRef: { fieldPath: "metadata.labels['a']" } } },
          ],
          lifecycle: { preStop: { sleep: { seconds: 1 } }, postStart: {} },
          volumeMounts: [{ name: "v", mountPath: "/v" }],
        },
      ],
    },
    status: {
      phase: "Running",
      podIP: "10.0.0.1",
      conditions: [{ type: "Ready", status: "True", message: "m" }],
      containerStatuses: [
        { name: "app", ready: true, restartCount: 1, image: "app:v1", imageID: "i", containerID: "c://1", state: { running: {} } },
      ],
    },
  } as unknown as Pod;
  const before = structuredClone(pod);
  const kept = trimPod(pod) as Pod;
  expect(pod).toEqual(before);
  expect(kept.metadata).toMatchObject({ name: "p", uid: "u", resourceVersion: "7", labels: { a: "b" }, annotations: { mine: "1" } });
  expect(Object.keys(kept.metadata.annotations ?? {})).toEqual(["mine"]);
  expect(kept.spec).toEqual({
    nodeName: "n",
    containers: [
      {
        name: "app",
        env: [{ name: "B", valueFrom: { fieldRef: { fieldPath: "metadata.labels['a']" } } }],
        lifecycle: { preStop: { sleep: { seconds: 1 } } },
      },
    ],
  });
  expect(kept.status?.containerStatuses).toEqual([
    { name: "app", ready: true, restartCount: 1, image: "", imageID: "", containerID: "c://1", state: { running: {} } },
  ]);
});
