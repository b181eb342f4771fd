/** The one list of simulated worlds. */
import type { SceneKind } from "../scene.ts";
import { cloneSetKind } from "./cloneset.ts";
import { containerRecreateKind } from "./containerrecreate.ts";
import { deletionProtectionKind } from "./deletion-protection.ts";
import { imagePullingKind } from "./imagepulling.ts";
import { launchPriorityKind } from "./launch-priority.ts";
import { podUnavailableBudgetKind } from "./podunavailablebudget.ts";
import { sidecarSetKind } from "./sidecarset.ts";
import { sidecarTerminatorKind } from "./sidecarterminator.ts";

export const sceneKinds: readonly SceneKind[] = [
  cloneSetKind,
  sidecarSetKind,
  podUnavailableBudgetKind,
  imagePullingKind,
  containerRecreateKind,
  deletionProtectionKind,
  launchPriorityKind,
  sidecarTerminatorKind,
];
