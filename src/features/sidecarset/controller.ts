/** The controller: pods that were injected follow their SidecarSet, in place and within its update strategy. */
import { type SidecarSet, type SidecarSetStatus, sidecarSets } from "../../api/sidecarset.ts";
import { type Controller, controller, type Seen } from "../../engine/controller.ts";
import { metrics } from "../../engine/metrics-names.ts";
import { controllerRevisions, namespaces, pods } from "../../kube/kinds.ts";
import { observe } from "./observe.ts";
import { plan } from "./plan.ts";
import type { Code } from "./reasons.ts";
import { sidecarSetConcerns, watches } from "./watches.ts";
import type { Observed } from "./world.ts";

export const sidecarSetController: Controller = controller<Observed, SidecarSetStatus>({
  name: "sidecarset-controller",
  of: sidecarSets,
  workers: { flag: "sidecarset-workers", count: 3 },
  watches,
  concerns: (change) => sidecarSetConcerns(change as Seen<SidecarSet>),
  reads: [pods, controllerRevisions, namespaces],
  gauges: [{ code: "InjectionMissed" satisfies Code, metric: metrics.injectionMissed, label: "sidecarset" }],
  observe,
  plan,
});
