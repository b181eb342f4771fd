/**
 * What the daemon keeps of a pod: who it is, whose it is, what its containers are called and how they do. Everything it needs to know
 * of containers it asks the runtime, so a hundred pods cost little memory. Pods are only ever patched: nothing can get lost.
 */
import type { Container, ContainerStatus, KubeObject, Pod } from "../kube/types.ts";

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

export function trimPod(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, spec, status } = object as Pod;
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp, labels, annotations, ownerReferences } =
    metadata;
  const kept: Pod = {
    apiVersion,
    kind,
    metadata: present({
      name,
      namespace,
      uid,
      resourceVersion,
      generation,
      creationTimestamp,
      deletionTimestamp,
      labels,
      annotations: annotations?.[lastApplied] === undefined ? annotations : without(annotations, lastApplied),
      ownerReferences,
    }),
    spec: present({
      nodeName: spec.nodeName,
      restartPolicy: spec.restartPolicy,
      hostNetwork: spec.hostNetwork,
      readinessGates: spec.readinessGates,
      initContainers: spec.initContainers?.map(trimContainer),
      containers: spec.containers.map(trimContainer),
    }),
    status: present({
      phase: status?.phase,
      podIP: status?.podIP,
      hostIP: status?.hostIP,
      conditions: status?.conditions?.map(({ type, status: value, lastTransitionTime }) => ({ type, status: value, lastTransitionTime })),
      initContainerStatuses: status?.initContainerStatuses?.map(trimStatus),
      containerStatuses: status?.containerStatuses?.map(trimStatus),
    }),
  };
  return kept;
}

function trimContainer({ name, restartPolicy, ports, env, lifecycle }: Container): Container {
  const fromMetadata = env?.filter(({ valueFrom }) => valueFrom?.fieldRef !== undefined);
  return present({
    name,
    restartPolicy,
    ports,
    env: fromMetadata?.length ? fromMetadata : undefined,
    lifecycle: lifecycle?.preStop === undefined ? undefined : { preStop: lifecycle.preStop },
  });
}

function trimStatus({ name, state, ready, restartCount, containerID, started }: ContainerStatus): ContainerStatus {
  return present({ name, state, ready, restartCount, containerID, started, image: "", imageID: "" });
}

/** Fields that are not there take no memory. */
function present<T extends object>(fields: T): T {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) kept[key] = value;
  return kept as T;
}

function without(record: Readonly<Record<string, string>>, key: string): Record<string, string> {
  const { [key]: _, ...rest } = record;
  return rest;
}
