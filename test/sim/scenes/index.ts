/** The one list of simulated worlds. */
import type { SceneKind } from "../scene.ts";
import { cloneSetKind } from "./cloneset.ts";

export const sceneKinds: readonly SceneKind[] = [cloneSetKind];
