/** SidecarSets, pods and a webhook's view of a world, for this room's tests. */
import type { AdmissionContext, AdmissionRequest } from "../../../admission/webhook.ts";
import { gatesWith } from "../../../api/gates.ts";
import type { Settings } from "../../../api/settings.ts";
import { type SidecarSet, type SidecarSetSpec, sidecarSets } from "../../../api/sidecarset.ts";
import { testSettings, World } from "../../../engine/testing/harness.ts";
import { FakeEnv } from "../../../env/fake.ts";
import type { Fields } from "../../../kube/json.ts";
import { namespaces, pods } from "../../../kube/kinds.ts";
import type { Container, KubeObject, ObjectMeta, Pod, PodSpec } from "../../../kube/types.ts";
import { defaultSidecarSet } from "../defaults.ts";
import { injection } from "../inject.ts";

export const startedAt = "2025-01-01T00:00:00Z";

/** With all defaults and both hashes, as the API server stores it. */
export function sidecarSet(name: string, spec: SidecarSetSpec, metadata: Partial<ObjectMeta> = {}): SidecarSet {
  return defaultSidecarSet({
    metadata: { name, creationTimestamp: startedAt, ...metadata },
    spec: { selector: { matchLabels: { app: "web" } }, ...spec },
  } as SidecarSet);
}

export function pod(name: string, spec: Partial<PodSpec> = {}, metadata: Partial<ObjectMeta> = {}): Pod {
  return {
    metadata: { name, namespace: "shop", labels: { app: "web" }, ...metadata },
    spec: { containers: [{ name: "main", image: "nginx:1" }], ...spec },
  } as Pod;
}

export interface Stage {
  readonly env: FakeEnv;
  readonly world: World;
  readonly settings: Settings;
  readonly context: AdmissionContext;
  add(...sets: readonly SidecarSet[]): void;
  inject(pod: Pod): Promise<Pod>;
  /** The message of the refusal. */
  refusal(pod: Pod): Promise<string>;
}

export function stage(settings: Settings = testSettings(), env: FakeEnv = new FakeEnv()): Stage {
  const world = new World(env);
  for (const name of ["shop", "other"])
    world.add(namespaces, { metadata: { name, labels: { "kubernetes.io/metadata.name": name, team: name } } });
  const context: AdmissionContext = {
    read: world,
    settings,
    write: world,
    log: env.log,
    nowMs: () => env.nowMs(),
    random: () => env.random(),
    after: (delayMs, run) => env.after(delayMs, run),
    emit: () => {},
    refused: () => {},
  };
  const mutate = async (given: Pod) => injection.mutate(frozen(given), request(given, "CREATE"), context);
  return {
    env,
    world,
    settings,
    context,
    add: (...sets) => {
      for (const set of sets) world.add(sidecarSets, set);
    },
    inject: async (given) => {
      const result = await mutate(given);
      if ("allowed" in result) throw new Error(JSON.stringify(result));
      return result;
    },
    refusal: async (given) => {
      const result = await mutate(given);
      if ("metadata" in result || result.allowed) throw new Error("the pod was let in");
      return result.message;
    },
  };
}

export function gated(gates: Parameters<typeof gatesWith>[0]): Settings {
  return { ...testSettings(), gates: gatesWith(gates) };
}

export function request<T extends KubeObject>(
  object: T,
  operation: "CREATE" | "UPDATE",
  oldObject?: T,
  version = "v1beta1",
): AdmissionRequest<T> {
  return {
    uid: "1",
    kind: { group: "apps.kruise.io", version, kind: "SidecarSet" },
    resource: { group: "apps.kruise.io", version, resource: "sidecarsets" },
    name: object.metadata.name,
    namespace: object.metadata.namespace ?? "",
    operation,
    object,
    oldObject,
    dryRun: false,
    userInfo: {},
  };
}

/** Whoever changes what is shared is found out. */
export function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value as Fields)) frozen(child);
  }
  return value;
}

export const names = (containers: readonly Container[] | undefined): readonly string[] => (containers ?? []).map(({ name }) => name);
export const container = (given: Pod, name: string): Container => {
  const found = [...given.spec.containers, ...(given.spec.initContainers ?? [])].find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
};
export const envOf = (given: Pod, name: string): Record<string, string | undefined> =>
  Object.fromEntries((container(given, name).env ?? []).map((entry) => [entry.name, entry.value]));
export const podsOf = (world: World): readonly Pod[] => world.all(pods);
