/** What goes away in the middle of the node agent's work, and comes back: nothing is done twice, nothing is forgotten, every end has a reason. */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Rig, waitFor } from "../rig/index.ts";
import { buildImage } from "../rig/oci.ts";
import { conditionOf, containerOf, type House, house, Room, startTimeoutMs, stateOf } from "./house.ts";
import { pullJob } from "./pull-job.ts";

let home: House;
let rig: Rig;
beforeAll(async () => {
  home = await house();
  rig = home.rig;
  await waitFor("the node's NodeImage", () => rig.admin.get(`/apis/apps.kruise.io/v1beta1/nodeimages/${home.node.name}`));
}, startTimeoutMs);

const timeoutMs = 120_000;
const open = () => Room.open(rig);
const stubborn = { command: ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"] };

/** A job for an image that nobody has, whose layers take their time; answers how to wait for its end, and how often it was asked for. */
async function slowPull(room: Room, repository: string, blobDelayMs: number) {
  const layers = [0, 1].map((layer) => [{ path: `data-${layer}`, content: crypto.randomUUID().repeat(2_000) }]);
  rig.registry.push(repository, "v1", buildImage({ layers, entrypoint: ["/none"] }));
  rig.registry.rule(repository, { blobDelayMs });
  const job = await pullJob(home, room, repository, { timeoutSeconds: 60, backoffLimit: 1 });
  const asked = (what: "manifest" | "blob") =>
    rig.registry.pulls.filter((pull) => pull.repository === repository && pull.what === what).length;
  await waitFor("the pull to be under way", () => asked("manifest") > 0);
  return {
    asked,
    hurry: () => rig.registry.rule(repository, undefined),
    completed: () => job.completed(90_000),
  };
}

describe("the container runtime", () => {
  test(
    "crashes in the middle of a pull and of a stop: both are taken up again, and the agent runs on",
    async () => {
      const room = await open();
      await room.pod("p", [room.app("app", stubborn), room.app("other")]);
      const pull = await slowPull(room, "cut-short", 5_000);
      await room.request("r", "p", ["app"], { strategy: { terminationGracePeriodSeconds: 6 } });
      await room.seeEvents("p", "Killing", "kruise-daemon-crr");
      const { pid } = home.daemon.process;
      await home.node.crashContainerd(async () => pull.hurry());
      const [status, request] = await Promise.all([pull.completed(), room.completed("r", 90_000)]);
      // That it was away is no failed attempt, of which this job has two.
      expect(status).toMatchObject({ succeeded: 1, failed: 0 });
      expect(stateOf(request, "app")).toMatchObject({ phase: "Succeeded", isKilled: true });
      const pod = await room.now("p");
      expect([containerOf(pod, "app").restartCount, containerOf(pod, "other").restartCount]).toEqual([1, 0]);
      expect([home.daemon.process.running(), home.daemon.process.pid]).toEqual([true, pid]);
      expect((await fetch(`${home.daemon.healthUrl}/healthz`)).status).toBe(200);
    },
    timeoutMs,
  );
});

describe("the kubelet", () => {
  test(
    "is away while a container is stopped: the request waits for it, and ends well",
    async () => {
      const room = await open();
      await room.pod("p", [room.app("app"), room.app("other")]);
      await home.node.stopKubelet();
      await room.request("r", "p", ["app"], { strategy: { minStartedSeconds: 1 } });
      // Nobody starts another one yet; the agent does not take that for a reason to stop anything else, or again.
      await room.seeRequest("r", "to have stopped the container", (request) => stateOf(request, "app")?.isKilled);
      await room.seeEvents("p", "Killing", "kruise-daemon-crr");
      expect((await room.requestNow("r"))?.status?.phase).toBe("Recreating");
      await home.node.startKubelet();
      const request = await room.completed("r", 60_000);
      expect(stateOf(request, "app")).toMatchObject({ phase: "Succeeded", isKilled: true });
      const pod = await room.seePod("p", "to be ready", (now) => conditionOf(now, "Ready")?.status === "True");
      expect([containerOf(pod, "app").restartCount, containerOf(pod, "other").restartCount]).toEqual([1, 0]);
    },
    timeoutMs,
  );
});

describe("the API server", () => {
  test(
    "is away while a container is stopped and an image is pulled: what was done is told afterwards, once",
    async () => {
      const room = await open();
      await room.pod("p", [room.app("app", stubborn)]);
      const pull = await slowPull(room, "untold", 2_000);
      await room.request("r", "p", ["app"], { strategy: { terminationGracePeriodSeconds: 4 } });
      await room.seeEvents("p", "Killing", "kruise-daemon-crr");
      const blobs = () => pull.asked("blob");
      await rig.plane.restartApiserver(async () => {
        // Both come to their end meanwhile.
        await waitFor("the layers to be fetched", () => blobs() >= 2);
        await Bun.sleep(5_000);
      });
      const [status, request] = await Promise.all([pull.completed(), room.completed("r", 90_000)]);
      expect(status).toMatchObject({ succeeded: 1, failed: 0 });
      expect(pull.asked("manifest")).toBe(1);
      expect(stateOf(request, "app")).toMatchObject({ phase: "Succeeded", isKilled: true });
      expect(containerOf(await room.now("p"), "app").restartCount).toBe(1);
      expect(home.daemon.process.running()).toBe(true);
    },
    timeoutMs,
  );
});
