/** SidecarSet on a real node: what the containers see, and whom they answer. Numbers are those of the SidecarSet acceptance list. */
import { beforeAll, describe, expect, test } from "bun:test";
import type { SidecarSet } from "../../src/api/sidecarset.ts";
import type { Pod } from "../../src/kube/types.ts";
import { busyboxLayer, scriptImage } from "../rig/images.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { containerOf, containersOf, house, Room, startTimeoutMs } from "./house.ts";

let rig: Rig;
beforeAll(async () => {
  ({ rig } = await house());
  await pushMesh(rig);
}, startTimeoutMs);

type Loose = Record<string, unknown>;
const mainPort = 8080;
const sidePort = 8090;

/**
 * `mesh`: `v1`, `v2`, `v3` answer with their version on port 8091, or on 8092 while their twin has that, and at /versions with what they were told
 * of each other; `empty` does nothing.
 */
async function pushMesh({ registry }: Rig): Promise<void> {
  const base = await busyboxLayer();
  const wait = "trap 'exit 0' TERM INT\nwhile :; do sleep 3600 & wait $!; done\n";
  for (const version of ["v1", "v2", "v3"]) {
    const script = `mkdir -p /www
echo "${version}" > /www/index.html
echo "$SIDECARSET_VERSION $SIDECARSET_VERSION_ALT" > /www/versions
(httpd -f -p 8091 -h /www || httpd -f -p 8092 -h /www) &
${wait}`;
    registry.push("mesh", version, scriptImage(base, script));
  }
  registry.push("mesh", "empty", scriptImage(base, wait));
}

const setPath = (name: string) => `/apis/apps.kruise.io/v1beta1/sidecarsets/${name}`;

/** A room, and a SidecarSet of the room's name for its pods. */
async function withSet(spec: (room: Room) => Loose): Promise<Room> {
  const room = await Room.open(rig);
  const metadata = { name: room.namespace };
  const selector = { matchLabels: { app: room.namespace } };
  await rig.admin.create("/apis/apps.kruise.io/v1beta1/sidecarsets", {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "SidecarSet",
    metadata,
    spec: { selector, ...spec(room) },
  });
  await settled(room, [0, 0, 0]);
  return room;
}

/** Waits until the manager has seen the newest spec and counts so: matched, updated, ready. */
function settled({ namespace }: Room, counts: readonly number[]): Promise<SidecarSet> {
  return waitFor(
    `counts ${counts} of SidecarSet ${namespace}`,
    async () => {
      const set = await rig.admin.must<SidecarSet>("GET", setPath(namespace));
      const { observedGeneration, matchedPods, updatedPods, readyPods } = set.status ?? {};
      const isSettled = observedGeneration === set.metadata.generation && [matchedPods, updatedPods, readyPods].join() === counts.join();
      return isSettled && set;
    },
    { timeoutMs: 45_000 },
  );
}

async function setImage({ namespace }: Room, image: string): Promise<void> {
  const { spec } = await rig.admin.must<SidecarSet>("GET", setPath(namespace));
  await rig.admin.patch(setPath(namespace), { spec: { containers: [{ ...spec.containers?.[0], image }] } }, "merge");
}

async function podOf(room: Room): Promise<Pod> {
  await rig.admin.create(`/api/v1/namespaces/${room.namespace}/pods`, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", labels: { app: room.namespace } },
    spec: {
      nodeSelector: { type: "real" },
      terminationGracePeriodSeconds: 2,
      containers: [room.app("main", { env: [{ name: "PORT", value: String(mainPort) }] })],
    },
  });
  return room.seePod("p", "to run", (pod) => containersOf(pod).length > 0 && containersOf(pod).every(({ ready }) => ready), 45_000);
}

/** What a container answers; undefined when nobody listens. */
async function ask(pod: Pod, port: number, path = "/"): Promise<string | undefined> {
  const url = `http://${pod.status?.podIP}:${port}${path}`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(1_000), keepalive: false }).catch(() => undefined);
  return answer?.ok === true ? (await answer.text()).trim() : undefined;
}
const answers = (pod: Pod, port: number, text: string) => waitFor(`${text} on port ${port}`, async () => (await ask(pod, port)) === text);

const side = (room: Room, more: Loose = {}): Loose => room.app("side", { env: [{ name: "PORT", value: String(sidePort) }], ...more });

describe("in place", () => {
  test.concurrent("21: a new image restarts the sidecar in the same pod, and nobody else", async () => {
    const room = await withSet((of) => ({ containers: [side(of)] }));
    const before = await podOf(room);
    await answers(before, sidePort, "v1");
    expect(await ask(before, sidePort, "/env")).toContain("IS_INJECTED=true");
    await setImage(room, rig.registry.image("app", "v2"));
    await settled(room, [1, 1, 1]);
    const after = await room.now("p");
    expect([after.metadata.uid, after.status?.podIP]).toEqual([before.metadata.uid, before.status?.podIP]);
    await answers(after, sidePort, "v2");
    expect(await ask(after, mainPort)).toBe("v1");
    expect(containerOf(after, "main").containerID).toBe(containerOf(before, "main").containerID!);
    expect(containerOf(after, "main").restartCount).toBe(0);
    expect(containerOf(after, "side").containerID).not.toBe(containerOf(before, "side").containerID!);
    expect(containerOf(after, "side").restartCount).toBe(1);
    expect(containerOf(after, "side").imageID).not.toBe(containerOf(before, "side").imageID);
  });

  test.concurrent("another tag of the same image arrives too; a version that crashes is replaced", async () => {
    const room = await withSet((of) => ({ containers: [side(of)] }));
    await podOf(room);
    await setImage(room, rig.registry.image("app", "v1-same"));
    await settled(room, [1, 1, 1]);
    expect(containerOf(await room.now("p"), "side").restartCount).toBe(1);
    await setImage(room, rig.registry.image("app", "broken"));
    await settled(room, [1, 1, 0]);
    await room.seePod("p", "to crash", (pod) => containerOf(pod, "side").state?.waiting?.reason === "CrashLoopBackOff");
    await setImage(room, rig.registry.image("app", "v3"));
    await settled(room, [1, 1, 1]);
    await answers(await room.now("p"), sidePort, "v3");
    expect(containerOf(await room.now("p"), "main").restartCount).toBe(0);
  });
});

describe("hot upgrade", () => {
  test.concurrent("28: somebody answers all the time, first the old twin, then the new", async () => {
    const image = (tag: string) => rig.registry.image("mesh", tag);
    const upgradeStrategy = { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: image("empty") };
    const room = await withSet(() => ({ containers: [{ name: "mesh", image: image("v1"), upgradeStrategy }] }));
    const pod = await podOf(room);
    await answers(pod, 8091, "v1");
    expect(await ask(pod, 8091, "/versions")).toBe("1 0");
    await settled(room, [1, 1, 1]);

    const seen: string[] = [];
    let isWatching = true;
    const watching = (async () => {
      while (isWatching) {
        const now = (await Promise.all([ask(pod, 8091), ask(pod, 8092)])).filter((answer) => answer !== undefined).join("+");
        if (now !== seen.at(-1)) seen.push(now);
        await Bun.sleep(20);
      }
    })();
    await setImage(room, image("v2"));
    await settled(room, [1, 1, 1]);
    await waitFor("only v2 to answer", () => seen.at(-1) === "v2");
    isWatching = false;
    await watching;
    expect(seen).toEqual(["v1", "v1+v2", "v2"]);

    const after = await room.now("p");
    expect(after.spec.containers.map(({ name, image: has }) => [name, has])).toEqual([
      ["mesh-1", image("empty")],
      ["mesh-2", image("v2")],
      ["main", rig.registry.image("app", "v1")],
    ]);
    const [version, alt] = ((await ask(after, 8092, "/versions")) ?? "").split(" ");
    expect(Number(version)).toBeGreaterThan(1);
    expect(alt).toBe("1");
    expect(containerOf(after, "main").restartCount).toBe(0);
    expect([containerOf(after, "mesh-1").restartCount, containerOf(after, "mesh-2").restartCount]).toEqual([1, 1]);
    await room.seeEvents("p", "ResetContainerSucceed", "sidecarset-controller");

    // And the first twin again.
    await setImage(room, image("v3"));
    await settled(room, [1, 1, 1]);
    await answers(after, 8091, "v3");
    await waitFor("the second twin to rest", async () => (await ask(after, 8092)) === undefined);
  });
});

describe("init containers that keep running", () => {
  test.concurrent("serve before the pod's own, keep their image, and new pods get the new one", async () => {
    const room = await withSet((of) => ({
      initContainers: [side(of, { restartPolicy: "Always" })],
      updateStrategy: { type: "NotUpdate" },
    }));
    const before = await podOf(room);
    await settled(room, [1, 1, 1]);
    const [native] = before.status?.initContainerStatuses ?? [];
    expect(native).toMatchObject({ name: "side", ready: true, restartCount: 0 });
    const started = (time: string | null | undefined) => Date.parse(time ?? "");
    expect(started(native?.state?.running?.startedAt)).toBeLessThanOrEqual(started(containerOf(before, "main").state?.running?.startedAt));
    await answers(before, sidePort, "v1");
    const { spec } = await rig.admin.must<SidecarSet>("GET", setPath(room.namespace));
    const initContainers = [{ ...spec.initContainers?.[0], image: rig.registry.image("app", "v2") }];
    await rig.admin.patch(setPath(room.namespace), { spec: { initContainers } }, "merge");
    await settled(room, [1, 0, 1]);
    expect(await ask(before, sidePort)).toBe("v1");
    await rig.admin.delete(room.podPath("p"));
    await waitFor("the pod to be gone", async () => (await rig.admin.get(room.podPath("p"))) === undefined);
    await answers(await podOf(room), sidePort, "v2");
    await settled(room, [1, 1, 1]);
  });
});
