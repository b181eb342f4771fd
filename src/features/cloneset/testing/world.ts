/** A world of pods for tests: carries out plans as the server would, and plays kubelet. No time passes but what the test lets pass. */
import type { CloneSet, CloneSetRollingUpdate } from "../../../api/cloneset.ts";
import { cloneSets } from "../../../api/cloneset.ts";
import { type GateName, gatesWith } from "../../../api/gates.ts";
import { label } from "../../../api/names.ts";
import { defaultSettings, type Settings } from "../../../api/settings.ts";
import type { Action, Outcome, Plan, Step } from "../../../engine/plan.ts";
import { volumeClaimTemplatesHash } from "../../../kube/canonical/hash.ts";
import { type Fields, fieldsOf, isFields, itemsOf } from "../../../kube/json.ts";
import { matchEverything } from "../../../kube/selector.ts";
import { formatTime } from "../../../kube/time.ts";
import type { Condition, ControllerRevision, KubeObject, PersistentVolumeClaim, Pod } from "../../../kube/types.ts";
import { chooseRevisions } from "../../../workload/revision/index.ts";
import { plan } from "../plan.ts";
import type { Observed } from "../world.ts";

export type AllowedGates = Partial<Record<GateName, boolean>>;

export const settingsWith = (gates: AllowedGates = {}, more: Partial<Settings> = {}): Settings =>
  defaultSettings({ gates: gatesWith(gates), ...more });

type Spec = CloneSet["spec"];

export const startMs = Date.parse("2024-05-01T10:00:00Z");

export function cloneSetWith(spec: Partial<Spec>, image = "app:v1"): CloneSet {
  return {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: {
      name: "web",
      namespace: "shop",
      uid: "uid-web",
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2024-05-01T09:00:00Z",
    },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image }] } },
      ...spec,
    },
  };
}

export class World {
  cloneSet: CloneSet;
  settings: Settings;
  readonly pods = new Map<string, Pod>();
  readonly claims = new Map<string, PersistentVolumeClaim>();
  readonly revisions = new Map<string, ControllerRevision>();
  nowMs = startMs;
  seed = 0.5;
  nodeLabels: Record<string, Record<string, string>> = {};
  #version = 10;
  #names = 0;
  /** Called after each write that happened. */
  afterWrite: (action: Action, pod: Pod | undefined) => void = () => undefined;
  /** Called before each write of an action; false: the server refuses it. */
  accepts: (action: Action) => boolean = () => true;

  constructor(cloneSet: CloneSet, settings: Settings = settingsWith()) {
    this.cloneSet = cloneSet;
    this.settings = settings;
  }

  #stamp<T extends KubeObject>(object: T): T {
    this.#version += 1;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
  }

  setTemplate(image: string): void {
    const { template } = this.cloneSet.spec;
    this.setSpec({ template: { ...template, spec: { ...template.spec, containers: [{ name: "main", image }] } } });
  }

  setSpec(spec: Partial<Spec>): void {
    const metadata = { ...this.cloneSet.metadata, generation: (this.cloneSet.metadata.generation ?? 0) + 1 };
    this.cloneSet = this.#stamp({ ...this.cloneSet, metadata, spec: { ...this.cloneSet.spec, ...spec } });
  }

  observe(): Observed {
    const { metadata, spec, status } = this.cloneSet;
    return {
      cloneSet: this.cloneSet,
      settings: this.settings,
      pods: [...this.pods.values()].filter((pod) => pod.metadata.ownerReferences?.[0]?.uid === metadata.uid),
      claims: [...this.claims.values()].filter(
        (claim) => claim.metadata.ownerReferences?.[0]?.uid === metadata.uid && claim.metadata.deletionTimestamp === undefined,
      ),
      claimsInDoubt: new Set(),
      revisions: chooseRevisions({
        owner: { of: cloneSets, metadata },
        template: spec.template,
        labels: spec.template.metadata?.labels,
        claimTemplatesHash: volumeClaimTemplatesHash(spec.volumeClaimTemplates ?? []),
        existing: [...this.revisions.values()].filter((revision) => matchEverything.matches(revision.metadata.labels)),
        currentName: status?.currentRevision,
        collisionCount: status?.collisionCount,
      }),
      seed: this.seed,
      podNamed: (name) => this.pods.get(name),
      nodeLabel: (node, key) => this.nodeLabels[node]?.[key],
    };
  }

  plan(): Plan<CloneSet["status"]> {
    this.seed = (this.seed * 16807 + 0.123) % 1;
    return plan(this.observe(), this.nowMs) as Plan<CloneSet["status"]>;
  }

  /** Plans once and carries it out. */
  round(): Plan<CloneSet["status"]> {
    const planned = this.plan();
    const outcomes = this.act(planned.actions);
    const status = planned.status?.(outcomes);
    if (status !== undefined) this.cloneSet = this.#stamp({ ...this.cloneSet, status });
    return planned;
  }

  act(actions: readonly Action[]): readonly Outcome[] {
    const done = new Map<string, boolean>();
    return actions.map((action) => {
      const ready = (action.after ?? []).every((id) => done.get(id) === true);
      const outcome: Outcome = ready ? this.#perform(action) : { action, result: "skipped" };
      done.set(action.id, outcome.result === "done");
      return outcome;
    });
  }

  #perform(action: Action): Outcome {
    if (!this.accepts(action)) {
      return { action, result: "failed", failure: { ok: false, why: "denied", code: 403, reason: "Forbidden", message: "refused" } };
    }
    switch (action.do) {
      case "create":
        return this.#create(action);
      case "delete": {
        const map = this.#map(action.on.of.kind);
        const object = map.get(action.on.name);
        if (object !== undefined && object.metadata.uid === action.on.uid) {
          if (action.resourceVersion !== undefined && object.metadata.resourceVersion !== action.resourceVersion)
            throw new Error("stale delete");
          if (action.on.of.kind === "Pod") map.set(action.on.name, this.#stamp(withDeletion(object, this.nowMs)));
          else map.delete(action.on.name);
        }
        this.afterWrite(action, this.pods.get(action.on.name));
        return { action, result: "done" };
      }
      case "evict":
        throw new Error("a CloneSet evicts nobody");
      case "change": {
        let { ofVersion } = action;
        for (const step of action.steps) {
          const before = this.#map(action.on.of.kind).get(action.on.name);
          const wanted = ("ofVersion" in step ? step.ofVersion : undefined) ?? ofVersion;
          if (before !== undefined && wanted !== undefined && wanted !== before.metadata.resourceVersion)
            return { action, result: "failed", failure: { ok: false, why: "conflict", message: "it is another version" } };
          const problem = this.#step(action.on.of.kind, action.on.name, step);
          if (this.#map(action.on.of.kind).get(action.on.name) !== before) ofVersion = undefined;
          if (problem !== undefined) {
            return { action, result: "failed", failure: { ok: false, why: "denied", code: 0, reason: "Refused", message: problem } };
          }
          this.afterWrite(action, this.pods.get(action.on.name));
        }
        return { action, result: "done" };
      }
    }
  }

  #create(action: Extract<Action, { do: "create" }>): Outcome {
    const map = this.#map(action.of.kind);
    const name = action.object.metadata.name as string;
    if (map.has(name)) {
      return { action, result: "failed", failure: { ok: false, why: "alreadyExists", message: `${name} already exists` } };
    }
    this.#names += 1;
    const metadata = { ...action.object.metadata, uid: `uid-${this.#names}`, creationTimestamp: formatTime(this.nowMs) };
    map.set(name, this.#stamp({ ...action.object, metadata } as unknown as KubeObject));
    if (action.of.kind === "Pod") this.pods.set(name, { ...(this.pods.get(name) as Pod), status: { phase: "Pending" } });
    this.afterWrite(action, this.pods.get(name));
    return { action, result: "done" };
  }

  #map(kind: string): Map<string, KubeObject> {
    const maps: Record<string, unknown> = { Pod: this.pods, PersistentVolumeClaim: this.claims, ControllerRevision: this.revisions };
    if (kind === "CloneSet") {
      return { get: () => this.cloneSet, set: (_: string, value: CloneSet) => (this.cloneSet = value) } as unknown as Map<
        string,
        KubeObject
      >;
    }
    return maps[kind] as Map<string, KubeObject>;
  }

  #step(kind: string, name: string, step: Step): string | undefined {
    const map = this.#map(kind);
    const fresh = map.get(name);
    if (fresh === undefined) return undefined;
    if ("conditions" in step) {
      const wanted = step.conditions(fresh) ?? [];
      const status = fieldsOf(fieldsOf(fresh)["status"]);
      const merged = [...(itemsOf(status["conditions"]) as Condition[])];
      for (const condition of wanted) setCondition(merged, condition);
      map.set(name, this.#stamp({ ...fresh, status: { ...status, conditions: merged } } as KubeObject));
      return undefined;
    }
    const write = step.write(fresh);
    if (write === undefined || typeof write === "string") return write;
    if ("put" in write) map.set(name, this.#stamp(write.put));
    else if (write.patch === "json") map.set(name, this.#stamp(jsonPatched(fresh, write.body as JsonOperation[])));
    else map.set(name, this.#stamp(merged(fresh, write.body) as KubeObject));
    return undefined;
  }

  // ---- the node's part

  /** What users, nodes and others make of a pod. */
  edit(name: string, change: (pod: Pod) => Pod): void {
    const pod = this.pods.get(name);
    if (pod !== undefined) this.pods.set(name, this.#stamp(change(pod)));
  }

  setLabel(name: string, key: string, value: string | undefined): void {
    this.edit(name, (pod) => {
      const labels = { ...pod.metadata.labels };
      if (value === undefined) delete labels[key];
      else labels[key] = value;
      return { ...pod, metadata: { ...pod.metadata, labels } };
    });
  }

  /** Schedules, starts, restarts and reports one pod, and removes it when it is terminating. `healthy: false`: its container is not ready. */
  sync(name: string, healthy = true): void {
    const pod = this.pods.get(name);
    if (pod === undefined) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      if ((pod.metadata.finalizers ?? []).length === 0) this.pods.delete(name);
      return;
    }
    if (pod.status?.phase === "Failed") return;
    const conditions = [...(pod.status?.conditions ?? [])];
    setCondition(conditions, { type: "ContainersReady", status: healthy ? "True" : "False" });
    const gated = (pod.spec.readinessGates ?? []).every(
      ({ conditionType }) => conditions.find(({ type }) => type === conditionType)?.status === "True",
    );
    const status = healthy && gated ? "True" : "False";
    const ready = conditions.find(({ type }) => type === "Ready");
    if (ready?.status !== status) setCondition(conditions, { type: "Ready", status, lastTransitionTime: formatTime(this.nowMs) });
    const containerStatuses = pod.spec.containers.map((container) => ({
      name: container.name,
      ready: healthy,
      restartCount: 0,
      image: container.image ?? "",
      imageID: `sha256:${container.image}`,
    }));
    this.edit(name, () => ({
      ...pod,
      spec: { ...pod.spec, nodeName: pod.spec.nodeName ?? `node-${name.length % 3}` },
      status: { ...pod.status, phase: "Running", conditions, containerStatuses },
    }));
  }

  syncAll(): void {
    for (const name of [...this.pods.keys()]) this.sync(name);
  }

  /** Rounds and nodes in turn until plans have nothing to do, also with what nodes report after them; throws when that does not come. */
  settle(roundsMax = 200, passMs = 1000): Plan<CloneSet["status"]> {
    let quietRounds = 0;
    for (let round = 0; round < roundsMax; round++) {
      const before = this.#version;
      const planned = this.round();
      this.syncAll();
      this.nowMs += passMs;
      quietRounds = planned.actions.length === 0 && isQuiet(before, this.#version, this.pods.size) ? quietRounds + 1 : 0;
      if (quietRounds === 2) return planned;
    }
    throw new Error(`does not come to rest: ${JSON.stringify([...this.pods.values()].map((pod) => pod.metadata.labels))}`);
  }
}

/** Only the status and the nodes' reports were written. */
const isQuiet = (before: number, after: number, pods: number): boolean => after - before <= pods + 1;

function withDeletion<T extends KubeObject>(object: T, nowMs: number): T {
  return { ...object, metadata: { ...object.metadata, deletionTimestamp: formatTime(nowMs) } };
}

function setCondition(conditions: Condition[], condition: Condition): void {
  const index = conditions.findIndex(({ type }) => type === condition.type);
  if (index < 0) conditions.push(condition);
  else conditions[index] = condition;
}

interface JsonOperation {
  readonly op: string;
  readonly path: string;
  readonly value?: unknown;
}

/** Objects' fields only, which is all that is asked for here. */
function jsonPatched<T extends KubeObject>(object: T, operations: readonly JsonOperation[]): T {
  const copy = structuredClone(object);
  for (const { op, path, value } of operations) {
    const keys = path.slice(1).split("/");
    const last = keys.pop() as string;
    const parent = keys.reduce<Record<string, unknown>>(
      (at, key) => at[key] as Record<string, unknown>,
      copy as unknown as Record<string, unknown>,
    );
    if (op === "test") {
      if (JSON.stringify(parent[last]) !== JSON.stringify(value)) throw new Error(`test failed at ${path}`);
    } else if (op === "remove") delete parent[last];
    else parent[last] = value;
  }
  return copy;
}

/** Merge and strategic patches alike: maps are merged, null removes, containers are merged by name, finalizers are united, other lists replaced. */
function merged(target: unknown, patch: unknown, key = ""): unknown {
  if (Array.isArray(patch)) {
    const items = itemsOf(target);
    if (key === "containers") {
      return items.map((item) => merged(item, patch.find((candidate) => fieldsOf(candidate)["name"] === fieldsOf(item)["name"]) ?? {}));
    }
    return key === "finalizers" ? [...new Set([...items, ...patch])] : patch;
  }
  if (!isFields(patch)) return patch;
  const result: Record<string, unknown> = { ...fieldsOf(target) };
  for (const [name, value] of Object.entries(patch as Fields)) {
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value, name);
  }
  return result;
}

export const isMarked = (pod: Pod): boolean => pod.metadata.labels?.[label.specifiedDelete] !== undefined;

// ---- for short tests

export const rolling = (rollingUpdate: CloneSetRollingUpdate) => ({ updateStrategy: { type: "RollingUpdate", rollingUpdate } });
export const podsOf = (world: World) => [...world.pods.values()].filter((pod) => pod.metadata.deletionTimestamp === undefined);
export const imagesOf = (world: World) =>
  podsOf(world)
    .map((pod) => pod.spec.containers[0]?.image ?? "")
    .sort();
export const countOf = (world: World, image: string) => imagesOf(world).filter((candidate) => candidate === image).length;
export const stateOf = (pod: Pod | undefined) => pod?.metadata.labels?.[label.lifecycleState];
export const firstPod = (world: World) => [...world.pods.keys()].sort()[0] ?? "";
export const idsOf = (world: World) => world.plan().actions.map(({ id }) => id);
export const codesOf = (world: World) => (world.plan().reasons ?? []).map(({ code }) => code);

/** A world that has come to rest. */
export function settled(spec: Parameters<typeof cloneSetWith>[0], gates: Parameters<typeof settingsWith>[0] = {}): World {
  const world = new World(cloneSetWith(spec), settingsWith(gates));
  world.settle();
  return world;
}
