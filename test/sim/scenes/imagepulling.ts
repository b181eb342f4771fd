/** Jobs that pull images on nodes, and node agents that do it. */
import { imageListPullJobs } from "../../../src/api/imagelistpulljob.ts";
import { type ImagePullJob, imagePullJobs } from "../../../src/api/imagepulljob.ts";
import { type NodeImage, nodeImages } from "../../../src/api/nodeimage.ts";
import { imagePulling } from "../../../src/features/imagepulling/index.ts";
import { resourceName } from "../../../src/kube/kind.ts";
import { imagesOf, isOver, statusOf, tagsOf } from "../../../src/workload/images/tasks.ts";
import { pullingAgents } from "../agents.ts";
import { namespace } from "../cluster.ts";
import type { Dice } from "../dice.ts";
import { noStorm } from "../invariants/common.ts";
import type { Act, Scene, SceneKind } from "../scene.ts";
import { healNodes } from "../user.ts";
import type { Watcher, World } from "../world.ts";

const base = `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}`;
const ownImage = "job-";
const jobsOf = (world: World) => world.list<ImagePullJob>(resourceName(imagePullJobs), namespace);
const nodeImagesOf = (world: World) => world.list<NodeImage>(resourceName(nodeImages));

function scene(world: World, dice: Dice): Scene {
  let made = 0;
  const spec = (own: Dice) => ({
    completionPolicy: own.chance(0.8)
      ? { type: "Always", activeDeadlineSeconds: 120, ...(own.chance(0.4) ? { ttlSecondsAfterFinished: own.between(1, 20) } : {}) }
      : { type: "Never" },
    ...(own.chance(0.6) ? { parallelism: own.between(1, 2) } : {}),
    pullPolicy: { timeoutSeconds: 30, backoffLimit: 1 },
  });
  /** Half of them are of one job only. */
  const image = (own: Dice) =>
    `repo/${own.chance(0.5) ? `${ownImage}${made}` : own.pick(["a", "b"])}:${own.pick(["v", "v", "v", "bad", "slow"])}${own.between(1, 3)}`;
  const create = (own: Dice) => {
    made += 1;
    const metadata = { name: `job-${made}`, namespace };
    return world.ask("POST", `${base}/imagepulljobs`, {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "ImagePullJob",
      metadata,
      spec: { image: image(own), ...spec(own) },
    });
  };
  const createList = (own: Dice) => {
    made += 1;
    const metadata = { name: `list-${made}`, namespace };
    const images = [...new Set([image(own), image(own)])];
    return world.ask("POST", `${base}/imagelistpulljobs`, {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "ImageListPullJob",
      metadata,
      spec: { images, ...spec(own) },
    });
  };
  const act = (name: string, weight: number, run: (own: Dice) => Promise<unknown>): Act => ({
    name,
    weight,
    run: async (_world, own) => void (await run(own)),
  });
  const onSome = async (own: Dice, plural: string, run: (path: string) => Promise<unknown>) => {
    const all = world.list(plural === "imagepulljobs" ? resourceName(imagePullJobs) : resourceName(imageListPullJobs), namespace);
    if (all.length > 0) await run(`${base}/${plural}/${own.pick(all).metadata.name}`);
  };
  return {
    acts: [
      act("job", 8, create),
      act("list of images", 3, createList),
      act("other image", 3, (own) => onSome(own, "imagepulljobs", (path) => world.ask("PATCH", path, { spec: { image: image(own) } }))),
      act("delete job", 3, (own) => onSome(own, "imagepulljobs", (path) => world.ask("DELETE", path))),
      act("delete list", 1, (own) => onSome(own, "imagelistpulljobs", (path) => world.ask("DELETE", path))),
      act("delete node", 1, (own) => world.ask("DELETE", `/api/v1/nodes/node-${own.upTo(3)}`)),
    ],
    watchers: [parallelism(world), noStorm(world, () => 120)],
    async setUp() {
      pullingAgents(world);
      await create(dice);
    },
    settle: () => healNodes(world),
    problems: () => problemsOf(world),
  };
}

/** Nodes that a job has told to pull and that have not ended yet: never more than it allows. */
function parallelism(world: World): Watcher {
  return {
    name: "parallelism",
    wrote({ resource, before, after }, { manager }) {
      if (manager === undefined || resource.kind.plural !== "nodeimages" || after === undefined) return undefined;
      // Two leaders that disagree about which nodes there are begin with different ones.
      if (world.alive.length > 1) return undefined;
      const [was, is] = [ownersOf(before as NodeImage | undefined), ownersOf(after as unknown as NodeImage)];
      for (const job of jobsOf(world)) {
        const { uid, name } = job.metadata;
        const { parallelism: max } = job.spec;
        // Of images of several jobs, one begins anew what another has finished; and one that was changed leaves tasks of the one before.
        if (
          typeof max !== "number" ||
          !job.spec.image.startsWith(`repo/${ownImage}`) ||
          was.has(uid) ||
          !is.has(uid) ||
          job.metadata.generation !== 1
        )
          continue;
        const busy = nodeImagesOf(world).filter((nodeImage) => busyFor(nodeImage).has(uid)).length;
        if (busy > max) return `${manager.name} told ${after.metadata.name} for ${name}: ${busy} nodes are pulling, parallelism ${max}`;
      }
      return undefined;
    },
  };
}

/** Uids of the jobs that want something there. */
function ownersOf(nodeImage: NodeImage | undefined): ReadonlySet<string> {
  const tasks = nodeImage === undefined ? [] : imagesOf(nodeImage).flatMap(([, entry]) => tagsOf(entry));
  return new Set(tasks.flatMap((task) => (task.ownerReferences ?? []).flatMap(({ uid }) => (uid === undefined ? [] : [uid]))));
}

/** Uids of the jobs that have something under way there. */
function busyFor(nodeImage: NodeImage): ReadonlySet<string> {
  const uids = new Set<string>();
  for (const [image, entry] of imagesOf(nodeImage))
    for (const task of tagsOf(entry)) {
      const status = statusOf(nodeImage, image, task);
      if (status !== undefined && isOver(status)) continue;
      for (const owner of task.ownerReferences ?? []) if (owner.uid !== undefined) uids.add(owner.uid);
    }
  return uids;
}

function problemsOf(world: World): readonly string[] {
  const problems: string[] = [];
  const nodes = world.list("nodes").map(({ metadata }) => metadata.name);
  const known = new Set(nodeImagesOf(world).map(({ metadata }) => metadata.name));
  for (const name of nodes) if (!known.has(name)) problems.push(`node ${name} has no NodeImage`);
  for (const name of known) if (!nodes.includes(name)) problems.push(`NodeImage ${name} has no node`);
  const jobs = jobsOf(world);
  for (const { metadata, spec, status } of jobs) {
    const isEndless = spec.completionPolicy?.type === "Never";
    if (!isEndless && status?.completionTime === undefined) problems.push(`${metadata.name} has not ended`);
    const [done, desired] = [(status?.succeeded ?? 0) + (status?.failed ?? 0), status?.desired ?? 0];
    if (isEndless && done !== desired) problems.push(`${metadata.name}: ${done} of ${desired} nodes are done`);
  }
  const uids = new Set(jobs.map(({ metadata }) => metadata.uid));
  for (const nodeImage of nodeImagesOf(world))
    for (const uid of busyFor(nodeImage))
      if (!uids.has(uid)) problems.push(`${nodeImage.metadata.name} still pulls for a job that is gone`);
  return problems;
}

export const imagePullingKind: SceneKind = {
  name: "imagepulling",
  features: [imagePulling],
  gates: { ImagePullJobGate: true },
  // Tasks that have ended are forgotten minutes later.
  lateMs: 1_200_000,
  scene,
};
