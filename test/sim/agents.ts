/** Node agents that nobody runs: they pull images and recreate containers as far as the API shows it, each at its own pace; some never answer. */
import type { ContainerRecreateRequest } from "../../src/api/containerrecreaterequest.ts";
import type { NodeImage, NodeImageImageStatus, NodeImageTagStatus } from "../../src/api/nodeimage.ts";
import { formatTime } from "../../src/kube/time.ts";
import type { KubeObject } from "../../src/kube/types.ts";
import { imagesOf, isOver, statusOf, tagsOf, versionOf } from "../../src/workload/images/tasks.ts";
import type { World } from "./world.ts";

const agent = "kruise-daemon";
const lookMs = 250;
const group = "/apis/apps.kruise.io/v1beta1";

/** Wakes `look` a while after each change of the kind, and as long as it asks to be woken again. */
function follow(world: World, plural: string, look: () => boolean): void {
  let armed = false;
  const arm = () => {
    if (armed) return;
    armed = true;
    world.env.after(lookMs, () => {
      armed = false;
      if (look()) arm();
    });
  };
  world.sandbox.onWrite(({ resource }) => {
    if (resource.kind.plural === plural) arm();
  });
  arm();
}

function writeStatus(world: World, plural: string, { metadata }: KubeObject, status: object): void {
  const path = metadata.namespace === undefined ? `${group}/${plural}` : `${group}/namespaces/${metadata.namespace}/${plural}`;
  void world.ask(
    "PATCH",
    `${path}/${metadata.name}/status`,
    { metadata: { resourceVersion: metadata.resourceVersion }, status },
    "merge",
    agent,
  );
}

/** Images whose tag begins with "bad" fail, "slow" ones take long, those of nodes that are down are not heard of. */
export function pullingAgents(world: World): void {
  const dice = world.dice("agents/pull");
  const begun = new Map<string, number>();
  const work = (nodeImage: NodeImage): boolean => {
    const imageStatuses: Record<string, NodeImageImageStatus> = {};
    let isNews = false;
    let waits = false;
    for (const [image, entry] of imagesOf(nodeImage)) {
      const tags = tagsOf(entry).map((task): NodeImageTagStatus => {
        const known = statusOf(nodeImage, image, task);
        if (known !== undefined && isOver(known)) return known as NodeImageTagStatus;
        const version = versionOf(task);
        const key = `${nodeImage.metadata.name} ${image}:${task.tag} ${version}`;
        const doneMs = begun.get(key) ?? world.env.monotonicMs() + (task.tag.startsWith("slow") ? 8_000 : 300 + dice.upTo(1_500));
        begun.set(key, doneMs);
        const base = { tag: task.tag, ...(version === 0 ? {} : { version }) };
        if (world.env.monotonicMs() < doneMs) {
          waits = true;
          isNews ||= known === undefined;
          return (known as NodeImageTagStatus | undefined) ?? { ...base, phase: "Pulling", startTime: formatTime(world.env.nowMs()) };
        }
        isNews = true;
        const completionTime = formatTime(world.env.nowMs());
        return task.tag.startsWith("bad")
          ? { ...base, phase: "Failed", completionTime, message: "not found" }
          : { ...base, phase: "Succeeded", progress: 100, completionTime };
      });
      if (tags.length > 0) imageStatuses[image] = { tags };
    }
    const gone = Object.keys(nodeImage.status?.imageStatuses ?? {}).filter((image) => imageStatuses[image] === undefined);
    if (isNews || gone.length > 0) {
      const cleared = Object.fromEntries(gone.map((image) => [image, null]));
      writeStatus(world, "nodeimages", nodeImage, {
        desired: Object.keys(imageStatuses).length,
        imageStatuses: { ...imageStatuses, ...cleared },
      });
      return true;
    }
    return waits;
  };
  follow(world, "nodeimages", () => {
    let again = false;
    for (const nodeImage of world.list<NodeImage>("nodeimages.apps.kruise.io")) again = work(nodeImage) || again;
    return again;
  });
}

/** What the agent asks of the container runtime: the simulated kubelet reads it off the pod. */
function stop(world: World, { metadata, spec }: ContainerRecreateRequest): void {
  const script = spec.containers.map(({ name }) => `${name}:dead@0`).join(",");
  const path = `/api/v1/namespaces/${metadata.namespace}/pods/${spec.podName}`;
  void world.ask("PATCH", path, { metadata: { annotations: { "sandbox.kruise.io/probes": script } } }, "merge", agent);
}

/** Requests get on one step at a time. One in eight is never taken notice of. @param stops whether their containers end, which shows in pods that are not restarted */
export function recreatingAgents(world: World, stops = false): void {
  const dice = world.dice("agents/recreate");
  const due = new Map<string, number>();
  const deaf = new Set<string>();
  const work = (request: ContainerRecreateRequest): boolean => {
    const { uid } = request.metadata;
    if (request.status?.completionTime !== undefined || deaf.has(uid)) return false;
    const dueMs = due.get(uid);
    if (dueMs === undefined) {
      if (dice.chance(0.12)) deaf.add(uid);
      due.set(uid, world.env.monotonicMs() + dice.upTo(2_000));
      return true;
    }
    if (world.env.monotonicMs() < dueMs) return true;
    due.set(uid, world.env.monotonicMs() + 500 + dice.upTo(2_000));
    const names = request.spec.containers.map(({ name }) => name);
    if (request.status?.phase !== "Recreating") writeStatus(world, "containerrecreaterequests", request, { phase: "Recreating" });
    else {
      const completionTime = formatTime(world.env.nowMs());
      const containerRecreateStates = names.map((name) => ({ name, phase: "Succeeded", isKilled: true }));
      writeStatus(world, "containerrecreaterequests", request, { phase: "Completed", completionTime, containerRecreateStates });
      if (stops) stop(world, request);
    }
    return true;
  };
  follow(world, "containerrecreaterequests", () => {
    let again = false;
    for (const request of world.list<ContainerRecreateRequest>("containerrecreaterequests.apps.kruise.io")) again = work(request) || again;
    return again;
  });
}
