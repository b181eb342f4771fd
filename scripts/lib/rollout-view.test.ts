import { expect, test } from "bun:test";
import { describePods, progressBar } from "./rollout-view.ts";

test("pods come by name, one line each", () => {
  const pod = (name: string, ready: boolean) => ({
    metadata: { name, labels: { "pod-template-hash": "abc", "lifecycle.apps.kruise.io/state": "Normal" } },
    spec: { containers: [{ image: "nginx:1" }] },
    status: { conditions: [{ type: "Ready", status: ready ? "True" : "False" }], containerStatuses: [{ restartCount: 1 }] },
  });
  expect(describePods([pod("web-b", false), pod("web-a", true)])).toBe(
    [
      "  POD    REVISION  IMAGE    RESTARTS  STATE",
      "  web-a  abc       nginx:1  1         Normal, ready",
      "  web-b  abc       nginx:1  1         Normal",
    ].join("\n"),
  );
});

test.each([
  [0, 5, 0],
  [5, 5, 30],
  [2, 4, 15],
  [0, 0, 30],
])("%i of %i fills %i", (done, total, filled) =>
  expect(progressBar(done, total)).toContain(`[${"#".repeat(filled)}${".".repeat(30 - filled)}]`),
);
