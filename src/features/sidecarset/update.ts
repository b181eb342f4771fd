/** How pods change: a new image for the sidecars of one, rest for the former worker of another, and what the pod is told of it. */
import { annotation, sidecarVersionAltAnnotation, sidecarVersionAnnotation } from "../../api/names.ts";
import { type Action, change, type Write } from "../../engine/plan.ts";
import { getOwn, itemsOf } from "../../kube/json.ts";
import { refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { containerOf, containerStatus } from "../../kube/pod.ts";
import { formatTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import { type HashEntry, hashesText, recordOf, type UpdateState, updatesText, workingText } from "./annotations.ts";
import { upgradableCondition, upgradableOf } from "./condition.ts";
import { hasServed } from "./consistency.ts";
import { applyPatches } from "./patch-metadata.ts";
import { twinsOf, twinsToRest, twinToUpgrade } from "./twins.ts";
import type { Member, World } from "./world.ts";

export interface Target {
  /** The latest revision. */
  readonly revision: string;
  /** Actions that come first. */
  readonly after: readonly string[];
}

/** Images, the record of them, and the metadata that goes along: one write. */
export function updatePod(world: World, { pod, name }: Member, { revision, after }: Target): Action {
  const set = world.observed.set.metadata.name;
  return change<Pod>({
    id: `update:${name}`,
    on: refOf(pods, pod),
    after,
    steps: [
      { name: "sidecars", precondition: "version", onConflict: "retry", write: (fresh) => updateWrite(fresh, world, revision) },
      { name: "upgradable", conditions: (fresh) => upgradableCondition(fresh, set, true, world.nowMs) },
    ],
    tell: { failed: { reason: "FailedUpdateSidecar", text: "failed to update the sidecars of pod" } },
    move: { revision, how: "inPlace" },
  });
}

/** What a write puts together, so that only what differs is sent. */
class Draft {
  readonly images: { name: string; image: string }[] = [];
  readonly annotations: Record<string, string | null> = {};

  constructor(private readonly pod: Readonly<Pod>) {}

  annotate(key: string, value: string): void {
    if (getOwn(this.pod.metadata.annotations ?? {}, key) !== value) this.annotations[key] = value;
  }

  write(): Write<Pod> | undefined {
    const metadata = Object.keys(this.annotations).length > 0 ? { metadata: { annotations: this.annotations } } : {};
    const spec = this.images.length > 0 ? { spec: { containers: this.images } } : {};
    return this.images.length === 0 && !("metadata" in metadata) ? undefined : { patch: "strategic", body: { ...metadata, ...spec } };
  }
}

export function updateWrite(fresh: Readonly<Pod>, world: World, revision: string): Write<Pod> | string | undefined {
  const { observed, strategy, hashes, nowMs } = world;
  const { set } = observed;
  const { name } = set.metadata;
  const record = recordOf(fresh);
  if (record.hashes?.get(name)?.hash === hashes.hash) return undefined;
  const draft = new Draft(fresh);
  const working = new Map(record.working);
  for (const sidecar of strategy.sidecars) {
    if (sidecar.idleImage === undefined) setImage(draft, fresh, sidecar.name, sidecar.image);
    else {
      const { upgraded, other } = twinToUpgrade(fresh, name, sidecar);
      if (containerOf(fresh, other)?.image === sidecar.image) continue;
      setImage(draft, fresh, upgraded, sidecar.image);
      working.set(sidecar.name, upgraded);
      annotateVersions(draft, fresh, upgraded, other, set.metadata.resourceVersion);
    }
  }
  if (strategy.sidecars.some(({ idleImage }) => idleImage !== undefined))
    draft.annotate(annotation.sidecarSetWorkingHotUpgradeContainer, workingText(working));
  const entry: HashEntry = {
    updateTimestamp: formatTime(nowMs),
    hash: hashes.hash,
    sidecarSetName: name,
    sidecarList: strategy.sidecarList,
    controllerRevision: revision,
  };
  draft.annotate(annotation.sidecarSetHash, hashesText(new Map(record.hashes ?? []).set(name, entry)));
  recordBefore(draft, fresh, world);
  const current = fresh.metadata.annotations ?? {};
  const patched = applyPatches(current, itemsOf(set.spec.patchPodMetadata) as NonNullable<typeof set.spec.patchPodMetadata>);
  if (!patched.ok) return `spec.patchPodMetadata: ${patched.problem}`;
  for (const key of Object.keys(patched.annotations))
    if (patched.annotations[key] !== current[key]) draft.annotate(key, patched.annotations[key] as string);
  return draft.write();
}

function setImage(draft: Draft, pod: Readonly<Pod>, name: string, image: string): void {
  const container = containerOf(pod, name);
  if (container !== undefined && container.image !== image) draft.images.push({ name, image });
}

/** The greater version is the newer twin. */
function annotateVersions(draft: Draft, pod: Readonly<Pod>, upgraded: string, other: string, version: string): void {
  draft.annotate(sidecarVersionAnnotation(upgraded), version);
  draft.annotate(sidecarVersionAltAnnotation(upgraded), pod.metadata.annotations?.[sidecarVersionAnnotation(other)] ?? "");
  draft.annotate(sidecarVersionAltAnnotation(other), version);
}

/** What the changed containers ran before: only against that can be told whether the new image has arrived. */
function recordBefore(draft: Draft, pod: Readonly<Pod>, { observed, hashes, nowMs }: World): void {
  const { name } = observed.set.metadata;
  const updates = new Map(recordOf(pod).updates ?? []);
  const known = updates.get(name);
  // With a new time, a restart before it would prove nothing any more.
  const statuses = new Map(
    [...(known?.lastContainerStatuses ?? [])].filter(([container]) => known === undefined || !hasServed(pod, container, known)),
  );
  for (const changed of draft.images) {
    const status = containerStatus(pod, changed.name);
    statuses.set(changed.name, { imageID: status?.imageID ?? "", containerID: status?.containerID ?? "" });
  }
  const state: UpdateState = { revision: hashes.hash, updateTimestamp: formatTime(nowMs), lastContainerStatuses: statuses };
  draft.annotate(annotation.sidecarSetInPlaceUpdateState, updatesText(updates.set(name, state)));
}

/** The former workers of hot-upgraded sidecars go to rest. */
export function restTwins(world: World, { pod, name }: Member): Action {
  return change<Pod>({
    id: `rest:${name}`,
    on: refOf(pods, pod),
    steps: [{ name: "rest", precondition: "version", onConflict: "retry", write: (fresh) => restWrite(fresh, world) }],
    tell: {
      onSubject: true,
      done: { reason: "ResetContainerSucceed", text: "put the former worker of a hot-upgraded sidecar to rest in pod" },
      failed: { reason: "ResetContainerFailed", text: "failed to put the former worker of a hot-upgraded sidecar to rest in pod" },
    },
  });
}

export function restWrite(fresh: Readonly<Pod>, world: World): Write<Pod> | undefined {
  const { observed, strategy } = world;
  const draft = new Draft(fresh);
  for (const sidecar of twinsToRest(fresh, observed.set.metadata.name, strategy)) {
    const { working, resting } = twinsOf(fresh, sidecar);
    setImage(draft, fresh, resting, sidecar.idleImage ?? "");
    draft.annotate(sidecarVersionAnnotation(resting), "0");
    draft.annotate(sidecarVersionAltAnnotation(working), "0");
  }
  if (draft.images.length === 0) return undefined;
  recordBefore(draft, fresh, world);
  return draft.write();
}

/** Tells a pod whether it can be brought up to date; nothing when it knows. */
export function tellUpgradable(world: World, { pod, name }: Member, upgradable: boolean): readonly Action[] {
  const set = world.observed.set.metadata.name;
  // A pod that was never told otherwise needs no word when all is well.
  if (upgradable && upgradableOf(pod).get(set) !== false) return [];
  if (upgradableCondition(pod, set, upgradable, world.nowMs) === undefined) return [];
  return [
    change<Pod>({
      id: `upgradable:${name}`,
      on: refOf(pods, pod),
      steps: [{ name: "upgradable", conditions: (fresh) => upgradableCondition(fresh, set, upgradable, world.nowMs) }],
    }),
  ];
}
