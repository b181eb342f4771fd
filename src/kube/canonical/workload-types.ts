/**
 * The types of other kinds whose content goes into revision data or hashes: workloads inside a UnitedDeployment, and the containers of a
 * SidecarSet. Written like core-types.ts.
 */
export const workloadTypes = `
StatefulSetSpec = replicas:*i selector:*LabelSelector! template:PodTemplateSpec! volumeClaimTemplates:[]PersistentVolumeClaim serviceName:s!
  podManagementPolicy:s updateStrategy:StatefulSetUpdateStrategy! revisionHistoryLimit:*i minReadySeconds:i
  persistentVolumeClaimRetentionPolicy:*PersistentVolumeClaimRetentionPolicy ordinals:*StatefulSetOrdinals
StatefulSetUpdateStrategy = type:s rollingUpdate:*RollingUpdateStatefulSetStrategy
RollingUpdateStatefulSetStrategy = partition:*i maxUnavailable:*x
PersistentVolumeClaimRetentionPolicy = whenDeleted:s whenScaled:s
StatefulSetOrdinals = start:i!
DeploymentSpec = replicas:*i selector:*LabelSelector! template:PodTemplateSpec! strategy:DeploymentStrategy! minReadySeconds:i
  revisionHistoryLimit:*i paused:b progressDeadlineSeconds:*i
DeploymentStrategy = type:s rollingUpdate:*RollingUpdateDeployment
RollingUpdateDeployment = maxUnavailable:*x maxSurge:*x

CloneSetSpec = replicas:*i selector:*LabelSelector! template:PodTemplateSpec! volumeClaimTemplates:[]PersistentVolumeClaim
  scaleStrategy:CloneSetScaleStrategy! updateStrategy:CloneSetUpdateStrategy! revisionHistoryLimit:*i minReadySeconds:i
  progressDeadlineSeconds:*i lifecycle:*WorkloadLifecycle
CloneSetScaleStrategy = podsToDelete:[]s maxUnavailable:*x enablePVCReuse:b excludePreparingDelete:b
CloneSetUpdateStrategy = type:s rollingUpdate:*RollingUpdateCloneSetStrategy
RollingUpdateCloneSetStrategy = podUpdatePolicy:s partition:*x maxUnavailable:*x maxSurge:*x paused:b priorityStrategy:*UpdatePriorityStrategy
  scatterStrategy:[]UpdateScatterTerm inPlaceUpdateStrategy:*InPlaceUpdateStrategy
AdvancedStatefulSetSpec = replicas:*i selector:*LabelSelector! template:PodTemplateSpec! volumeClaimTemplates:[]PersistentVolumeClaim
  volumeClaimUpdateStrategy:VolumeClaimUpdateStrategy! serviceName:s podManagementPolicy:s updateStrategy:AdvancedStatefulSetUpdateStrategy!
  revisionHistoryLimit:*i reserveOrdinals:[]x lifecycle:*WorkloadLifecycle scaleStrategy:*StatefulSetScaleStrategy
  persistentVolumeClaimRetentionPolicy:*PersistentVolumeClaimRetentionPolicy ordinals:*StatefulSetOrdinals
AdvancedStatefulSetUpdateStrategy = type:s rollingUpdate:*RollingUpdateAdvancedStatefulSetStrategy
RollingUpdateAdvancedStatefulSetStrategy = partition:*i maxUnavailable:*x podUpdatePolicy:s paused:b unorderedUpdate:*UnorderedUpdateStrategy
  inPlaceUpdateStrategy:*InPlaceUpdateStrategy minReadySeconds:*i
UnorderedUpdateStrategy = priorityStrategy:*UpdatePriorityStrategy
StatefulSetScaleStrategy = maxUnavailable:*x
VolumeClaimUpdateStrategy = type:s
InPlaceUpdateStrategy = gracePeriodSeconds:i imagePreDownloadParallelism:*x imagePreDownloadTimeoutSeconds:*i
  imagePreDownloadMinUpdatedReadyPods:*i
UpdatePriorityStrategy = orderPriority:[]UpdatePriorityOrderTerm weightPriority:[]UpdatePriorityWeightTerm
UpdatePriorityOrderTerm = orderedKey:s!
UpdatePriorityWeightTerm = weight:i! matchSelector:LabelSelector!
UpdateScatterTerm = key:s! value:s!
WorkloadLifecycle = preDelete:*LifecycleHook inPlaceUpdate:*LifecycleHook preNormal:*LifecycleHook
LifecycleHook = labelsHandler:{}s finalizersHandler:[]s markPodNotReady:b

SubsetTemplate = statefulSetTemplate:*StatefulSetTemplateSpec advancedStatefulSetTemplate:*AdvancedStatefulSetTemplateSpec
  cloneSetTemplate:*CloneSetTemplateSpec deploymentTemplate:*DeploymentTemplateSpec
StatefulSetTemplateSpec = metadata:ObjectMeta! spec:StatefulSetSpec!
AdvancedStatefulSetTemplateSpec = metadata:ObjectMeta! spec:AdvancedStatefulSetSpec!
CloneSetTemplateSpec = metadata:ObjectMeta! spec:CloneSetSpec!
DeploymentTemplateSpec = metadata:ObjectMeta! spec:DeploymentSpec!

SidecarContainer = name:s! image:s command:[]s args:[]s workingDir:s ports:[]ContainerPort envFrom:[]EnvFromSource env:[]EnvVar
  resources:ResourceRequirements! resizePolicy:[]ContainerResizePolicy restartPolicy:*s volumeMounts:[]VolumeMount
  volumeDevices:[]VolumeDevice livenessProbe:*Probe readinessProbe:*Probe startupProbe:*Probe lifecycle:*Lifecycle
  terminationMessagePath:s terminationMessagePolicy:s imagePullPolicy:s securityContext:*SecurityContext stdin:b stdinOnce:b tty:b
  podInjectPolicy:s upgradeStrategy:SidecarContainerUpgradeStrategy! shareVolumePolicy:ShareVolumePolicy!
  shareVolumeDevicePolicy:*ShareVolumePolicy transferEnv:[]TransferEnvVar resourcesPolicy:*SidecarResourcesPolicy
SidecarContainerUpgradeStrategy = upgradeType:s hotUpgradeEmptyImage:s
ShareVolumePolicy = type:s
TransferEnvVar = sourceContainerName:s sourceContainerNameFrom:*SourceContainerNameSource envName:s envNames:[]s
SourceContainerNameSource = fieldRef:*ObjectFieldSelector
SidecarResourcesPolicy = targetContainersMode:s targetContainersNameRegex:s resourcesExpr:ResourcesExpr!
ResourcesExpr = limits:*ResourceExprLimits requests:*ResourceExprRequests
ResourceExprLimits = cpu:s memory:s
ResourceExprRequests = cpu:s memory:s
SidecarSetPatchPodMetadata = annotations:{}s patchPolicy:s
`;
