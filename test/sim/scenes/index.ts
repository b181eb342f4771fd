/** The one list of simulated worlds. */
import type { SceneKind } from "../scene.ts";
import { cloneSetKind } from "./cloneset.ts";
import { sidecarSetKind } from "./sidecarset.ts";

export const sceneKinds: readonly SceneKind[] = [cloneSetKind, sidecarSetKind];
