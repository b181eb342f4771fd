/**
 * The one cluster that all tests of this folder share: a real control plane with simulated nodes, Kruiser's manifests as they are
 * generated, and one manager with the default gates that runs with its own service account's rights.
 */
import { atEnd } from "../lib/at-end.ts";
import { type Manager, type Rig, startRig } from "../rig/index.ts";

export interface Cluster {
  readonly rig: Rig;
  readonly manager: Manager;
}

let running: Promise<Cluster> | undefined;

/** Started by whoever asks first; takes some ten seconds, and minutes where the programs have to be built first. */
export function cluster(): Promise<Cluster> {
  running ??= start();
  return running;
}

/** For hooks and tests that may be the first to ask. */
export const startTimeoutMs = 60 * 60_000;

async function start(): Promise<Cluster> {
  const rig = await startRig({ kwokNodes: 6, controllerManagerFlags: ["--horizontal-pod-autoscaler-sync-period=1s"] });
  atEnd(() => rig.stop());
  await rig.install();
  return { rig, manager: await rig.startManager({ flags: ["--v=1"] }) };
}
