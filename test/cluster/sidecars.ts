/**
 * A namespace whose pods SidecarSets select, watched: `const yard = await openYard(rig)`, `await yard.set({ containers: […] })`,
 * `await yard.pod("p")`, and `await yard.until("…", () => …)` over what the watches showed last.
 */
import { annotation } from "../../src/api/names.ts";
import type { SidecarSet, SidecarSetStatus } from "../../src/api/sidecarset.ts";
import type { Condition, Container, ControllerRevision, Pod } from "../../src/kube/types.ts";
import { Mirror, until } from "../lib/mirror.ts";
import { type Event, isReady, type Loose } from "../lib/shop.ts";
import { type Rig, waitFor } from "../rig/index.ts";

export const setPath = (name: string, version = "v1beta1"): string => `/apis/apps.kruise.io/${version}/sidecarsets/${name}`;
const setsPath = (version: string): string => setPath("", version).slice(0, -1);
const whitelistPath = "/api/v1/namespaces/kruise-system/configmaps/kruise-configuration";

/** Lets SidecarSets patch these annotations; undefined: there is no such rule. */
export async function whitelist(rig: Rig, rules: readonly object[] | undefined): Promise<void> {
  if (rules === undefined) return rig.admin.delete(whitelistPath);
  await rig.apply({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "kruise-configuration", namespace: "kruise-system" },
    data: { SidecarSet_PatchPodMetadata_WhiteList: JSON.stringify({ rules }) },
  });
}

export interface SetOptions {
  /** Of several sets in one yard. */
  readonly suffix?: string;
  readonly version?: "v1alpha1" | "v1beta1";
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
}

export interface PodOptions {
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly containers?: readonly Loose[];
  readonly spec?: Loose;
}

export const sidecar = (image = "side:v1", more: Loose = {}): Loose => ({ name: "side", image, ...more });
export const env = (container: Container | undefined): Record<string, unknown> =>
  Object.fromEntries((container?.env ?? []).map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
export const containerNames = (pod: Pod): string[] => pod.spec.containers.map(({ name }) => name);
export const imageIn = (pod: Pod, name = "side"): string => containerIn(pod, name)?.image ?? "";
export const containerIn = (pod: Pod, name: string): Container | undefined =>
  [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find((container) => container.name === name);
export const note = (pod: Pod, key: string): string => pod.metadata.annotations?.[key] ?? "";
/** One set's entry in the pod's record of versions. */
export function entryOf(pod: Pod, set: string): { hash?: string; sidecarList?: string[]; controllerRevision?: string } {
  return (JSON.parse(note(pod, annotation.sidecarSetHash) || "{}") as Record<string, object>)[set] ?? {};
}

export async function openYard(rig: Rig): Promise<Yard> {
  const namespace = await rig.namespace("yard");
  const [sets, pods] = await Promise.all([
    Mirror.start<SidecarSet>(rig.admin, setsPath("v1beta1")),
    Mirror.start<Pod>(rig.admin, `/api/v1/namespaces/${namespace}/pods`),
  ]);
  return new Yard(rig, namespace, sets, pods);
}

export class Yard {
  constructor(
    readonly rig: Rig,
    readonly namespace: string,
    private readonly sets: Mirror<SidecarSet>,
    readonly podMirror: Mirror<Pod>,
  ) {}

  /** Of a SidecarSet: unique in the cluster. */
  name(suffix = ""): string {
    return suffix === "" ? this.namespace : `${this.namespace}-${suffix}`;
  }
  /** Label `app` of all pods, and what the sets select unless told otherwise. */
  get app(): string {
    return this.namespace;
  }

  manifest(spec: Loose, { suffix = "", version = "v1beta1", labels, annotations }: SetOptions = {}) {
    return {
      apiVersion: `apps.kruise.io/${version}`,
      kind: "SidecarSet",
      metadata: {
        name: this.name(suffix),
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
      },
      spec: { selector: { matchLabels: { app: this.app } }, ...spec },
    };
  }

  /** Creates a SidecarSet and waits until the manager knows it. */
  async set(spec: Loose = { containers: [sidecar()] }, options: SetOptions = {}): Promise<SidecarSet> {
    const { version = "v1beta1", suffix } = options;
    await this.rig.admin.create(setsPath(version), this.manifest(spec, options));
    return this.observed(suffix);
  }
  /** "accepted", or the server's words; nothing is written. */
  async tryCreate(spec: Loose, options: SetOptions = {}): Promise<string> {
    const { version = "v1beta1" } = options;
    const path = `${setsPath(version)}?dryRun=All`;
    const { status, body } = await this.rig.admin.request<{ message: string }>("POST", path, this.manifest(spec, options));
    return status === 201 ? "accepted" : `${status} ${body.message}`;
  }
  async tryUpdate(patch: Loose, suffix = ""): Promise<string> {
    const path = `${setPath(this.name(suffix))}?dryRun=All`;
    const { status, body } = await this.rig.admin.request<{ message: string }>("PATCH", path, patch, "merge");
    return status === 200 ? "accepted" : `${status} ${body.message}`;
  }
  find(suffix = ""): SidecarSet | undefined {
    return this.sets.objects.find(({ metadata }) => metadata.name === this.name(suffix));
  }
  get(suffix = ""): SidecarSet {
    const set = this.find(suffix);
    if (set === undefined) throw new Error(`SidecarSet ${this.name(suffix)} is not there`);
    return set;
  }
  status(suffix = ""): SidecarSetStatus {
    return this.get(suffix).status ?? { matchedPods: 0, updatedPods: 0, readyPods: 0 };
  }
  /** matched, updated, ready, updated and ready */
  counts(suffix = ""): number[] {
    const { matchedPods, updatedPods, readyPods, updatedReadyPods = 0 } = this.status(suffix);
    return [matchedPods, updatedPods, readyPods, updatedReadyPods];
  }
  async observed(suffix = ""): Promise<SidecarSet> {
    await this.until(`SidecarSet ${this.name(suffix)} to be observed`, () => {
      const set = this.find(suffix);
      return set?.status?.observedGeneration !== undefined && set.status.observedGeneration === set.metadata.generation;
    });
    return this.get(suffix);
  }
  /** Merge patch, known to the manager when this returns. */
  async patchSet(patch: Loose, suffix = ""): Promise<SidecarSet> {
    const { metadata } = await this.rig.admin.patch<SidecarSet>(setPath(this.name(suffix)), patch, "merge");
    await this.until("the change to be seen", () => this.sets.has(metadata.resourceVersion));
    return this.observed(suffix);
  }
  update(spec: Loose, suffix = ""): Promise<SidecarSet> {
    return this.patchSet({ spec }, suffix);
  }
  /** The spec's first container gets another image. */
  setImage(image: string, suffix = ""): Promise<SidecarSet> {
    const [first, ...rest] = (this.get(suffix).spec.containers ?? []) as Loose[];
    return this.update({ containers: [{ ...first, image }, ...rest] }, suffix);
  }
  strategy(updateStrategy: Loose, suffix = ""): Promise<SidecarSet> {
    return this.update({ updateStrategy }, suffix);
  }
  async remove(suffix = ""): Promise<void> {
    await this.rig.admin.delete(setPath(this.name(suffix)));
    await this.until("the SidecarSet to be gone", () => this.find(suffix) === undefined);
  }

  podManifest(name: string, { labels, annotations, containers = [{ name: "main", image: "app:v1" }], spec }: PodOptions = {}) {
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { app: this.app, ...labels }, annotations },
      spec: { terminationGracePeriodSeconds: 1, containers, ...spec },
    };
  }
  /** As admitted; not yet started. */
  pod(name: string, options: PodOptions = {}): Promise<Pod> {
    return this.rig.admin.create<Pod>(this.podsPath, this.podManifest(name, options));
  }
  /** "accepted", or the server's words. */
  async tryPod(name: string, options: PodOptions = {}): Promise<string> {
    const path = `${this.podsPath}?dryRun=All`;
    const { status, body } = await this.rig.admin.request<{ message: string }>("POST", path, this.podManifest(name, options));
    return status === 201 ? "accepted" : `${status} ${body.message}`;
  }
  /** So many pods p0, p1, …, all ready and counted by the set. */
  async crowd(count: number, options: PodOptions = {}, suffix = ""): Promise<readonly Pod[]> {
    await Promise.all(Array.from({ length: count }, (_, index) => this.pod(`p${index}`, options)));
    await this.until(`${count} pods to be ready`, () => this.pods.filter(isReady).length === count);
    await this.until("the set to count them", () => this.status(suffix).readyPods === count);
    return this.pods;
  }
  get podsPath(): string {
    return `/api/v1/namespaces/${this.namespace}/pods`;
  }
  get pods(): Pod[] {
    return this.podMirror.objects.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }
  now(name: string): Pod {
    const pod = this.podMirror.objects.find(({ metadata }) => metadata.name === name);
    if (pod === undefined) throw new Error(`pod ${name} is not there`);
    return pod;
  }
  async patchPod(name: string, patch: Loose): Promise<Pod> {
    const pod = await this.rig.admin.patch<Pod>(`${this.podsPath}/${name}`, patch, "merge");
    await this.until("the pod's change to be seen", () => this.podMirror.has(pod.metadata.resourceVersion));
    return pod;
  }
  async deletePod(name: string, gracePeriodSeconds?: number): Promise<void> {
    const options = gracePeriodSeconds === undefined ? undefined : { gracePeriodSeconds };
    await this.rig.admin.delete(`${this.podsPath}/${name}`, options);
  }
  /** Names of pods whose sidecar has this image. */
  withImage(image: string, container = "side"): string[] {
    return this.pods.filter((pod) => imageIn(pod, container) === image).map(({ metadata }) => metadata.name);
  }
  /** In the order in which their sidecars got this image. */
  orderOf(image: string, container = "side"): string[] {
    const order = new Set<string>();
    for (const { object } of this.podMirror.changes) if (imageIn(object, container) === image) order.add(object.metadata.name);
    return [...order];
  }
  condition(name: string, type = "SidecarSetUpgradable"): Condition | undefined {
    return this.now(name).status?.conditions?.find((entry) => entry.type === type);
  }

  until<T>(what: string, holds: () => T, timeoutMs?: number) {
    return until([this.sets, this.podMirror], what, holds, {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      seen: () => this.describe(),
    });
  }
  untilCounts(counts: readonly number[], suffix = ""): Promise<unknown> {
    return this.until(`counts ${counts}`, () => this.counts(suffix).join() === counts.join());
  }
  /** Until the controller has come round once more, so that all that an earlier spec led to has happened. */
  async round(suffix = ""): Promise<void> {
    await this.update({ revisionHistoryLimit: (this.get(suffix).spec.revisionHistoryLimit ?? 10) + 1 }, suffix);
  }

  async revisions(suffix = ""): Promise<ControllerRevision[]> {
    const selector = encodeURIComponent(`kruise.io/sidecarset-name=${this.name(suffix)}`);
    const path = `/apis/apps/v1/namespaces/kruise-system/controllerrevisions?labelSelector=${selector}`;
    return (await this.rig.admin.list<ControllerRevision>(path)).sort((a, b) => a.revision - b.revision);
  }
  /** Of the SidecarSet or of a pod: events of cluster-scoped objects are in namespace default. */
  event(on: string, reason: string): Promise<Event> {
    return waitFor(`event ${reason} on ${on}`, async () => {
      const lists = ["default", this.namespace].map((namespace) => this.rig.admin.list<Event>(`/api/v1/namespaces/${namespace}/events`));
      return (await Promise.all(lists)).flat().find((event) => event.involvedObject.name === on && event.reason === reason);
    });
  }

  private describe(): string {
    const sets = this.sets.objects.filter(({ metadata }) => metadata.name.startsWith(this.namespace));
    const pods = this.podMirror.objects.map((pod) => {
      const images = pod.spec.containers.map(({ name, image }) => `${name}=${image}`).join(" ");
      return `  ${pod.metadata.name} ${pod.status?.phase} ${isReady(pod) ? "ready" : "not ready"} ${images} ${JSON.stringify(pod.metadata.annotations)}`;
    });
    return [
      ...sets.map(({ metadata, status }) => `${metadata.name} generation ${metadata.generation} ${JSON.stringify(status)}`),
      ...pods,
    ].join("\n");
  }
}
