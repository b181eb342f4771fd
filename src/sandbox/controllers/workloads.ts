/** The one list of workload controllers. */
import type { MakeController } from "./worker.ts";

export const workloadControllers: readonly (readonly [string, MakeController])[] = [];
