/** The containers of one SidecarSet for one pod. */
import { fieldsOf, getOwn, itemsOf, textOf } from "../../kube/json.ts";
import type { Container, EnvVar, Pod, VolumeDevice, VolumeMount } from "../../kube/types.ts";
import { finished, isMarkedInjected, type Template, type Transfer, twinNames, twinVariables } from "./content.ts";
import { computeResources } from "./resources.ts";

/** What the building of several containers for one pod shares. */
export interface PodView {
  readonly pod: Readonly<Pod>;
  /** Names of all containers that are being injected. */
  readonly sidecarNames: ReadonlySet<string>;
  readonly shared: () => Shared;
}

/** What the pod's own containers mount, in their order. */
export interface Shared {
  readonly mounts: readonly VolumeMount[];
  /** The variables that their subPathExpr read. */
  readonly env: readonly EnvVar[];
  readonly devices: readonly VolumeDevice[];
}

export type Built = { readonly ok: true; readonly containers: readonly Container[] } | { readonly ok: false; readonly problem: string };

export function viewOf(pod: Readonly<Pod>, sidecarNames: ReadonlySet<string>): PodView {
  let shared: Shared | undefined;
  return {
    pod,
    sidecarNames,
    shared: () => {
      shared ??= sharedOf(pod);
      return shared;
    },
  };
}

const variableReference = /\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)/g;

function sharedOf({ spec }: Readonly<Pod>): Shared {
  const mounts: VolumeMount[] = [];
  const devices: VolumeDevice[] = [];
  const env = new Map<string, EnvVar>();
  for (const container of spec.containers) {
    if (isMarkedInjected(container)) continue;
    mounts.push(...(itemsOf(container.volumeMounts) as readonly VolumeMount[]));
    devices.push(...(itemsOf(container.volumeDevices) as readonly VolumeDevice[]));
    for (const mount of itemsOf(container.volumeMounts)) {
      for (const [, name] of textOf(fieldsOf(mount)["subPathExpr"]).matchAll(variableReference)) {
        const variable = variableOf(container, name as string);
        if (variable !== undefined && !env.has(variable.name)) env.set(variable.name, variable);
      }
    }
  }
  return { mounts, devices, env: [...env.values()] };
}

/** The last definition of a name is the one that counts. */
function variableOf(container: Readonly<Container>, name: string): EnvVar | undefined {
  return itemsOf(container.env).findLast((entry) => fieldsOf(entry)["name"] === name) as EnvVar | undefined;
}

/**
 * One container, or two where it is upgraded hot.
 * @param again this version of the SidecarSet has been injected into the pod before
 */
export function build(template: Template, view: PodView, again: boolean): Built {
  if (template.ready !== undefined) return { ok: true, containers: template.ready };
  const { container, resourcesPolicy } = template;
  const changes: { -readonly [K in "resources" | "volumeMounts" | "env" | "volumeDevices"]?: Container[K] } = {};
  if (resourcesPolicy !== undefined) {
    const computed = computeResources(resourcesPolicy, view.pod, view.sidecarNames);
    if (!computed.ok) return { ok: false, problem: `container ${template.name}: ${computed.problem}` };
    changes.resources = computed.resources;
  }
  const earlier = again ? earlierOf(template, view.pod) : undefined;
  const transferred = transferredEnv(template, view, earlier);
  if (template.sharesMounts) {
    const { mounts, env } = view.shared();
    changes.volumeMounts = withSharedMounts(container, [...(earlier?.volumeMounts ?? []), ...mounts]);
    const names = new Set(transferred.map(({ name }) => name));
    transferred.push(...[...(earlier?.env ?? []), ...env].filter(({ name }) => !names.has(name)));
  }
  changes.env = withTransferred(container.env ?? [], earlier === undefined ? transferred : inOrderOf(earlier.env ?? [], transferred));
  if (template.sharesDevices) {
    const devices = [...(earlier?.volumeDevices ?? []), ...view.shared().devices];
    changes.volumeDevices = withSharedDevices(container, changes.volumeMounts ?? container.volumeMounts, devices);
  }
  for (const field of ["volumeMounts", "volumeDevices"] as const) if (changes[field]?.length === 0) delete changes[field];
  return { ok: true, containers: finished(template, { ...container, ...changes }) };
}

/**
 * What the same version made of the sidecar when the pod came by before. It has what it copied from a container of its name, or of another
 * sidecar's, that it has replaced since: nothing else in the pod still knows that.
 */
function earlierOf({ name, idleImage }: Template, { spec }: Readonly<Pod>): Container | undefined {
  const wanted = idleImage === undefined ? name : twinNames(name)[0];
  const found = [...spec.containers, ...(spec.initContainers ?? [])].find((container) => container.name === wanted);
  if (found === undefined || !isMarkedInjected(found)) return undefined;
  return idleImage === undefined ? found : { ...found, env: itemsOf(found.env).slice(0, -twinVariables) as EnvVar[] };
}

function inOrderOf(before: readonly EnvVar[], variables: readonly EnvVar[]): readonly EnvVar[] {
  const places = new Map(before.map(({ name }, index) => [name, index]));
  const placeOf = ({ name }: EnvVar): number => places.get(name) ?? before.length;
  return [...variables].sort((a, b) => placeOf(a) - placeOf(b));
}

/** Its own paths stay its own. */
function withSharedMounts({ volumeMounts = [], volumeDevices = [] }: Container, shared: readonly VolumeMount[]): VolumeMount[] {
  const used = new Set([...volumeMounts.map(({ mountPath }) => mountPath), ...volumeDevices.map(({ devicePath }) => devicePath)]);
  const mounts = [...volumeMounts];
  for (const mount of shared) {
    if (used.has(mount.mountPath)) continue;
    used.add(mount.mountPath);
    mounts.push(mount);
  }
  return mounts;
}

function withSharedDevices(
  { volumeDevices = [] }: Container,
  mounts: readonly VolumeMount[] = [],
  shared: readonly VolumeDevice[],
): VolumeDevice[] {
  const used = new Set([...volumeDevices.map(({ devicePath }) => devicePath), ...mounts.map(({ mountPath }) => mountPath)]);
  const devices = [...volumeDevices];
  for (const device of shared) {
    if (used.has(device.devicePath)) continue;
    used.add(device.devicePath);
    devices.push(device);
  }
  return devices;
}

/** A sidecar's own variables win. */
function withTransferred(own: readonly EnvVar[], transferred: readonly EnvVar[]): EnvVar[] {
  const env = [...own];
  const names = new Set(own.map(({ name }) => name));
  for (const variable of transferred) {
    if (names.has(variable.name)) continue;
    names.add(variable.name);
    env.push(variable);
  }
  return env;
}

function transferredEnv({ transfers }: Template, { pod }: PodView, earlier: Container | undefined): EnvVar[] {
  const found: EnvVar[] = [];
  for (const transfer of transfers) {
    const source = sourceName(transfer, pod);
    const named = pod.spec.containers.find((candidate) => candidate.name === source);
    // Sidecars do not copy from each other: whether one of them is there already depends on how often the pod came by.
    const container = named !== undefined && isMarkedInjected(named) ? earlier : named;
    if (container === undefined) continue;
    for (const wanted of transfer.names) {
      const variable = variableOf(container, wanted);
      if (variable !== undefined) found.push(variable);
    }
  }
  return found;
}

function sourceName({ source }: Transfer, { metadata }: Readonly<Pod>): string {
  if ("name" in source) return source.name;
  return textOf(getOwn(metadata[source.from] ?? {}, source.key));
}
