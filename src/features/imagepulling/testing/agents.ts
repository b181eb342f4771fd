/** A cluster for tests of this room: nodes with simulated node agents, and objects as the webhooks leave them. */
import { gatesWith } from "../../../api/gates.ts";
import { type ImageListPullJob, imageListPullJobs } from "../../../api/imagelistpulljob.ts";
import { type ImagePullJob, type ImagePullJobSpec, imagePullJobs } from "../../../api/imagepulljob.ts";
import {
  type NodeImage,
  type NodeImageImageStatus,
  type NodeImageTag,
  type NodeImageTagStatus,
  nodeImages,
} from "../../../api/nodeimage.ts";
import type { Settings } from "../../../api/settings.ts";
import type { Controller } from "../../../engine/controller.ts";
import { type House, type HouseOptions, startHouse, testSettings, type World } from "../../../engine/testing/harness.ts";
import type { FakeEnv } from "../../../env/fake.ts";
import { keyOf } from "../../../kube/kind.ts";
import { nodes } from "../../../kube/kinds.ts";
import { formatTime } from "../../../kube/time.ts";
import type { Node, ObjectMeta } from "../../../kube/types.ts";
import { imagesOf, isOver, statusOf, statusTagsOf, tagOf, tagsOf, versionOf } from "../../../workload/images/tasks.ts";
import { fillImageListPullJob } from "../imagelistpulljob/admission.ts";
import { imageListPullJobController } from "../imagelistpulljob/controller.ts";
import { fillImagePullJob } from "../imagepulljob/admission.ts";
import { imagePullJobController } from "../imagepulljob/controller.ts";
import { nodeImageController } from "../nodeimage/controller.ts";
import { nodeImageCreator } from "../nodeimage/create.ts";

export const allControllers: readonly Controller[] = [
  nodeImageCreator,
  nodeImageController,
  imagePullJobController,
  imageListPullJobController,
];

export function pullSettings(overrides: Partial<Settings> = {}): Settings {
  return testSettings({ gates: gatesWith({ ImagePullJobGate: true }), ...overrides });
}

export function startPulling(options: HouseOptions = {}): Promise<House> {
  return startHouse(allControllers, { settings: pullSettings(), ...options });
}

export function addNode(world: World, name: string, metadata: Partial<ObjectMeta> = {}, readySinceMs = 0): Node {
  return world.add<Node>(nodes, {
    metadata: { name, ...metadata },
    status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime: formatTime(readySinceMs) }] },
  });
}

/** A node that has had its NodeImage for long. */
export function addReadyNode(world: World, name: string, labels?: Record<string, string>): NodeImage {
  const metadata = { name, ...(labels ? { labels } : {}) };
  addNode(world, name, metadata);
  return world.add<NodeImage>(nodeImages, { metadata: { ...metadata }, spec: {} });
}

export function jobDraft(
  name: string,
  spec: Partial<ImagePullJobSpec> & { readonly image: string },
  metadata: Partial<ObjectMeta> = {},
): ImagePullJob {
  const draft = { metadata: { namespace: "default", name, ...metadata }, spec: { completionPolicy: {}, ...spec } } as ImagePullJob;
  return fillImagePullJob(draft, { operation: "CREATE", resource: { group: "", version: "v1beta1", resource: "" } });
}

export function addJob(
  world: World,
  name: string,
  spec: Partial<ImagePullJobSpec> & { readonly image: string },
  metadata: Partial<ObjectMeta> = {},
): ImagePullJob {
  return world.add<ImagePullJob>(imagePullJobs, jobDraft(name, spec, metadata));
}

export function addListJob(world: World, name: string, spec: Partial<ImageListPullJob["spec"]>): ImageListPullJob {
  const draft = {
    metadata: { namespace: "default", name },
    spec: { completionPolicy: {}, images: [], ...spec },
  } as unknown as ImageListPullJob;
  return world.add<ImageListPullJob>(imageListPullJobs, fillImageListPullJob(draft));
}

export const jobKey = (name: string) => ({ namespace: "default", name });
export const nodeKey = (name: string) => ({ namespace: "", name });

export interface AgentsOptions {
  /** ms a pull takes on this node, and how it ends. */
  readonly pull: (node: string, image: string, tag: string) => { readonly tookMs: number; readonly failed?: string };
  /** ms between two looks of an agent at its NodeImage. */
  readonly intervalMs?: number;
}

/** ms that a pull lasts before the real agent tells that it has begun. */
const youngMs = 1_000;

/** Node agents that do as the real one does: say Pulling of what takes longer, then how it ended, and forget what is not wanted any more. */
export class Agents {
  /** Status writes by node. */
  readonly writes = new Map<string, number>();
  readonly #pulls = new Map<
    string,
    { readonly version: number; readonly tellMs: number; readonly doneMs: number; readonly failed?: string }
  >();

  constructor(
    private readonly env: FakeEnv,
    private readonly world: World,
    private readonly options: AgentsOptions,
  ) {
    this.#loop();
  }

  #loop(): void {
    this.env.after(this.options.intervalMs ?? 100, () => {
      for (const nodeImage of this.world.all<NodeImage>(nodeImages)) this.#look(nodeImage);
      this.#loop();
    });
  }

  #look(nodeImage: NodeImage): void {
    let isNew = false;
    const imageStatuses: Record<string, NodeImageImageStatus> = {};
    for (const [image, entry] of imagesOf(nodeImage)) {
      const tags = tagsOf(entry).flatMap((task) => {
        const known = statusOf(nodeImage, image, task);
        const next = isOver(known) ? (known as NodeImageTagStatus) : this.#work(nodeImage, image, task, known);
        isNew ||= next !== known;
        return next ?? [];
      });
      if (tags.length > 0) imageStatuses[image] = { tags };
    }
    for (const image of Object.keys(nodeImage.status?.imageStatuses ?? {}))
      for (const { tag } of statusTagsOf(nodeImage, image)) isNew ||= tagOf(nodeImage.spec.images?.[image], tag) === undefined;
    if (!isNew) return;
    const name = nodeImage.metadata.name;
    this.writes.set(name, (this.writes.get(name) ?? 0) + 1);
    this.world.edit<NodeImage>(nodeImages, keyOf(nodeImage), (object) => {
      object.status = { desired: 0, imageStatuses };
    });
  }

  #work(
    nodeImage: NodeImage,
    image: string,
    task: Readonly<NodeImageTag>,
    known: Readonly<NodeImageTagStatus> | undefined,
  ): NodeImageTagStatus | undefined {
    const key = `${nodeImage.metadata.name} ${image} ${task.tag}`;
    const version = versionOf(task);
    const nowMs = this.env.nowMs();
    let pull = this.#pulls.get(key);
    if (pull?.version !== version) {
      const { tookMs, failed } = this.options.pull(nodeImage.metadata.name, image, task.tag);
      pull = { version, tellMs: nowMs + youngMs, doneMs: nowMs + tookMs, failed };
      this.#pulls.set(key, pull);
    }
    const base = { tag: task.tag, ...(version === 0 ? {} : { version }) };
    if (nowMs < pull.doneMs && known !== undefined) return known as NodeImageTagStatus;
    if (nowMs < pull.doneMs) return nowMs < pull.tellMs ? undefined : { ...base, phase: "Pulling", startTime: formatTime(nowMs) };
    const completionTime = formatTime(nowMs);
    return pull.failed === undefined
      ? { ...base, phase: "Succeeded", progress: 100, completionTime }
      : { ...base, phase: "Failed", completionTime, message: pull.failed };
  }
}

/** Nodes on which a job has begun and nothing has ended yet, as the server has it. */
export function inFlight(world: World, job: ImagePullJob, image: string, tag: string): readonly string[] {
  return world
    .all<NodeImage>(nodeImages)
    .filter((nodeImage) => {
      const task = tagOf(nodeImage.spec.images?.[image], tag);
      return task?.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) === true && !isOver(statusOf(nodeImage, image, task));
    })
    .map(({ metadata }) => metadata.name);
}
