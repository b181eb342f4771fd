/** Pod condition SidecarSetUpgradable: whether each SidecarSet in the pod can bring it up to date in place. */
import { conditionType } from "../../api/names.ts";
import { quote } from "../../kube/canonical/encode.ts";
import { isFields } from "../../kube/json.ts";
import { podCondition } from "../../kube/pod.ts";
import { formatTime } from "../../kube/time.ts";
import type { Condition, Pod } from "../../kube/types.ts";
import { recordOf } from "./annotations.ts";

/** What the pod says now, by set; empty when it says nothing that can be read. */
export function upgradableOf(pod: Readonly<Pod>): ReadonlyMap<string, boolean> {
  try {
    const map: unknown = JSON.parse(podCondition(pod, conditionType.sidecarSetUpgradable)?.message ?? "{}");
    return isFields(map) ? new Map(Object.keys(map).map((set) => [set, map[set] === true])) : new Map();
  } catch {
    return new Map();
  }
}

/** The condition as it should be; none when it is so already. Sets that are no longer in the pod drop out. */
export function upgradableCondition(pod: Readonly<Pod>, set: string, upgradable: boolean, nowMs: number): readonly Condition[] | undefined {
  const old = podCondition(pod, conditionType.sidecarSetUpgradable);
  const injected = new Set(recordOf(pod).injected);
  const entries = new Map([...upgradableOf(pod)].filter(([name]) => injected.has(name)));
  entries.set(set, upgradable);
  const all = [...entries.values()].every(Boolean);
  const message = `{${[...entries.keys()]
    .sort()
    .map((name) => `${quote(name)}:${entries.get(name)}`)
    .join(",")}}`;
  const status = all ? "True" : "False";
  const reason = all ? "AllSidecarsetUpgradable" : "UpdateImmutableField";
  if (old?.status === status && old.message === message && old.reason === reason) return undefined;
  const lastTransitionTime = old?.status === status && old.lastTransitionTime ? old.lastTransitionTime : formatTime(nowMs);
  return [{ type: conditionType.sidecarSetUpgradable, status, reason, message, lastTransitionTime }];
}
