/** What users of every world do. */

import type { Pod } from "../../src/kube/types.ts";
import { namespace } from "./cluster.ts";
import type { Dice } from "./dice.ts";
import { controllerUid } from "./invariants/pods.ts";
import type { World } from "./world.ts";

export const podsPath = `/api/v1/namespaces/${namespace}/pods`;

/** All nodes are up again. */
export async function healNodes(world: World): Promise<void> {
  for (const node of world.list("nodes"))
    await world.ask("PATCH", `/api/v1/nodes/${node.metadata.name}`, { metadata: { annotations: { "sandbox.kruise.io/down": null } } });
}

/** One of the pods that somebody controls. */
export function somePod(world: World, dice: Dice): Pod | undefined {
  const pods = world.list<Pod>("pods", namespace).filter((pod) => controllerUid(pod) !== undefined);
  return pods.length === 0 ? undefined : dice.pick(pods);
}
