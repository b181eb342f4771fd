/** What a SidecarSet asks of the controller: the only place where its rules read the spec. */
import type { ScatterStrategy } from "../../api/schema/common.ts";
import type { SidecarContainer, SidecarSet, SidecarSetSpec } from "../../api/sidecarset.ts";
import { partitionCount, scaledCount } from "../../kube/int-or-percent.ts";
import { isFields, itemsOf } from "../../kube/json.ts";
import { memo } from "../../kube/memo.ts";
import { isNativeSidecar } from "../../kube/pod.ts";
import { compileSelector, type Matcher, matchEverything, matchNothing } from "../../kube/selector.ts";
import type { IntOrString } from "../../kube/types.ts";
import type { PriorityStrategy } from "../../workload/order/index.ts";
import { isHot, twinNames } from "./content.ts";
import { defaultRevisionHistoryMax } from "./defaults.ts";

/** A container that the controller updates; init containers are never updated. */
export interface Sidecar {
  readonly name: string;
  readonly image: string;
  /** Present: it comes as two twins, and the one that does not work has this image. */
  readonly idleImage?: string;
  /** Its names in a pod. */
  readonly containerNames: readonly string[];
}

export interface Strategy {
  readonly sidecars: readonly Sidecar[];
  /** Names in pods. */
  readonly containerNames: ReadonlySet<string>;
  /** As a pod's annotation lists them: those above, and init containers that keep running. */
  readonly sidecarList: readonly string[];
  /** Pods that were injected may change. Unknown types mean RollingUpdate. */
  readonly mayUpdate: boolean;
  readonly paused: boolean;
  /** Who may be updated. */
  readonly selector: Matcher;
  readonly partition: IntOrString | undefined;
  readonly maxUnavailable: IntOrString | undefined;
  readonly priority?: PriorityStrategy;
  readonly scatter: ScatterStrategy;
  readonly revisionHistoryMax: number;
}

export const strategyOf: (spec: SidecarSetSpec) => Strategy = memo((spec) => {
  const strategy = spec.updateStrategy ?? {};
  const sidecars = containersOf(spec.containers).map(sidecarOf);
  const running = [...containersOf(spec.initContainers).filter(isNativeSidecar), ...containersOf(spec.containers)];
  return {
    sidecars,
    containerNames: new Set(sidecars.flatMap(({ containerNames }) => containerNames)),
    sidecarList: [...new Set(running.map(({ name }) => name))].sort(),
    mayUpdate: strategy.type !== "NotUpdate",
    paused: strategy.paused === true,
    selector: selectorOf(strategy.selector),
    partition: strategy.partition,
    maxUnavailable: strategy.maxUnavailable,
    priority: strategy.priorityStrategy,
    scatter: strategy.scatterStrategy ?? [],
    revisionHistoryMax: Math.max(1, spec.revisionHistoryLimit ?? defaultRevisionHistoryMax),
  };
});

function containersOf(value: unknown): readonly SidecarContainer[] {
  return itemsOf(value).filter(isFields) as readonly unknown[] as readonly SidecarContainer[];
}

function sidecarOf(container: SidecarContainer): Sidecar {
  const { name, image = "" } = container;
  if (!isHot(container)) return { name, image, containerNames: [name] };
  return { name, image, idleImage: container.upgradeStrategy?.hotUpgradeEmptyImage ?? "", containerNames: twinNames(name) };
}

/** Absent: everybody. Unreadable: nobody. */
function selectorOf(selector: NonNullable<SidecarSetSpec["updateStrategy"]>["selector"]): Matcher {
  if (selector === undefined || selector === null) return matchEverything;
  const compiled = compileSelector(selector);
  return compiled.ok ? compiled.matcher : matchNothing;
}

export function hasTwins({ sidecars }: Strategy): boolean {
  return sidecars.some(({ idleImage }) => idleImage !== undefined);
}

/** Pods that keep their version; unreadable counts as none. @param total all matching pods */
export function keptCount({ partition }: Strategy, total: number): number {
  return partitionCount(partition, total);
}

/** @param total all matching pods */
export function unavailableMaxOf({ maxUnavailable }: Strategy, total: number): number {
  if (maxUnavailable === undefined || maxUnavailable === null) return 1;
  return scaledCount(maxUnavailable, total, "up") ?? 0;
}

export function isDeleting({ metadata }: Readonly<SidecarSet>): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== null;
}
