/**
 * What a SidecarSet injects, made ready once for all pods: of its current spec, or of a revision. Whatever does not depend on the pod is
 * finished here, so that the creation of a pod costs little more than putting the pieces together.
 */
import { annotation, environmentVariable, sidecarVersionAltAnnotation, sidecarVersionAnnotation } from "../../api/names.ts";
import type {
  SidecarContainer,
  SidecarResourcesPolicy,
  SidecarSet,
  SidecarSetPatchPodMetadata,
  SidecarSetSpec,
} from "../../api/sidecarset.ts";
import { defaultPullPolicy } from "../../kube/image-ref.ts";
import { type Fields, fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { memo } from "../../kube/memo.ts";
import { isNativeSidecar } from "../../kube/pod.ts";
import type { Container, ControllerRevision, EnvVar, Volume } from "../../kube/types.ts";
import { hashesOf } from "./hash.ts";

export interface Content {
  /** The SidecarSet's name. */
  readonly set: string;
  readonly hash: string;
  readonly withoutImage: string;
  /** The name of the ControllerRevision; "" while the controller has not made one yet. */
  readonly revision: string;
  readonly parts: Parts;
}

export interface Parts {
  readonly initContainers: readonly Template[];
  readonly containers: readonly Template[];
  /** The sidecars that keep running, by name in order: what a pod's annotation lists. */
  readonly sidecarList: readonly string[];
  /** All names that its containers have in a pod, and those in the SidecarSet. */
  readonly names: ReadonlySet<string>;
  readonly pullSecrets: readonly { name?: string }[];
  readonly patches: readonly SidecarSetPatchPodMetadata[];
}

/** One container of a SidecarSet. */
export interface Template {
  readonly name: string;
  /** Before the pod's own containers. */
  readonly before: boolean;
  /** As in the pod, but for what depends on the pod. */
  readonly container: Container;
  /** Those that it mounts itself. */
  readonly volumes: readonly Volume[];
  readonly sharesMounts: boolean;
  readonly sharesDevices: boolean;
  readonly transfers: readonly Transfer[];
  readonly resourcesPolicy?: SidecarResourcesPolicy;
  /** Present: the container comes twice, and one of the two idles with this image. */
  readonly idleImage?: string;
  /** Finished: nothing depends on the pod. */
  readonly ready?: readonly Container[];
}

/** Variables to copy from a container of the pod. */
export interface Transfer {
  readonly source: { readonly name: string } | { readonly from: "labels" | "annotations"; readonly key: string };
  readonly names: readonly string[];
}

/** The current spec; one object for each version of the SidecarSet. */
export const currentContent: (set: Readonly<SidecarSet>) => Content = memo((set) => {
  const hash = annotationOf(set, annotation.sidecarSetHash);
  const withoutImage = annotationOf(set, annotation.sidecarSetHashWithoutImage);
  const hashes = hash === "" || withoutImage === "" ? hashesOf(set.spec) : { hash, withoutImage };
  return { set: set.metadata.name, ...hashes, revision: set.status?.latestRevision ?? "", parts: partsOf(set.spec) };
});

/** A version of the past: content comes from the revision, and hashes as they were then. One object for each version of the two. */
export function revisionContent(set: Readonly<SidecarSet>, revision: Readonly<ControllerRevision>): Content {
  return contentsOfRevisions(set)(revision);
}

const contentsOfRevisions = memo((set: Readonly<SidecarSet>) =>
  memo((revision: Readonly<ControllerRevision>): Content => {
    const spec = specOfRevision(revision);
    const hash = annotationOf(revision, annotation.sidecarSetHash);
    const withoutImage = annotationOf(revision, annotation.sidecarSetHashWithoutImage);
    const hashes = hash === "" || withoutImage === "" ? hashesOf(spec) : { hash, withoutImage };
    return { set: set.metadata.name, ...hashes, revision: revision.metadata.name, parts: partsOf(spec) };
  }),
);

export function specOfRevision(revision: Readonly<ControllerRevision>): SidecarSetSpec {
  const spec = fieldsOf(fieldsOf(revision.data)["spec"]);
  return spec as SidecarSetSpec;
}

function annotationOf(object: Readonly<SidecarSet | ControllerRevision>, key: string): string {
  return textOf(object.metadata.annotations?.[key]);
}

const partsOf: (spec: SidecarSetSpec) => Parts = memo((spec) => {
  const volumes = new Map(itemsOf(spec.volumes).map((volume) => [textOf(fieldsOf(volume)["name"]), volume as Volume]));
  const initContainers = containersOf(spec.initContainers).map((container) => templateOf(container, volumes, "init"));
  const containers = containersOf(spec.containers).map((container) => templateOf(container, volumes, "app"));
  const running = [...containersOf(spec.initContainers).filter(isNativeSidecar), ...containersOf(spec.containers)];
  const names = new Set<string>();
  for (const { name, idleImage } of [...initContainers, ...containers])
    for (const used of idleImage === undefined ? [name] : [name, ...twinNames(name)]) names.add(used);
  return {
    initContainers,
    containers,
    sidecarList: [...new Set(running.map(({ name }) => name))].sort(),
    names,
    pullSecrets: itemsOf(spec.imagePullSecrets).filter(isFields) as readonly { name?: string }[],
    patches: itemsOf(spec.patchPodMetadata).filter(isFields) as readonly SidecarSetPatchPodMetadata[],
  };
});

function containersOf(value: unknown): readonly SidecarContainer[] {
  return itemsOf(value).filter(isFields) as readonly unknown[] as readonly SidecarContainer[];
}

export function twinNames(name: string): readonly [string, string] {
  return [`${name}-1`, `${name}-2`];
}

export function isHot(container: Pick<SidecarContainer, "upgradeStrategy">): boolean {
  return container.upgradeStrategy?.upgradeType === "HotUpgrade";
}

const injectedMark: EnvVar = { name: environmentVariable.isInjected, value: "true" };

export function isMarkedInjected(container: Pick<Container, "env">): boolean {
  return itemsOf(container.env).some((entry) => isInjectedMark(entry as EnvVar));
}

function isInjectedMark(entry: EnvVar): boolean {
  return entry?.name === environmentVariable.isInjected && entry.value === "true";
}

function templateOf(sidecar: SidecarContainer, volumes: ReadonlyMap<string, Volume>, list: "init" | "app"): Template {
  const { podInjectPolicy, upgradeStrategy, shareVolumePolicy, shareVolumeDevicePolicy, transferEnv, resourcesPolicy, ...own } = sidecar;
  const env = itemsOf(own.env) as readonly EnvVar[];
  const container = { ...own, env: isMarkedInjected(own) ? [...env] : [...env, injectedMark] } as Container;
  const hot = isHot(sidecar) && (list === "app" || isNativeSidecar(sidecar));
  const template: Template = {
    name: sidecar.name,
    before: podInjectPolicy === "BeforeAppContainer",
    container,
    volumes: [...itemsOf(own.volumeMounts), ...itemsOf(own.volumeDevices)].flatMap(
      (mount) => volumes.get(textOf(fieldsOf(mount)["name"])) ?? [],
    ),
    sharesMounts: shareVolumePolicy?.type === "enabled",
    sharesDevices: shareVolumeDevicePolicy?.type === "enabled",
    transfers: itemsOf(transferEnv).flatMap(transferOf),
    ...(resourcesPolicy ? { resourcesPolicy } : {}),
    ...(hot ? { idleImage: upgradeStrategy?.hotUpgradeEmptyImage ?? "" } : {}),
  };
  const varies = template.sharesMounts || template.sharesDevices || template.transfers.length > 0 || template.resourcesPolicy !== undefined;
  return varies ? template : { ...template, ready: finished(template, container) };
}

const metadataPath = /^metadata\.(labels|annotations)\['(.*)'\]$/s;

function transferOf(value: unknown): readonly Transfer[] {
  const entry = fieldsOf(value);
  const names = new Set(itemsOf(entry["envNames"]).map(textOf));
  if (textOf(entry["envName"]) !== "") names.add(textOf(entry["envName"]));
  const fieldRef = fieldsOf(entry["sourceContainerNameFrom"])["fieldRef"];
  const sorted = [...names].sort();
  if (!isFields(fieldRef)) return [{ source: { name: textOf(entry["sourceContainerName"]) }, names: sorted }];
  const path = metadataPath.exec(textOf(fieldRef["fieldPath"]));
  return path === null ? [] : [{ source: { from: path[1] as "labels" | "annotations", key: path[2] as string }, names: sorted }];
}

/** The container, or its two twins: the first one works, the other idles. */
export function finished({ name, idleImage }: Template, container: Container): readonly Container[] {
  if (idleImage === undefined) return [lean(container)];
  const [worker, idler] = twinNames(name);
  return [twin(container, worker, container.image), twin(container, idler, idleImage)];
}

/** So many variables come last in a twin. */
export const twinVariables = 2;

function twin(container: Container, name: string, image: string | undefined): Container {
  const env = [
    ...(container.env ?? []),
    versionVariable(environmentVariable.sidecarSetVersion, sidecarVersionAnnotation(name)),
    versionVariable(environmentVariable.sidecarSetVersionAlt, sidecarVersionAltAnnotation(name)),
  ];
  return lean({ ...container, name, image, env });
}

function versionVariable(name: string, key: string): EnvVar {
  return { name, valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: `metadata.annotations['${key}']` } } };
}

/** Without what the API server fills in the same way: every byte of it would travel with every pod. */
function lean(container: Container): Container {
  const slim: Record<string, unknown> = { ...(container as unknown as Fields) };
  if (container.terminationMessagePath === "/dev/termination-log") delete slim["terminationMessagePath"];
  if (container.terminationMessagePolicy === "File") delete slim["terminationMessagePolicy"];
  if (container.imagePullPolicy === defaultPullPolicy(textOf(container.image))) delete slim["imagePullPolicy"];
  if (isFields(slim["resources"]) && Object.keys(slim["resources"]).length === 0) delete slim["resources"];
  return slim as unknown as Container;
}
