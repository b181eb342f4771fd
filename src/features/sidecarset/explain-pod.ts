/** One pod as the SidecarSets see it: which of them went into it, at which revision, and why others did not. */
import { type SidecarSet, sidecarSets } from "../../api/sidecarset.ts";
import type { Context } from "../../engine/controller.ts";
import type { Reason } from "../../engine/plan.ts";
import type { Key } from "../../kube/kind.ts";
import { namespaces, pods } from "../../kube/kinds.ts";
import { parseTime } from "../../kube/time.ts";
import type { Pod } from "../../kube/types.ts";
import type { Explainer, Explanation } from "../feature.ts";
import { recordOf } from "./annotations.ts";
import { pendingContainer } from "./consistency.ts";
import { isServed } from "./missed.ts";
import { reason, reasonText } from "./reasons.ts";
import { baseOf, matchesLabels, matchesNamespace } from "./select.ts";
import { strategyOf } from "./strategy.ts";
import { setHashes } from "./world.ts";

export const podExplainer: Explainer = {
  of: pods,
  aliases: ["pod", "pods", "po"],
  reads: [sidecarSets, namespaces],
  explain: explainPod,
};

interface View {
  readonly text: string;
  readonly held?: Reason;
}

export function explainPod(context: Context, key: Key): Explanation | undefined {
  const { read } = context;
  const pod = read.get(pods, key);
  if (pod === undefined) return undefined;
  const { injected } = recordOf(pod);
  const views: View[] = injected.map((name) => injectedView(pod, name, read.get(sidecarSets, { namespace: "", name })));
  for (const set of read.list(sidecarSets)) {
    if (injected.includes(set.metadata.name) || set.spec === undefined || !matchesLabels(set, pod.metadata.labels)) continue;
    views.push(absentView(context, pod, set));
  }
  const held = views.flatMap((view) => (view.held === undefined ? [] : [{ ...view.held, text: reasonText(view.held) }]));
  const moving = held.some(({ code }) => code === "WaitingForContainer");
  return {
    state: held.length === 0 ? "rest" : moving ? "moving" : "held",
    summary: views.length === 0 ? `${key.name}: no SidecarSet selects it` : `${key.name}: ${views.map(({ text }) => text).join("; ")}`,
    next: [],
    held,
  };
}

function injectedView(pod: Readonly<Pod>, name: string, set: Readonly<SidecarSet> | undefined): View {
  const { hashes, withoutImage } = recordOf(pod);
  const entry = hashes?.get(name);
  const at = entry?.controllerRevision === undefined ? "" : ` at revision ${entry.controllerRevision}`;
  if (set === undefined) return { text: `injected by SidecarSet ${name}${at}, which is gone` };
  const latest = setHashes(set);
  const strategy = strategyOf(set.spec);
  const pending = pendingContainer(pod, name, strategy.containerNames);
  if (entry?.hash !== latest.hash) {
    const text = `injected by SidecarSet ${name}${at}, outdated`;
    if (withoutImage?.get(name)?.hash !== latest.withoutImage) return { text, held: reason(name, "NeedsRecreate", {}) };
    if (!strategy.mayUpdate) return { text: `${text} (NotUpdate)` };
    return { text: `${text} (explain sidecarset/${name} tells what holds it)` };
  }
  const text = `injected by SidecarSet ${name}${at}, up to date`;
  return pending ? { text, held: reason(name, "WaitingForContainer", { container: pending }) } : { text };
}

/** Selected by its labels, and not in the pod. */
function absentView({ read, settings }: Context, pod: Readonly<Pod>, set: Readonly<SidecarSet>): View {
  const { name } = set.metadata;
  const namespace = read.get(namespaces, { namespace: "", name: pod.metadata.namespace ?? "" });
  const not = (why: string): View => ({ text: `not injected by SidecarSet ${name}: ${why}` });
  const labels = namespace === undefined ? undefined : (namespace.metadata.labels ?? {});
  if (!matchesNamespace(set, labels)) return not("its namespaceSelector leaves the namespace out");
  const canary = recordOf(pod).injected.find((other) => {
    const found = read.get(sidecarSets, { namespace: "", name: other });
    return found !== undefined && baseOf(found) === name;
  });
  if (canary !== undefined) return not(`its canary ${canary} stands in for it`);
  if (set.spec.injectionStrategy?.paused === true) return not("its injection is paused");
  if (!settings.gates.enabled("PodWebhook")) return not("feature gate PodWebhook is off");
  if (namespace !== undefined && !isServed(namespace, settings)) return not("the webhook does not serve this namespace");
  const created = parseTime(pod.metadata.creationTimestamp) ?? 0;
  if (created <= (parseTime(set.metadata.creationTimestamp) ?? 0)) return not("the pod is older");
  return { ...not("it was missed"), held: reason(name, "InjectionMissed", { created: pod.metadata.creationTimestamp }) };
}
