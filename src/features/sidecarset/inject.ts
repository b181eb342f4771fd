/**
 * Injection: a SidecarSet's containers, volumes, pull secrets and annotations go into a pod when it is created. The pod's own containers
 * are never changed, doing it twice is the same as doing it once, and unknown fields stay.
 */

import type { PodSource } from "../../admission/narrow-scope.ts";
import { type AdmissionContext, deny, type PodMutation, podMutationOrder, type Verdict } from "../../admission/webhook.ts";
import { annotation } from "../../api/names.ts";
import type { Settings } from "../../api/settings.ts";
import type { SidecarSet } from "../../api/sidecarset.ts";
import { scaledCount } from "../../kube/int-or-percent.ts";
import { withFields } from "../../kube/json.ts";
import { namespaces } from "../../kube/kinds.ts";
import { failureText } from "../../kube/outcome.ts";
import { isActive } from "../../kube/pod.ts";
import { compileSelector, type Labels } from "../../kube/selector.ts";
import type { Pod } from "../../kube/types.ts";
import { recordOf } from "./annotations.ts";
import { build, viewOf } from "./build.ts";
import { type Bundle, bundleOf, type Queue, queueOf, type Unbuilt } from "./bundle.ts";
import { type Content, currentContent, revisionContent } from "./content.ts";
import { mergeContainers, mergePullSecrets, mergeVolumes, sortedByName } from "./merge.ts";
import { type Annotations, applyPatches } from "./patch-metadata.ts";
import { noAnnotations, recordIn } from "./record.ts";
import { type Resolved, resolveRevision, wantedRevision } from "./resolve.ts";
import { baseOf, candidateSets, matchesNamespace, selectedPods, selectionOf } from "./select.ts";

export const injection: PodMutation = {
  name: "sidecarset",
  order: podMutationOrder.sidecarSet,
  source: selectedPods as PodSource,
  mutate: (pod, _request, context) => {
    if (!isActive(pod)) return pod;
    const chosen = chooseSets(pod, context);
    if (chosen instanceof Promise) return chosen.then((sets) => (Array.isArray(sets) ? inject(pod, sets, context) : (sets as Verdict)));
    return Array.isArray(chosen) ? inject(pod, chosen, context) : (chosen as Verdict);
  },
};

type Sets = readonly Readonly<SidecarSet>[];

const namespaceOf = (pod: Readonly<Pod>): string => pod.metadata.namespace || "default";

/** Those whose containers the pod gets, by name. A namespace that nobody can read refuses the pod: its sidecars must not be skipped. */
function chooseSets(pod: Readonly<Pod>, { read }: AdmissionContext): Sets | Verdict | Promise<Sets | Verdict> {
  const namespace = namespaceOf(pod);
  const { labels } = pod.metadata;
  const wanting: Readonly<SidecarSet>[] = [];
  let everywhere = true;
  for (const set of candidateSets(read, namespace, labels)) {
    const { pods, namespaces: within } = selectionOf(set.spec);
    if (set.spec.injectionStrategy?.paused === true || !pods.matches(labels)) continue;
    wanting.push(set);
    everywhere &&= within === undefined;
  }
  if (everywhere) return withoutReplaced(wanting);
  const known = read.get(namespaces, { namespace: "", name: namespace });
  if (known !== undefined) return settleSets(wanting, known.metadata.labels ?? {});
  return read.live.get(namespaces, { namespace: "", name: namespace }).then((answer) => {
    if (answer.ok) return settleSets(wanting, answer.object.metadata.labels ?? {});
    if (answer.why === "notFound") return settleSets(wanting, undefined);
    return deny(
      500,
      `SidecarSet: could not read namespace ${namespace}, which decides whether the pod gets sidecars: ${failureText(answer)}`,
    );
  });
}

function settleSets(wanting: Sets, namespaceLabels: Labels | undefined): Sets {
  return withoutReplaced(
    wanting.filter((set) => matchesNamespace(set, namespaceLabels === undefined ? undefined : (namespaceLabels ?? {}))),
  );
}

/** A canary stands in for its base. In the order of their names, so that pods of one workload look alike. */
export function withoutReplaced(sets: Sets): Sets {
  const replaced: string[] = [];
  let inOrder = true;
  for (const [index, set] of sets.entries()) {
    const base = baseOf(set);
    if (base !== undefined) replaced.push(base);
    inOrder &&= index === 0 || (sets[index - 1] as SidecarSet).metadata.name < set.metadata.name;
  }
  const kept = replaced.length === 0 ? sets : sets.filter(({ metadata }) => !replaced.includes(metadata.name));
  return inOrder ? kept : kept.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function inject(pod: Readonly<Pod>, sets: Sets, context: AdmissionContext): Pod | Verdict | Promise<Pod | Verdict> {
  if (sets.length === 0) return pod;
  const contents: Content[] = [];
  const late: Promise<Content | Verdict>[] = [];
  for (const set of sets) {
    const content = contentFor(set, pod, context);
    if (content instanceof Promise) late.push(content);
    else if ("parts" in content) contents.push(content);
    else return content;
  }
  if (late.length === 0) return injectContents(pod, contents, context);
  return Promise.all(late).then((settled) => {
    const refused = settled.find((content): content is Verdict => !("parts" in content));
    if (refused !== undefined) return refused;
    const all = [...contents, ...(settled as Content[])].sort((a, b) => (a.set < b.set ? -1 : 1));
    return injectContents(pod, all, context);
  });
}

function contentFor(
  set: Readonly<SidecarSet>,
  pod: Readonly<Pod>,
  context: AdmissionContext,
): Content | Verdict | Promise<Content | Verdict> {
  const wanted = wantedRevision(set);
  if (wanted === undefined) return currentContent(set);
  const keeps = keepsRevision(set, pod.metadata.labels, context);
  if (typeof keeps === "string") return refusal(set.metadata.name, keeps);
  if (!keeps) return currentContent(set);
  const settle = (resolved: Resolved): Content | Verdict =>
    resolved.ok
      ? revisionContent(set, resolved.revision)
      : refusal(set.metadata.name, `spec.injectionStrategy.revision: ${resolved.problem}; name one that exists, or none`);
  const resolved = resolveRevision(context.read, context.settings, set.metadata.name, wanted);
  return resolved instanceof Promise ? resolved.then(settle) : settle(resolved);
}

/**
 * Whether a pod gets the chosen revision rather than the latest: with policy Partial as the update strategy would have it, a share of the
 * pods by chance. A text: why nobody can say.
 */
export function keepsRevision(
  { spec }: Readonly<SidecarSet>,
  labels: Labels | undefined,
  { random }: Pick<AdmissionContext, "random">,
): boolean | string {
  const { paused, selector, partition } = spec.updateStrategy ?? {};
  if (paused === true || spec.injectionStrategy?.revision?.policy !== "Partial") return true;
  if (selector) {
    const compiled = compileSelector(selector);
    if (!compiled.ok) return `spec.updateStrategy.selector: ${compiled.problem}`;
    if (!compiled.matcher.matches(labels)) return true;
  }
  if (partition === undefined || partition === null || typeof partition === "number") return false;
  const perMyriad = scaledCount(partition, 10_000, "up");
  if (perMyriad === undefined) return `spec.updateStrategy.partition: ${JSON.stringify(partition)} is neither a count nor a percentage`;
  return random() * 10_000 < perMyriad;
}

function refusal(set: string, problem: string): Verdict {
  return deny(500, `SidecarSet ${set} cannot be injected: ${problem}`);
}

/** @param contents by name of their sets; at least one */
export function injectContents(
  pod: Readonly<Pod>,
  contents: readonly Content[],
  { settings, nowMs }: { readonly settings: Pick<Settings, "gates">; nowMs(): number },
): Pod | Verdict {
  let annotations: Annotations = pod.metadata.annotations ?? noAnnotations;
  for (const { set, parts } of contents) {
    if (parts.patches.length === 0) continue;
    const patched = applyPatches(annotations, parts.patches);
    if (!patched.ok) return refusal(set, `spec.patchPodMetadata: ${patched.problem}`);
    annotations = patched.annotations;
  }
  const bundle = bundleOf(contents);
  const queue = bundle.queue ?? queueFor(pod, bundle);
  if ("problem" in queue) return refusal(queue.set, queue.problem);
  if (queue.containers.length === 0 && queue.initContainers.length === 0) return withAnnotations(pod, annotations, undefined);
  const recorded = recordIn(annotations, bundle, nowMs());
  if ("problem" in recorded) return deny(500, `SidecarSet: ${recorded.problem}`);
  const containers = settings.gates.enabled("EnableSortSidecarContainerByName") ? sortedByName(queue.containers) : queue.containers;
  const spec = withFields(pod.spec, {
    ...(queue.initContainers.length === 0 ? {} : { initContainers: mergeContainers(pod.spec.initContainers ?? [], queue.initContainers) }),
    containers: mergeContainers(pod.spec.containers, containers),
    volumes: mergeVolumes(pod.spec.volumes, queue.volumes),
    imagePullSecrets: mergePullSecrets(pod.spec.imagePullSecrets, queue.pullSecrets),
  });
  return withAnnotations(pod, recorded.annotations, spec);
}

function withAnnotations(pod: Readonly<Pod>, annotations: Annotations, spec: Pod["spec"] | undefined): Pod {
  const metadata = annotations === noAnnotations ? pod.metadata : withFields(pod.metadata, { annotations });
  return withFields(pod, { metadata, ...(spec === undefined ? {} : { spec }) });
}

function queueFor(pod: Readonly<Pod>, { contents, names }: Bundle): Queue | Unbuilt {
  const view = viewOf(pod, names);
  const hashes = pod.metadata.annotations?.[annotation.sidecarSetHash] === undefined ? undefined : recordOf(pod).hashes;
  return queueOf(contents, (template, { set, hash }) => build(template, view, hashes?.get(set)?.hash === hash));
}
