/** Clocks that are an hour off: the node's (agent, kubelet, runtime) or the manager's. What was asked for happens, and as soon as it should. */
import { expect, test } from "bun:test";
import { parseTime } from "../../kube/time.ts";
import { FakeNode, until } from "../testing/fake-node.ts";
import { recreatePart } from "./index.ts";

const hourMs = 3_600_000;
const container = { name: "app", image: "app:v1" };

test.concurrent.each([
  ["the manager's is ahead", { managerAheadMs: hourMs }],
  ["the manager's is behind", { managerAheadMs: -hourMs }],
  ["the node's is ahead", { nodeAheadMs: hourMs }],
  ["the node's is behind", { nodeAheadMs: -hourMs }],
  ["the agent's alone is ahead", { agentAheadMs: hourMs }],
  ["the agent's alone is behind", { agentAheadMs: -hourMs }],
  ["both are off", { nodeAheadMs: -hourMs, managerAheadMs: hourMs }],
])(
  "%s",
  async (_, skew) => {
    const node = await FakeNode.start({ parts: [recreatePart], ...skew });
    try {
      node.pod("p", [container]);
      const startMs = performance.now();
      const strategy = { unreadyGracePeriodSeconds: 1, minStartedSeconds: 1 };
      node.request("r", "p", ["app"], { strategy, activeDeadlineSeconds: 30, ttlSecondsAfterFinished: 2 });
      const { status } = await until("the request to complete", () => {
        const now = node.requestNow("r");
        return now.status?.phase === "Completed" && now;
      });
      const tookMs = performance.now() - startMs;
      expect(status).toMatchObject({ message: "", containerRecreateStates: [{ name: "app", phase: "Succeeded", isKilled: true }] });
      expect(node.podNow("p").status?.containerStatuses?.[0]?.restartCount).toBe(1);
      // A second each of grace and of running, and times are in whole seconds.
      expect(tookMs).toBeGreaterThan(1000);
      expect(tookMs).toBeLessThan(10_000);
      expect(Math.abs((parseTime(status?.completionTime) ?? 0) - Date.now())).toBeLessThan(4000);
      await until("the request to expire", () => node.requestNow("r") === undefined, 10_000);
      expect(performance.now() - startMs - tookMs).toBeGreaterThan(500);
    } finally {
      await node.stop();
    }
  },
  40_000,
);
