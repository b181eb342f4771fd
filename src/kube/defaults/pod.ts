/**
 * Defaulting of pods and pod templates as kube-apiserver (up to 1.34) does it. A template gets less than a pod: requests from limits,
 * enableServiceLinks and host ports come only when its pod is made.
 * Everything here is pure, never throws whatever the JSON, and returns the same object when nothing was missing.
 */
import { type Fields, isAbsent, withFields } from "../json.ts";
import { type ContainerDefaults, defaultContainer, withHostPorts, withRequestsFromLimits } from "./container.ts";
import { fillAbsent, fillZero, inField, inItems, isZero } from "./fill.ts";
import { roundedAmounts, roundedResources } from "./resources.ts";
import { defaultVolume } from "./volume.ts";

export interface PodTemplateDefaults {
  /** What an empty imagePullPolicy of `containers` becomes; init containers always follow Kubernetes. */
  readonly emptyPullPolicy?: ContainerDefaults["emptyPullPolicy"];
  /** Feature gate DefaultHostNetworkHostPortsInPodTemplates: host ports already in the template. */
  readonly hostPorts?: boolean;
}

/** OpenKruise's workloads: always pull unless told otherwise. */
export const workloadDefaults: PodTemplateDefaults = { emptyPullPolicy: "Always" };

export function defaultPodSpec<T extends object>(spec: T, { emptyPullPolicy, hostPorts = false }: PodTemplateDefaults = {}): T {
  let filled = fillZero(spec as Fields, { dnsPolicy: "ClusterFirst", restartPolicy: "Always", schedulerName: "default-scheduler" });
  filled = fillAbsent(filled, { securityContext: {}, terminationGracePeriodSeconds: 30 });
  filled = inItems(filled, "volumes", (volume) => defaultVolume(volume));
  filled = inItems(filled, "initContainers", (container) => defaultContainer(container));
  filled = inItems(filled, "containers", (container) => defaultContainer(container, { emptyPullPolicy: emptyPullPolicy ?? "byTag" }));
  filled = inItems(filled, "ephemeralContainers", (container) => defaultContainer(container));
  filled = inField(filled, "overhead", roundedAmounts);
  filled = inField(filled, "resources", roundedResources);
  return (hostPorts ? withHostNetworkPorts(filled) : filled) as T;
}

function withHostNetworkPorts(spec: Fields): Fields {
  if (spec["hostNetwork"] !== true) return spec;
  return inItems(inItems(spec, "containers", withHostPorts), "initContainers", withHostPorts);
}

/** A template without a spec gets one, as a typed object would have it. */
export function defaultPodTemplate<T extends object>(template: T, options: PodTemplateDefaults = {}): T {
  const fields = template as Fields;
  const complete = isAbsent(fields["spec"]) ? withFields(fields, { spec: {} }) : fields;
  return inField(complete, "spec", (spec) => defaultPodSpec(spec, options)) as T;
}

/** A pod as the API server stores it, but for what needs the cluster (service account, priority, admission plugins). */
export function defaultPod<T extends object>(pod: T): T {
  const complete = defaultPodTemplate(pod as Fields);
  return inField(complete, "spec", (spec) => {
    let filled = inItems(spec, "containers", withRequestsFromLimits);
    filled = inItems(filled, "initContainers", withRequestsFromLimits);
    return mirrorServiceAccount(withHostNetworkPorts(fillAbsent(filled, { enableServiceLinks: true })));
  }) as T;
}

/** `serviceAccount` is the old name of `serviceAccountName`: built-in kinds are stored with both. */
export function mirrorServiceAccount(spec: Fields): Fields {
  const { serviceAccountName, serviceAccount } = spec;
  if (!isZero(serviceAccountName))
    return serviceAccount === serviceAccountName ? spec : withFields(spec, { serviceAccount: serviceAccountName });
  return isZero(serviceAccount) ? spec : withFields(spec, { serviceAccountName: serviceAccount });
}
