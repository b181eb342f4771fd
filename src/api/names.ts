/**
 * Names that travel on the wire: labels, annotations, finalizers, environment variables and condition types, as OpenKruise 1.9 writes
 * and reads them. They are API: none of them may change.
 */

export const label = {
  /** Pod: this one goes first when pods are deleted. The value does not matter. */
  specifiedDelete: "apps.kruise.io/specified-delete",
  /** Pod: its lifecycle state; see `annotation.lifecycleTimestamp`. */
  lifecycleState: "lifecycle.apps.kruise.io/state",
  /** Pod: name or hash of the revision it runs. */
  controllerRevisionHash: "controller-revision-hash",
  /** Pod of a CloneSet: always the bare hash. */
  podTemplateHash: "pod-template-hash",
  /** ControllerRevision, pre-download ImagePullJob: hash of the data. */
  controllerHash: "controller.kubernetes.io/hash",
  cloneSetInstanceId: "apps.kruise.io/cloneset-instance-id",
  /** CloneSet in v1alpha1: what v1beta1 says with scaleStrategy.excludePreparingDelete. */
  cloneSetExcludePreparingDelete: "apps.kruise.io/cloneset-scaling-exclude-preparing-delete",
  /** ControllerRevision: the pre-download jobs of this revision exist. Spelled so on the wire. */
  preDownloadCreated: "apps.kruise.io/pre-predownload-created",
  preDownloadIgnored: "apps.kruise.io/image-predownload-ignored",
  podIndex: "apps.kubernetes.io/pod-index",
  statefulSetPodName: "statefulset.kubernetes.io/pod-name",
  subsetName: "apps.kruise.io/subset-name",
  subsetRevision: "apps.kruise.io/controller-revision-hash",
  unitedDeploymentReservedPod: "apps.kruise.io/united-deployment-reserved-pod",
  /** ControllerRevision of a SidecarSet. */
  sidecarSetName: "kruise.io/sidecarset-name",
  /** ControllerRevision of a SidecarSet; SidecarSet in v1alpha1: what v1beta1 says with spec.customVersion. */
  sidecarSetCustomVersion: "apps.kruise.io/sidecarset-custom-version",
  /** On many kinds: "Always" or "Cascading". */
  deletionProtection: "policy.kruise.io/delete-protection",
  crrActive: "crr.apps.kruise.io/active",
  crrNodeName: "crr.apps.kruise.io/node-name",
  crrPodUid: "crr.apps.kruise.io/pod-uid",
  imagePullSecretSourceUid: "imagepulljobs.kruise.io/source-uid",
  /** NodeImage without a node, as tests make it. */
  fakeNodeImage: "apps.kruise.io/fake-nodeimage",
  broadcastJobName: "broadcastjob-name",
  broadcastJobControllerUid: "broadcastjob-controller-uid",
  /** Node: with value `virtualKubelet` nobody runs a node agent there. */
  nodeType: "type",
  controlPlane: "control-plane",
  namespaceName: "kubernetes.io/metadata.name",
  hostname: "kubernetes.io/hostname",
} as const;

export const virtualKubelet = "virtual-kubelet";

/** Pod: any label that starts with this makes the pod count as unavailable. */
export const unavailablePodLabelPrefix = "unavailable-pod.kruise.io/";

export const annotation = {
  inPlaceUpdateState: "apps.kruise.io/inplace-update-state",
  inPlaceUpdateGrace: "apps.kruise.io/inplace-update-grace",
  /** Read when the name with prefix is absent, never written. */
  inPlaceUpdateStateLegacy: "inplace-update-state",
  inPlaceUpdateGraceLegacy: "inplace-update-grace",
  runtimeContainersMeta: "apps.kruise.io/runtime-containers-meta",
  lifecycleTimestamp: "lifecycle.apps.kruise.io/timestamp",
  podDeletionCost: "controller.kubernetes.io/pod-deletion-cost",
  /** ControllerRevision of a CloneSet: uint32 as text, or "". */
  cloneSetVolumeClaimTemplateHash: "kruise.io/cloneset-volumeclaimtemplate-hash",
  imagePreDownloadParallelism: "apps.kruise.io/image-predownload-parallelism",
  imagePreDownloadTimeoutSeconds: "apps.kruise.io/image-predownload-timeout-seconds",
  imagePreDownloadMinUpdatedReadyPods: "apps.kruise.io/image-predownload-min-updated-ready-pods",
  containerLaunchPriority: "apps.kruise.io/container-launch-priority",
  containerLaunchPriorityCompleted: "apps.kruise.io/container-launch-priority-completed",
  subsetPatch: "apps.kruise.io/subset-patch",
  /** PersistentVolumeClaim of an Advanced StatefulSet: the set's name. */
  ownedByStatefulSet: "apps.kruise.io/owned-by-asts",
  relatedPub: "pub.kruise.io/related-pub",
  relatedPubLegacy: "kruise.io/related-pub",
  pubNoProtect: "pub.kruise.io/no-protect",
  /** PodUnavailableBudget in v1alpha1: what v1beta1 says in its spec. */
  pubProtectOperations: "kruise.io/pub-protect-operations",
  pubProtectTotalReplicas: "pub.kruise.io/protect-total-replicas",
  /** PodUnavailableBudget, ours: "TooManyRequests" refuses evictions with 429 instead of 403, so that `kubectl drain` tries again. */
  pubEvictionResponse: "pub.kruise.io/eviction-response",
  /** PodUnavailableBudget, ours: with "true" pods beyond those that are expected let no more than maxUnavailable go at once. */
  pubCapAllowed: "pub.kruise.io/cap-at-max-unavailable",
  sidecarSetHash: "kruise.io/sidecarset-hash",
  sidecarSetHashWithoutImage: "kruise.io/sidecarset-hash-without-image",
  /** SidecarSet: "true" evicts pods that should have been injected and were not. */
  sidecarSetEvictMissed: "kruise.io/sidecarset-evict-missed",
  /** SidecarSet: "true" evicts pods that differ from it in more than images, as far as its update strategy allows. */
  sidecarSetEvictOutdated: "kruise.io/sidecarset-evict-outdated",
  sidecarSetInjectedList: "kruise.io/sidecarset-injected-list",
  sidecarSetInPlaceUpdateState: "kruise.io/sidecarset-inplace-update-state",
  sidecarSetWorkingHotUpgradeContainer: "kruise.io/sidecarset-working-hotupgrade-container",
  sidecarSetCanary: "apps.kruise.io/sidecarset-canary",
  sidecarSetBase: "apps.kruise.io/sidecarset-base",
  matchedWorkloadSpread: "apps.kruise.io/matched-workloadspread",
  workloadSpreadIgnoreExistingPods: "workloadspread.kruise.io/ignore-patch-existing-pods-metadata",
  autoGeneratePersistentPodState: "kruise.io/auto-generate-persistent-pod-state",
  requiredPersistentTopology: "kruise.io/required-persistent-topology",
  preferredPersistentTopology: "kruise.io/preferred-persistent-topology",
  persistentPodAnnotations: "kruise.io/persistent-pod-annotations",
  injectedPersistentPodState: "kruise.io/injected-persistent-pod-state",
  scheduledAt: "apps.kruise.io/scheduled-at",
  progressiveCreatePod: "daemonset.kruise.io/progressive-create-pod",
  /** ContainerRecreateRequest in v1alpha1: what v1beta1 says in its status. */
  crrSyncContainerStatuses: "crr.apps.kruise.io/sync-container-statuses",
  crrUnreadyAcquired: "crr.apps.kruise.io/unready-acquired",
  /** Copied pull secrets. */
  imagePullSecretSourceKey: "imagepulljobs.kruise.io/source-key",
  imagePullSecretReferences: "imagepulljobs.kruise.io/references",
  imagePullSecretMode: "imagepulljobs.kruise.io/mode",
  podProbe: "kruise.io/podprobe",
  podProbeMarkerList: "kruise.io/podprobemarker-list",
  usingEnhancedLiveness: "apps.kruise.io/using-enhanced-liveness",
  containerProbeContext: "apps.kruise.io/container-probe-context",
  resourceDistributionFrom: "kruise.io/resourcedistribution.resource.from",
  resourceDistributionHash: "kruise.io/resourcedistribution.resource.hashcode",
  /** Webhook configurations: the entries as installed, as JSON. */
  webhookTemplate: "template",
} as const;

/** Pod annotation of a hot-upgraded sidecar, by container name. */
export const sidecarVersionAnnotation = (container: string): string => `version.sidecarset.kruise.io/${container}`;
/** The same for its idle twin. */
export const sidecarVersionAltAnnotation = (container: string): string => `versionalt.sidecarset.kruise.io/${container}`;

export const finalizer = {
  imagePullJob: "apps.kruise.io/deletion-protection",
  crrUnreadyAcquired: "crr.apps.kruise.io/unready-acquired",
  nodePodProbeCleanup: "kruise.io/node-pod-probe-cleanup",
  ephemeralContainersCleanup: "apps.kruise.io/ephemeralcontainers-cleanup",
} as const;

export const environmentVariable = {
  containerPriority: "KRUISE_CONTAINER_PRIORITY",
  containerBarrier: "KRUISE_CONTAINER_BARRIER",
  sidecarSetVersion: "SIDECARSET_VERSION",
  sidecarSetVersionAlt: "SIDECARSET_VERSION_ALT",
  isInjected: "IS_INJECTED",
  terminateSidecarWhenJobExit: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT",
  terminateSidecarWhenJobExitWithImage: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE",
  terminateSidecarIgnoreExitCode: "KRUISE_TERMINATE_SIDECAR_IGNORE_EXIT_CODE",
  ephemeralJobId: "KRUISE_EJOB_ID",
} as const;

export const conditionType = {
  /** Pod, readiness gate and condition: false while its containers are being replaced. */
  inPlaceUpdateReady: "InPlaceUpdateReady",
  /** Pod, readiness gate and condition: false while somebody wants it out of service. */
  kruisePodReady: "KruisePodReady",
  sidecarSetUpgradable: "SidecarSetUpgradable",
  sidecarTerminated: "SidecarTerminated",
  failedScale: "FailedScale",
  failedUpdate: "FailedUpdate",
  progressing: "Progressing",
  /** ContainerRecreateRequest: the pod is held not-ready for its grace period. */
  preRecreateGrace: "PreRecreateGrace",
} as const;

export const lifecycleState = {
  preparingNormal: "PreparingNormal",
  normal: "Normal",
  preparingUpdate: "PreparingUpdate",
  updating: "Updating",
  updated: "Updated",
  preparingDelete: "PreparingDelete",
} as const;
export type LifecycleState = (typeof lifecycleState)[keyof typeof lifecycleState];

/** ConfigMap in the install namespace with white lists. */
export const configurationName = "kruise-configuration";

export const install = {
  namespace: "kruise-system",
  daemonConfigNamespace: "kruise-daemon-config",
  webhookService: "kruise-webhook-service",
  webhookSecret: "kruise-webhook-certs",
  mutatingConfiguration: "kruise-mutating-webhook-configuration",
  validatingConfiguration: "kruise-validating-webhook-configuration",
  managerDeployment: "kruise-controller-manager",
  managerServiceAccount: "kruise-manager",
  daemonServiceAccount: "kruise-daemon",
  daemonSet: "kruise-daemon",
  conversionPath: "/convert",
} as const;
