/**
 * Hot upgrade: a sidecar as two containers, one that works and one that idles. An update gives the new image to the idle one; when that
 * serves, the former worker is put to rest. Each twin knows from its version variables whether it is the newer one.
 */
import { containerOf, containerStatus, isRunningAndReady } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { recordOf } from "./annotations.ts";
import { isConsistent } from "./consistency.ts";
import { twinNames } from "./content.ts";
import type { Sidecar, Strategy } from "./strategy.ts";

export interface Twins {
  readonly working: string;
  readonly resting: string;
}

/** As the pod's annotation says. */
export function twinsOf(pod: Readonly<Pod>, sidecar: Pick<Sidecar, "name">): Twins {
  const [first, second] = twinNames(sidecar.name);
  return recordOf(pod).working.get(sidecar.name) === first ? { working: first, resting: second } : { working: second, resting: first };
}

const imageOf = (pod: Readonly<Pod>, name: string): string => containerOf(pod, name)?.image ?? "";

/** Whether the twin that does not work is at rest. Without an image to rest with it always is. */
export function isResting(pod: Readonly<Pod>, sidecar: Sidecar): boolean {
  return !sidecar.idleImage || imageOf(pod, twinsOf(pod, sidecar).resting) === sidecar.idleImage;
}

/** Which twin gets the new image, and which one it leaves alone. */
export function twinToUpgrade(pod: Readonly<Pod>, set: string, sidecar: Sidecar): { readonly upgraded: string; readonly other: string } {
  const [first, second] = twinNames(sidecar.name);
  const towards = (upgraded: string) => ({ upgraded, other: upgraded === first ? second : first });
  if (imageOf(pod, first) === sidecar.idleImage) return towards(first);
  if (imageOf(pod, second) === sidecar.idleImage) return towards(second);
  // An upgrade is under way: what does not serve is replaced, and whoever serves goes on.
  const serves = (name: string): boolean => containerStatus(pod, name)?.ready === true && isConsistent(pod, set, new Set([name]));
  if (serves(first) !== serves(second)) return towards(serves(first) ? second : first);
  return towards(twinsOf(pod, sidecar).resting);
}

/** The sidecars whose former worker can rest now: everything else runs as it should. */
export function twinsToRest(pod: Readonly<Pod>, set: string, { sidecars, containerNames }: Strategy): readonly Sidecar[] {
  const hot = sidecars.filter(({ idleImage }) => idleImage !== undefined);
  const awake = hot.filter((sidecar) => !isResting(pod, sidecar));
  if (awake.length === 0) return [];
  const resting = new Set(hot.map((sidecar) => twinsOf(pod, sidecar).resting));
  if (!isConsistent(pod, set, new Set([...containerNames].filter((name) => !resting.has(name))))) return [];
  const serves = isRunningAndReady(pod) || (pod.status?.containerStatuses ?? []).every(({ name, ready }) => resting.has(name) || ready);
  return serves ? awake : [];
}
