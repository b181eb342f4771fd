/**
 * A namespace with one CloneSet in it, watched: `const shop = await openShop(rig, { replicas: 3 })`, then `await shop.update({ … })` and
 * `await shop.until("…", () => …)` over `shop.pods` and `shop.status`, which are always what the watch showed last.
 */
import type { CloneSet, CloneSetRollingUpdate, CloneSetSpec, CloneSetStatus } from "../../src/api/cloneset.ts";
import { annotation, label, lifecycleState } from "../../src/api/names.ts";
import { podConditionStatus } from "../../src/kube/pod.ts";
import type { Condition, ControllerRevision, PersistentVolumeClaim, Pod, PodTemplateSpec } from "../../src/kube/types.ts";
import { podAnnotations, type Rig, waitFor } from "../rig/index.ts";
import { Mirror, until } from "./mirror.ts";

export type Loose = Record<string, unknown>;

export interface ShopOptions {
  /** Of the CloneSet. Default "web". */
  readonly name?: string;
  readonly version?: "v1alpha1" | "v1beta1";
  readonly replicas?: number;
  readonly image?: string;
  /** spec.updateStrategy.rollingUpdate, in v1alpha1 spec.updateStrategy itself. */
  readonly rolling?: Loose;
  /** Over the whole spec. */
  readonly spec?: Loose;
  /** Over the template's spec. */
  readonly pod?: Loose;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  /** Of the pods, next to labels and annotations. */
  readonly podMetadata?: Loose;
  /** Of the CloneSet. */
  readonly metadata?: Loose;
  readonly namespace?: string;
  /** Do not wait for the pods. */
  readonly wait?: boolean;
}

export interface Event {
  type: string;
  reason: string;
  message: string;
  count?: number;
  source?: { component?: string };
  involvedObject: { kind: string; name: string };
}

export const lifecycleOf = (pod: Pod): string => pod.metadata.labels?.[label.lifecycleState] ?? "";
export const revisionOf = (pod: Pod): string => pod.metadata.labels?.[label.controllerRevisionHash] ?? "";
export const idOf = (object: { metadata: { labels?: Record<string, string> } }): string =>
  object.metadata.labels?.[label.cloneSetInstanceId] ?? "";
export const imageOf = (pod: Pod, container = 0): string => pod.spec.containers[container]?.image ?? "";
export const restartsOf = (pod: Pod, container = 0): number => pod.status?.containerStatuses?.[container]?.restartCount ?? 0;
export const conditionOf = (pod: Pod, type: string): Condition | undefined => pod.status?.conditions?.find((entry) => entry.type === type);
export const isReady = (pod: Pod): boolean => podConditionStatus(pod, "Ready") === "True";
export const isActive = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined && pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed";
/** As the specification counts, minReadySeconds aside; written out here so that the product does not judge itself. */
export const isAvailable = (pod: Pod): boolean =>
  isActive(pod) &&
  pod.status?.phase === "Running" &&
  isReady(pod) &&
  ["", lifecycleState.normal].includes(lifecycleOf(pod)) &&
  (conditionOf(pod, "InPlaceUpdateReady")?.status ?? "True") === "True";
export const names = (objects: readonly { metadata: { name: string } }[]): string[] => objects.map(({ metadata }) => metadata.name).sort();

export function cloneSetManifest(namespace: string, options: ShopOptions = {}) {
  const { name = "web", version = "v1beta1", image = "app:v1", rolling } = options;
  const strategy = version === "v1alpha1" ? rolling : { rollingUpdate: rolling };
  return {
    apiVersion: `apps.kruise.io/${version}`,
    kind: "CloneSet",
    metadata: { name, namespace, ...options.metadata },
    spec: {
      replicas: options.replicas ?? 1,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name, ...options.labels }, annotations: options.annotations, ...options.podMetadata },
        spec: { containers: [{ name: "main", image }], ...options.pod },
      },
      ...(rolling === undefined ? {} : { updateStrategy: strategy }),
      ...options.spec,
    },
  };
}

export const cloneSetPath = (namespace: string, name = "web", version = "v1beta1"): string =>
  `/apis/apps.kruise.io/${version}/namespaces/${namespace}/clonesets/${name}`;

export async function openShop(rig: Rig, options: ShopOptions = {}): Promise<Shop> {
  const namespace = options.namespace ?? (await rig.namespace());
  const { name = "web", version = "v1beta1" } = options;
  const shop = await Shop.watch(rig, namespace, name);
  await rig.admin.create(cloneSetPath(namespace, "", version).slice(0, -1), cloneSetManifest(namespace, options));
  await shop.until("the CloneSet to be there", () => shop.found);
  if (options.wait !== false) await shop.settled();
  return shop;
}

export class Shop {
  private constructor(
    readonly rig: Rig,
    readonly namespace: string,
    readonly name: string,
    private readonly cloneSets: Mirror<CloneSet>,
    readonly podMirror: Mirror<Pod>,
  ) {}

  static async watch(rig: Rig, namespace: string, name = "web"): Promise<Shop> {
    const [cloneSets, pods] = await Promise.all([
      Mirror.start<CloneSet>(rig.admin, `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/clonesets`),
      Mirror.start<Pod>(rig.admin, `/api/v1/namespaces/${namespace}/pods`),
    ]);
    return new Shop(rig, namespace, name, cloneSets, pods);
  }

  get path(): string {
    return cloneSetPath(this.namespace, this.name);
  }
  get found(): CloneSet | undefined {
    return this.cloneSets.objects.find(({ metadata }) => metadata.name === this.name);
  }
  get cloneSet(): CloneSet {
    if (this.found === undefined) throw new Error(`CloneSet ${this.name} is not there`);
    return this.found;
  }
  get spec(): CloneSetSpec {
    return this.cloneSet.spec;
  }
  get rolling(): CloneSetRollingUpdate {
    return this.spec.updateStrategy?.rollingUpdate ?? {};
  }
  get status(): CloneSetStatus {
    return this.cloneSet.status ?? ({} as CloneSetStatus);
  }
  /** Every version of the CloneSet since the start. */
  get versions(): CloneSet[] {
    return this.cloneSets.changes.map(({ object }) => object);
  }
  /** Active ones, by name. */
  get pods(): Pod[] {
    return this.podMirror.objects.filter(isActive);
  }
  get allPods(): Pod[] {
    return this.podMirror.objects;
  }
  pod(name: string): Pod {
    const pod = this.podMirror.objects.find(({ metadata }) => metadata.name === name);
    if (pod === undefined) throw new Error(`pod ${name} is not there`);
    return pod;
  }
  /** Every version of one pod since the start. */
  historyOf(name: string): Pod[] {
    return this.podMirror.changes.filter(({ object }) => object.metadata.name === name).map(({ object }) => object);
  }
  condition(type: string) {
    return this.status.conditions?.find((entry) => entry.type === type);
  }
  podPath(name: string): string {
    return `/api/v1/namespaces/${this.namespace}/pods/${name}`;
  }

  until<T>(what: string, holds: () => T, timeoutMs?: number) {
    return until([this.cloneSets, this.podMirror], what, holds, {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      seen: () => this.describe(),
    });
  }

  /** The controller has looked at the newest spec. */
  get observed(): boolean {
    return this.status.observedGeneration === this.cloneSet.metadata.generation;
  }

  /** All pods are there and available, as many are updated as the partition allows, and nobody is on the way out. */
  settled(timeoutMs?: number): Promise<true> {
    return this.until(
      "the CloneSet to come to rest",
      () => {
        const { replicas = 1 } = this.spec;
        const { status, pods } = this;
        // With one revision only, a partition keeps nobody back.
        const updated = status.currentRevision === status.updateRevision ? replicas : status.expectedUpdatedReplicas;
        return (
          this.observed &&
          status.replicas === replicas &&
          status.availableReplicas === replicas &&
          status.updatedReplicas === updated &&
          pods.length === replicas &&
          !this.allPods.some(({ metadata }) => metadata.deletionTimestamp !== undefined) &&
          pods.every(isAvailable)
        );
      },
      timeoutMs,
    );
  }

  /** Merge patch of the spec, in v1beta1; seen by the watch when it returns. */
  update(spec: Loose): Promise<CloneSet> {
    return this.patch({ spec });
  }
  async patch(patch: Loose): Promise<CloneSet> {
    return this.seen(await this.rig.admin.patch<CloneSet>(this.path, patch, "merge"));
  }
  updateRolling(rollingUpdate: Loose): Promise<CloneSet> {
    return this.update({ updateStrategy: { rollingUpdate } });
  }
  /** Replaces the template's containers by a single one, or by those given. */
  setImage(image: string, ...more: Loose[]): Promise<CloneSet> {
    return this.update({ template: { spec: { containers: [{ name: "main", image }, ...more] } } });
  }
  setTemplate(template: Loose): Promise<CloneSet> {
    return this.update({ template });
  }
  private async seen(cloneSet: CloneSet): Promise<CloneSet> {
    await this.until("the change to be seen", () => this.cloneSets.has(cloneSet.metadata.resourceVersion));
    return cloneSet;
  }

  async patchPod(name: string, patch: Loose, subresource = ""): Promise<Pod> {
    const pod = await this.rig.admin.patch<Pod>(this.podPath(name) + subresource, patch, "merge");
    await this.until("the pod's change to be seen", () => this.podMirror.has(pod.metadata.resourceVersion));
    return pod;
  }
  labelPod(name: string, labels: Record<string, string | null>): Promise<Pod> {
    return this.patchPod(name, { metadata: { labels } });
  }
  annotatePod(name: string, annotations: Record<string, string | null>): Promise<Pod> {
    return this.patchPod(name, { metadata: { annotations } });
  }
  markForDeletion(name: string): Promise<Pod> {
    return this.labelPod(name, { [label.specifiedDelete]: "true" });
  }
  /** As a kubelet that evicts it. */
  failPod(name: string): Promise<Pod> {
    return this.patchPod(name, { status: { phase: "Failed", reason: "Evicted" } }, "/status");
  }
  /** Its containers run on, and it stops being ready, or is again. */
  async setReady(name: string, ready: boolean): Promise<void> {
    await this.annotatePod(name, { [podAnnotations.neverReady]: ready ? null : "true" });
    await this.until(`pod ${name} to be ${ready ? "" : "not "}ready`, () => isReady(this.pod(name)) === ready);
  }
  async deletePod(name: string): Promise<void> {
    await this.rig.admin.delete(this.podPath(name));
  }

  /**
   * Until the controller has come round once more: a harmless change of the spec has been observed, so that all that an earlier spec led to
   * has happened.
   */
  async round(): Promise<void> {
    await this.update({ revisionHistoryLimit: (this.spec.revisionHistoryLimit ?? 10) + 1 });
    await this.until("the controller to come round", () => this.observed);
  }

  revisions(): Promise<ControllerRevision[]> {
    return this.rig.admin.list<ControllerRevision>(`/apis/apps/v1/namespaces/${this.namespace}/controllerrevisions`);
  }
  claims(): Promise<PersistentVolumeClaim[]> {
    return this.rig.admin.list<PersistentVolumeClaim>(`/api/v1/namespaces/${this.namespace}/persistentvolumeclaims`);
  }
  /** Events of the CloneSet with this reason. */
  async events(reason: string): Promise<Event[]> {
    const events = await this.rig.admin.list<Event>(`/api/v1/namespaces/${this.namespace}/events`);
    return events.filter(({ involvedObject, reason: own }) => involvedObject.kind === "CloneSet" && own === reason);
  }
  /** Events are written a moment after what they tell. */
  async eventually(reason: string, text = ""): Promise<Event> {
    return waitFor(`event ${reason} ${text}`, async () => (await this.events(reason)).find(({ message }) => message.includes(text)));
  }

  close(): void {
    this.cloneSets.close();
    this.podMirror.close();
  }

  private describe(): string {
    const { conditions, ...figures } = this.found?.status ?? ({} as CloneSetStatus);
    const lines = this.allPods.map((pod) => {
      const marks = [
        revisionOf(pod),
        lifecycleOf(pod),
        imageOf(pod),
        pod.status?.phase ?? "no phase",
        isReady(pod) ? "ready" : "not ready",
        ...(pod.metadata.deletionTimestamp === undefined ? [] : ["terminating"]),
        ...(pod.metadata.labels?.[label.specifiedDelete] === undefined ? [] : ["specified-delete"]),
        ...(pod.metadata.annotations?.[annotation.inPlaceUpdateGrace] === undefined ? [] : ["in grace"]),
      ];
      return `  ${pod.metadata.name}: ${marks.join(" ")}`;
    });
    const text = [
      `generation ${this.found?.metadata.generation}, status ${JSON.stringify(figures)}`,
      JSON.stringify(conditions ?? []),
      ...lines,
    ];
    return text.join("\n");
  }
}

// ---- invariants

export interface Budget {
  readonly replicas: number;
  readonly unavailableMax?: number;
  readonly surgeMax?: number;
  /** At most so many pods of this revision. */
  readonly updatedMax?: { readonly revision: () => string; readonly count: number };
}

/**
 * Watches over a budget at every version of every pod. What it finds is kept; look at the end.
 * The mirror sees pods in the order of the server, as the manager does: a plan made from any prefix has to keep the budget in all of them.
 */
export function watchBudget(shop: Pick<Shop, "podMirror">, budget: Budget): { readonly broken: string[]; stop(): void } {
  const broken: string[] = [];
  const { replicas, unavailableMax, surgeMax, updatedMax } = budget;
  const look = (): void => {
    const active = shop.podMirror.objects.filter(isActive);
    const available = active.filter(isAvailable).length;
    const tell = (what: string): void => {
      broken.push(`${what}: ${active.map((pod) => `${pod.metadata.name} ${lifecycleOf(pod)} ${isReady(pod)}`).join(", ")}`);
    };
    if (unavailableMax !== undefined && available < replicas - unavailableMax) tell(`${available} of ${replicas} available`);
    if (surgeMax !== undefined && active.length > replicas + surgeMax) tell(`${active.length} pods for ${replicas} replicas`);
    if (updatedMax === undefined) return;
    const updated = active.filter((pod) => revisionOf(pod) === updatedMax.revision()).length;
    if (updated > updatedMax.count) tell(`${updated} pods updated`);
  };
  return { broken, stop: shop.podMirror.listen(look) };
}

export type { Pod, PodTemplateSpec };
