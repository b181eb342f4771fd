/** The one list of all features: the manager, the CRDs, the RBAC, the documents, `explain` and the simulator read it. */
import { cloneSet } from "./cloneset/index.ts";
import { containerRecreate } from "./containerrecreate/index.ts";
import { deletionProtection } from "./deletion-protection/index.ts";
import type { Feature } from "./feature.ts";
import { imagePulling } from "./imagepulling/index.ts";
import { launchPriority } from "./launch-priority/index.ts";
import { podReadiness } from "./pod-readiness/index.ts";
import { podUnavailableBudget } from "./podunavailablebudget/index.ts";
import { sidecarSet } from "./sidecarset/index.ts";
import { sidecarTerminator } from "./sidecarterminator/index.ts";

export const features: readonly Feature[] = [
  cloneSet,
  containerRecreate,
  deletionProtection,
  imagePulling,
  launchPriority,
  podReadiness,
  podUnavailableBudget,
  sidecarSet,
  sidecarTerminator,
];
