/** How lists merge in strategic merge patches of Kubernetes' own types: which are merged by a key, which as sets, which replaced. */
import { objectTypes } from "../canonical/schema.ts";

/**
 * `Type.field key` merges a list of objects by that key, `Type.field -` merges a list of scalars as a set; `retainKeys` also drops the
 * fields that a patch does not name, so that a volume can change its source. Every other list is replaced as a whole.
 */
const mergedLists = `
ObjectMeta.ownerReferences uid
ObjectMeta.finalizers -
PodSpec.volumes name retainKeys
PodSpec.initContainers name
PodSpec.containers name
PodSpec.ephemeralContainers name
PodSpec.imagePullSecrets name
PodSpec.hostAliases ip
PodSpec.topologySpreadConstraints topologyKey
PodSpec.schedulingGates name
PodSpec.resourceClaims name retainKeys
Container.ports containerPort
Container.env name
Container.volumeMounts mountPath
Container.volumeDevices devicePath
EphemeralContainer.ports containerPort
EphemeralContainer.env name
EphemeralContainer.volumeMounts mountPath
EphemeralContainer.volumeDevices devicePath
SidecarContainer.ports containerPort
SidecarContainer.env name
SidecarContainer.volumeMounts mountPath
SidecarContainer.volumeDevices devicePath
ContainerStatus.volumeMounts mountPath
ContainerStatus.allocatedResourcesStatus name
PodStatus.conditions type
PodStatus.hostIPs ip
PodStatus.podIPs ip
PodStatus.resourceClaimStatuses name retainKeys
PersistentVolumeClaimStatus.conditions type
WorkloadStatus.conditions type
`;

/** Objects whose fields all drop what a patch does not name. */
const retainingObjects: ReadonlySet<string> = new Set(["DeploymentSpec.strategy"]);

/** Types that only patches need, by field and the type of its object or of its list's items. */
const otherTypes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Pod: { metadata: "ObjectMeta", spec: "PodSpec", status: "PodStatus" },
  PodStatus: {
    conditions: "PodCondition",
    containerStatuses: "ContainerStatus",
    initContainerStatuses: "ContainerStatus",
    ephemeralContainerStatuses: "ContainerStatus",
  },
  ContainerStatus: { resources: "ResourceRequirements" },
  /** Anything with a pod template: Deployment, StatefulSet, CloneSet, … */
  Workload: { metadata: "ObjectMeta", spec: "WorkloadSpec", status: "WorkloadStatus" },
  WorkloadSpec: { selector: "LabelSelector", template: "PodTemplateSpec" },
  WorkloadStatus: {},
  /** Any object: its metadata merges as Kubernetes says, the rest as a JSON merge patch would. */
  Object: { metadata: "ObjectMeta" },
};

export type PatchTypeName = "Pod" | "PodTemplateSpec" | "PodSpec" | "ObjectMeta" | "Workload" | "Object" | "PersistentVolumeClaim";

export interface PatchField {
  /** For lists: merged by `mergeKey`, merged as a set (""), or replaced (undefined). */
  readonly mergeKey?: string;
  readonly retainKeys: boolean;
  /** Of the object, or of the list's items; undefined when nothing is known of them. */
  readonly typeName: PatchType;
}

/** A type by its name in the tables, or one that knows its own fields: of any kind that has a schema. */
export type PatchType = string | PatchSchema | undefined;
export interface PatchSchema {
  field(name: string): PatchField;
}

interface MergedList {
  readonly mergeKey: string;
  readonly retainKeys: boolean;
}

const lists: ReadonlyMap<string, MergedList> = new Map(
  mergedLists
    .trim()
    .split("\n")
    .map((line) => {
      const [field = "", key = "", more] = line.split(" ");
      return [field, { mergeKey: key === "-" ? "" : key, retainKeys: more === "retainKeys" }] as const;
    }),
);

const plain: PatchField = { retainKeys: false, typeName: undefined };

/** What is known of a field for patching. Unknown fields are merged when they are objects and replaced when they are lists. */
export function patchField(typeName: PatchType, field: string): PatchField {
  if (typeName === undefined) return plain;
  if (typeof typeName === "object") return typeName.field(field);
  const path = `${typeName}.${field}`;
  const list = lists.get(path);
  const nested = otherTypes[typeName]?.[field] ?? objectTypes().get(typeName)?.byName.get(field)?.typeName;
  if (list === undefined && (nested === undefined || nested === "")) return plain;
  return {
    ...(list === undefined ? {} : { mergeKey: list.mergeKey }),
    retainKeys: list?.retainKeys ?? retainingObjects.has(path),
    typeName: nested === "" ? undefined : nested,
  };
}
