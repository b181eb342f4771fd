/** A running manager over some nodes, and short words to look at them and to speak for their agents. */
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { type NodeImage, type NodeImageTagStatus, nodeImages } from "../../../api/nodeimage.ts";
import { type House, World } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { formatTime } from "../../../kube/time.ts";
import { addReadyNode, jobKey, nodeKey, startPulling } from "./agents.ts";

export const startMs = Date.UTC(2025, 0, 1);

export async function scene(names: readonly string[], prepare: (world: World) => void = () => {}): Promise<House> {
  const env = new FakeEnv({ startMs });
  const world = new World(env);
  for (const name of names) addReadyNode(world, name);
  prepare(world);
  return startPulling({ env, world });
}

export const jobOf = (house: House, name = "job") => house.world.now<ImagePullJob>(imagePullJobs, jobKey(name));
export const nodeOf = (house: House, name: string) => house.world.now<NodeImage>(nodeImages, nodeKey(name)) as NodeImage;
export const tagsIn = (house: House, name: string, image = "nginx") => nodeOf(house, name).spec.images?.[image]?.tags ?? [];
export const told = (house: House, image = "nginx") =>
  house.world
    .all<NodeImage>(nodeImages)
    .filter((node) => node.spec.images?.[image] !== undefined)
    .map(({ metadata }) => metadata.name)
    .sort();

export function say(house: House, node: string, status: Partial<NodeImageTagStatus>, image = "nginx"): void {
  house.world.edit<NodeImage>(nodeImages, nodeKey(node), (object) => {
    const others = (object.status?.imageStatuses?.[image]?.tags ?? []).filter(({ tag }) => tag !== (status.tag ?? "1.20"));
    const isOver = status.phase === "Succeeded" || status.phase === "Failed";
    const tag = { tag: "1.20", phase: "Pulling", ...(isOver ? { completionTime: formatTime(house.env.nowMs()) } : {}), ...status };
    object.status = { desired: 1, imageStatuses: { ...object.status?.imageStatuses, [image]: { tags: [...others, tag] } } };
  });
}
