/** Every Event that Kruiser tells, and every code by which it says why something is left alone. */
import { words as cloneSetWords } from "../../src/features/cloneset/reasons.ts";
import { words as recreateWords } from "../../src/features/containerrecreate/reasons.ts";
import { words as budgetWords } from "../../src/features/podunavailablebudget/reasons.ts";
import { words as sidecarSetWords } from "../../src/features/sidecarset/reasons.ts";

export interface EventRow {
  readonly reason: string;
  readonly type: "Normal" | "Warning";
  readonly on: string;
  readonly meaning: string;
}

const row = (type: EventRow["type"], on: string, reason: string, meaning: string): EventRow => ({ reason, type, on, meaning });

export const eventRows: readonly EventRow[] = [
  row("Normal", "CloneSet", "SuccessfulCreate", "Pods were created; it names them."),
  row(
    "Warning",
    "CloneSet",
    "FailedCreate",
    "A pod or a claim could not be created: mostly a quota or an admission webhook, whose words it has. Tried again, less and less often.",
  ),
  row("Normal", "CloneSet", "SuccessfulDelete", "Pods were deleted, for a smaller number of replicas or because they were marked."),
  row("Warning", "CloneSet", "FailedDelete", "A pod or a claim could not be deleted. Tried again."),
  row("Normal", "CloneSet", "ScaleUpLimited", "Fewer pods are created than are missing, because scaleStrategy.maxUnavailable says so."),
  row("Normal", "CloneSet", "SuccessfulUpdatePodInPlace", "Pods were updated in place."),
  row("Warning", "CloneSet", "FailedUpdatePodInPlace", "A pod could not be updated in place. Tried again."),
  row("Normal", "CloneSet", "SuccessfulUpdatePodReCreate", "Pods were deleted to come back at the new revision."),
  row("Warning", "CloneSet", "FailedUpdatePodReCreate", "A pod could not be deleted to come back at the new revision. Tried again."),
  row("Warning", "CloneSet", "FailedUpdate", "A claim could not be given to the pod that takes it over. Tried again."),
  row("Normal", "CloneSet", "CreatedImagePullJob", "Images are pulled ahead of an in-place update."),
  row("Normal", "CloneSet", "FailedCreateImagePullJob", "Images could not be asked for ahead of time; the update goes on without."),
  row(
    "Warning",
    "any workload",
    "ExpectationTimeout",
    "The API server has not shown the outcome of a write in time. The objects are listed afresh, and it goes on.",
  ),
  row("Warning", "SidecarSet", "FailedUpdateSidecar", "The sidecars of a pod could not be updated in place. Tried again."),
  row("Normal", "SidecarSet", "NotUpgradablePods", "Pods differ in more than images: they get the new sidecars when they are recreated."),
  row("Normal", "SidecarSet", "EvictedMissedPod", "A pod that was made without sidecars was evicted, as its SidecarSet asks."),
  row("Warning", "SidecarSet", "FailedEvictMissedPod", "It could not be evicted, mostly because a budget refuses. Tried again."),
  row("Normal", "SidecarSet", "EvictedOutdatedPod", "A pod whose sidecars cannot be updated in place was evicted, as its SidecarSet asks."),
  row("Warning", "SidecarSet", "FailedEvictOutdatedPod", "It could not be evicted, mostly because a budget refuses. Tried again."),
  row("Normal", "Pod", "ResetContainerSucceed", "The former worker of a hot-upgraded sidecar was put to rest."),
  row("Warning", "Pod", "ResetContainerFailed", "It could not be put to rest. Tried again."),
  row("Warning", "Pod", "PubPreventPodDeletion", "A PodUnavailableBudget has refused a deletion, an eviction or an update of this pod."),
  row("Warning", "Pod", "NotDeleted", "A deletion that a budget let through did not happen within 20 s: the pod counts again."),
  row("Normal", "PodUnavailableBudget", "NoPods", "It selects no pod."),
  row(
    "Warning",
    "PodUnavailableBudget",
    "UnknownReplicas",
    "Its workload does not say how many pods it wants: those that exist are counted. Set `spec.protectTotalReplicas`.",
  ),
  row(
    "Warning",
    "PodUnavailableBudget",
    "CalculateExpectedPodCountFailed",
    "`maxUnavailable` and `minAvailable` cannot be read: every request is let through.",
  ),
  row("Normal", "NodeImage", "PullImageSucceed", "An image was pulled, or was there already."),
  row(
    "Warning",
    "NodeImage, ImagePullJob",
    "PullImageFailed",
    "An image was not pulled; it has the words of the registry, or says that the node agent has not answered.",
  ),
  row("Warning", "ImagePullJob", "FailedUpdateNodeImage", "A node could not be asked to pull. Tried again."),
  row("Warning", "ImagePullJob", "FailedSyncSecret", "A pull secret could not be copied to where node agents read it. Tried again."),
  row("Warning", "NodeImage", "NoContainerRuntime", "The node agent found no usable container runtime, and ends; it lists what it tried."),
  row(
    "Normal",
    "Pod",
    "Killing",
    "The node agent stops a container: for a ContainerRecreateRequest, or because its environment comes from labels that have changed.",
  ),
  row("Warning", "Pod", "FailedPreStopHook", "A preStop hook failed or took too long; the container is stopped all the same."),
  row("Warning", "Pod", "LifecycleHTTPFallback", "A preStop hook that says HTTPS was answered in HTTP, as the kubelet accepts it too."),
  row(
    "Warning",
    "webhook configuration",
    "WebhooksLeftOut",
    "Entries are not active, because this manager does not handle their paths now: gates, missing CRDs, another version.",
  ),
  row(
    "Warning",
    "webhook configuration",
    "FeatureBypassed",
    "Pods are created without this feature, because it keeps failing. Only of features that pods may go without.",
  ),
  row("Normal", "webhook configuration", "FeatureResumed", "It works again, and takes part in the creation of pods."),
  row("Normal", "Lease", "LeaderElection", "Another manager leads from now on."),
];

const placeholders = new Proxy({}, { get: (_, name) => `*${String(name)}*` }) as never;
type Words = Readonly<Record<string, (figures: never) => string>>;

/** Codes by kind, with their words; a figure stands as its name. */
export const reasonRows: readonly (readonly [kind: string, code: string, words: string])[] = (
  [
    ["CloneSet", cloneSetWords],
    ["SidecarSet", sidecarSetWords],
    ["PodUnavailableBudget", budgetWords],
    ["ContainerRecreateRequest", recreateWords],
  ] as readonly (readonly [string, Words])[]
).flatMap(([kind, words]) => Object.entries(words).map(([code, say]) => [kind, code, say(placeholders)] as const));
