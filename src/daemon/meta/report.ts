/** What is to be reported of a pod, and which containers run with an environment of the past. Pure. */
import { conditionType } from "../../api/names.ts";
import { envHash } from "../../kube/canonical/hash.ts";
import { deepEqual } from "../../kube/json.ts";
import { podConditionStatus } from "../../kube/pod.ts";
import type { Container, Pod } from "../../kube/types.ts";
import { expectedEnvHash, metadataEnvOf } from "../../workload/container-env.ts";
import type { PodContainer, PodContainers } from "../containers/read.ts";
import { type ContainerMeta, reportedMeta } from "./annotation.ts";
import type { Environment } from "./environment.ts";
import { containerSpec } from "./select.ts";

export interface Observed {
  readonly pod: Readonly<Pod>;
  readonly containers: PodContainers;
  /** The gate InPlaceUpdateEnvFromMetadata. */
  readonly withEnv: boolean;
}

export interface Report {
  /** To be written; undefined: the report is right as it is. */
  readonly write?: readonly ContainerMeta[];
  /** To be stopped, so that the kubelet starts them with the environment that the pod has now. */
  readonly restart: readonly PodContainer[];
  /** Containers whose environment is not known yet. */
  readonly unknownEnv: readonly string[];
}

interface Entry {
  readonly meta: ContainerMeta;
  readonly spec: Container;
  readonly container: PodContainer;
}

/** The containers whose environment has to be read before `reportOf` can tell everything. */
export function environmentsNeeded(observed: Observed): readonly PodContainer[] {
  if (!observed.withEnv) return [];
  return entriesOf(observed)
    .filter(({ meta, spec, container }) => meta.envHash === 0 && container.state === "running" && metadataEnvOf(spec).length > 0)
    .map(({ container }) => container);
}

/** @param environments by name, of those that could be read */
export function reportOf(observed: Observed, environments: ReadonlyMap<string, Environment>): Report {
  const { pod, withEnv } = observed;
  const isUpdating = podConditionStatus(pod, conditionType.inPlaceUpdateReady) === "False";
  const restart: PodContainer[] = [];
  const unknownEnv: string[] = [];
  const write = entriesOf(observed).map(({ meta: before, spec, container }) => {
    if (!withEnv) return before;
    const meta = before.envHash === 0 && container.state === "running" ? withEnvHash(before, spec, environments) : before;
    if (meta.envHash === 0 && container.state === "running") unknownEnv.push(meta.name);
    if (isUpdating && meta.envHash > 0 && meta.envHash !== expectedEnvHash(spec, pod)) restart.push(container);
    return meta;
  });
  const known = reportedMeta(pod);
  // An empty report would only wipe what was said before: the runtime may just have nothing to show.
  const isNews = write.length > 0 && !deepEqual(write, known);
  return { ...(isNews ? { write } : {}), restart, unknownEnv };
}

/** In the order of the statuses, of those that runtime and spec know. */
function entriesOf({ pod, containers }: Observed): readonly Entry[] {
  const known = reportedMeta(pod);
  return (pod.status?.containerStatuses ?? []).flatMap(({ name }) => {
    const container = containers.get(name);
    const spec = containerSpec(pod, name);
    if (container === undefined || spec === undefined) return [];
    const before = known?.find((meta) => meta.name === name && meta.containerID === container.id);
    const { id: containerID, restartCount, plainHash } = container;
    return [{ meta: before ?? { name, containerID, restartCount, plainHash, envHash: 0 }, spec, container }];
  });
}

function withEnvHash(meta: ContainerMeta, spec: Container, environments: ReadonlyMap<string, Environment>): ContainerMeta {
  const variables = metadataEnvOf(spec);
  const environment = environments.get(meta.name);
  if (variables.length > 0 && environment === undefined) return meta;
  return { ...meta, envHash: envHash(variables.map(({ name }) => ({ name, value: environment?.get(name) ?? "" }))) };
}
