/** Whoever holds pods by lifecycle hooks: they are let go, and held again, some time after it is their turn. */
import { conditionType, label } from "../../src/api/names.ts";
import type { Pod, PodTemplateSpec } from "../../src/kube/types.ts";
import type { Lifecycle } from "../../src/workload/lifecycle/index.ts";
import type { Dice } from "./dice.ts";
import { isActive } from "./invariants/pods.ts";
import { podsPath } from "./user.ts";
import type { Watcher, World } from "./world.ts";

const heldFromGoing = "sim.kruise.io/stays";
const heldFromChanging = "sim.kruise.io/keeps";
const released = "let-go";
const hookLabels: Readonly<Record<string, string>> = { [heldFromGoing]: "true", [heldFromChanging]: "true" };

const letGoMsMax = 8_000;
const againMs = 2_000;

/**
 * Undefined: none of the two.
 * @param outOfService how often pods are taken out of service while they wait
 */
export function lifecycleFrom(dice: Dice, outOfService = 0.5): Lifecycle | undefined {
  const preDelete = dice.chance(0.7);
  const inPlaceUpdate = dice.chance(0.7);
  const hook = (key: string) => ({ labelsHandler: { [key]: "true" }, ...(dice.chance(outOfService) ? { markPodNotReady: true } : {}) });
  if (!preDelete && !inPlaceUpdate) return undefined;
  return { ...(preDelete ? { preDelete: hook(heldFromGoing) } : {}), ...(inPlaceUpdate ? { inPlaceUpdate: hook(heldFromChanging) } : {}) };
}

/** Pods are held from their beginning, and can be taken out of service while they wait. */
export function heldTemplate({ metadata, spec, ...template }: PodTemplateSpec): PodTemplateSpec {
  return {
    ...template,
    metadata: { ...metadata, labels: { ...metadata?.labels, ...hookLabels } },
    spec: { ...spec, readinessGates: [{ conditionType: conditionType.kruisePodReady }] } as PodTemplateSpec["spec"],
  };
}

/** What the pod's state asks of its keeper: labels that it does not have yet. */
function owed({ metadata: { labels = {} } }: Pod): Readonly<Record<string, string>> {
  const wanted: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    PreparingDelete: { [heldFromGoing]: released },
    PreparingUpdate: { [heldFromChanging]: released },
    Updated: { [heldFromChanging]: "true" },
    Normal: { [heldFromGoing]: "true" },
  };
  const entries = Object.entries(wanted[labels[label.lifecycleState] ?? ""] ?? {});
  return Object.fromEntries(entries.filter(([key, value]) => labels[key] !== undefined && labels[key] !== value));
}

/** Breaks nothing; looks at what is written to know whose turn it is. */
export function keeper(world: World, dice: Dice): Watcher {
  const atWork = new Set<string>();
  const serve = async (namespace: string, name: string, uid: string): Promise<void> => {
    const pod = world.get<Pod>("pods", namespace, name);
    const labels = pod !== undefined && pod.metadata.uid === uid && isActive(pod) ? owed(pod) : {};
    if (Object.keys(labels).length === 0) {
      atWork.delete(uid);
      return;
    }
    await world.ask("PATCH", `${podsPath}/${name}`, { metadata: { labels } }, "merge", "keeper");
    // What came meanwhile, or was refused, has its turn.
    world.env.after(againMs, () => void serve(namespace, name, uid));
  };
  return {
    name: "keeper",
    wrote({ resource, after }) {
      if (resource.kind.plural !== "pods" || after === undefined) return undefined;
      const pod = after as unknown as Pod;
      const { uid, name, namespace = "" } = pod.metadata;
      if (atWork.has(uid) || !isActive(pod) || Object.keys(owed(pod)).length === 0) return undefined;
      atWork.add(uid);
      world.env.after(dice.upTo(letGoMsMax), () => void serve(namespace, name, uid));
      return undefined;
    },
  };
}
