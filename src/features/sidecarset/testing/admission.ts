/** Requests about SidecarSets, filled in and validated as the API server would ask. */
import { expect } from "bun:test";
import type { AdmissionRequest, Operation } from "../../../admission/webhook.ts";
import type { GateName } from "../../../api/gates.ts";
import type { SidecarSet } from "../../../api/sidecarset.ts";
import { configMaps, controllerRevisions, pods } from "../../../kube/kinds.ts";
import type { KubeObject, Pod } from "../../../kube/types.ts";
import { mutate, validate } from "../webhooks.ts";
import { gated, stage } from "./objects.ts";

export type Loose = Record<string, unknown>;
export const selector = { matchLabels: { app: "web" } };
export const one = { name: "log", image: "log:1" };
export const given = (spec: Loose = {}, metadata: Loose = {}): Loose => ({
  metadata: { name: "mesh", ...metadata },
  spec: { selector, containers: [one], ...spec },
});

export const asked = (object: unknown, operation: Operation = "CREATE", oldObject?: unknown, version = "v1beta1"): AdmissionRequest => ({
  uid: "1",
  kind: { group: "apps.kruise.io", version, kind: "SidecarSet" },
  resource: { group: "apps.kruise.io", version, resource: "sidecarsets" },
  name: "mesh",
  namespace: "",
  operation,
  object: object as KubeObject,
  oldObject: oldObject as KubeObject,
  dryRun: false,
  userInfo: {},
});

export function filled(object: Loose, version = "v1beta1"): SidecarSet {
  const verdict = mutate(asked(object, "CREATE", undefined, version));
  if (!verdict.allowed) throw new Error(verdict.message);
  return verdict.object as SidecarSet;
}

export interface World {
  readonly others?: readonly SidecarSet[];
  readonly gates?: Partial<Record<GateName, boolean>>;
  readonly whiteList?: string;
  readonly pods?: readonly Pod[];
}

export function contextOf({ others = [], gates = {}, whiteList, pods: there = [] }: World = {}) {
  const { world, settings, add } = stage(gated(gates));
  add(...others);
  for (const each of there) world.add(pods, each);
  world.add(configMaps, {
    metadata: { namespace: "kruise-system", name: "kruise-configuration" },
    data: whiteList === undefined ? {} : { SidecarSet_PatchPodMetadata_WhiteList: whiteList },
  });
  world.add(controllerRevisions, {
    metadata: {
      namespace: "kruise-system",
      name: "mesh-old",
      labels: { "kruise.io/sidecarset-name": "mesh", "apps.kruise.io/sidecarset-custom-version": "v1" },
    },
    revision: 1,
  });
  return { read: world, settings };
}

/** Filled in, then validated; "" when accepted. */
export async function refusal(object: Loose, old?: Loose, world: World = {}): Promise<string> {
  const operation = old === undefined ? "CREATE" : "UPDATE";
  const verdict = await validate(asked(filled(object), operation, old === undefined ? undefined : filled(old)), contextOf(world));
  if (verdict.allowed) return "";
  expect(verdict.code).toBe(500);
  return verdict.message;
}

export async function warnings(object: Loose, old?: Loose, world: World = {}): Promise<readonly string[]> {
  const verdict = await validate(
    asked(filled(object), old === undefined ? "CREATE" : "UPDATE", old === undefined ? undefined : filled(old)),
    contextOf(world),
  );
  if (!verdict.allowed) throw new Error(verdict.message);
  return verdict.warnings ?? [];
}
