/** What several SidecarSets bring into a pod together: put together once for all pods that get just these. */
import { keepText } from "../../kube/kept-text.ts";
import { memo } from "../../kube/memo.ts";
import type { Volume } from "../../kube/types.ts";
import type { Built } from "./build.ts";
import type { Content, Template } from "./content.ts";
import { type Queued, sortedByName } from "./merge.ts";

export interface Bundle {
  readonly contents: readonly Content[];
  /** All names that their containers have in a pod, and those in the SidecarSets. */
  readonly names: ReadonlySet<string>;
  /** Absent: something in it depends on the pod. */
  readonly queue?: Queue;
}

/** What is to go into a pod. */
export interface Queue {
  /** By name. */
  readonly initContainers: readonly Queued[];
  /** In the order of their SidecarSets. */
  readonly containers: readonly Queued[];
  readonly volumes: readonly Volume[];
  readonly pullSecrets: readonly { name?: string }[];
}

/** Of the SidecarSet `set`, a container could not be made. */
export interface Unbuilt {
  readonly set: string;
  readonly problem: string;
}

export const bundleLimits = {
  /** Bundles that begin with the same SidecarSet. One more, and the oldest of them has to be made anew. */
  alikeMax: 16,
} as const;

const bundlesByFirst: (first: Content) => Bundle[] = memo(() => []);

/**
 * The same bundle for the same contents, as long as it is remembered.
 * @param contents by name of their sets; at least one
 */
export function bundleOf(contents: readonly Content[]): Bundle {
  const known = bundlesByFirst(contents[0] as Content);
  const found = known.find((bundle) => isSame(bundle.contents, contents));
  if (found !== undefined) return found;
  const bundle = madeOf(contents);
  known.push(bundle);
  if (known.length > bundleLimits.alikeMax) known.shift();
  return bundle;
}

function isSame(a: readonly Content[], b: readonly Content[]): boolean {
  return a.length === b.length && a.every((content, index) => content === b[index]);
}

function madeOf(contents: readonly Content[]): Bundle {
  const names = new Set(contents.flatMap(({ parts }) => [...parts.names]));
  const queue = queueOf(contents, ({ ready }) =>
    ready === undefined ? { ok: false, problem: "depends on the pod" } : { ok: true, containers: ready },
  );
  if ("problem" in queue) return { contents, names };
  for (const { container } of [...queue.initContainers, ...queue.containers]) keepText(container);
  for (const volume of queue.volumes) keepText(volume);
  return { contents, names, queue };
}

/** @param make the containers of one template */
export function queueOf(contents: readonly Content[], make: (template: Template, content: Content) => Built): Queue | Unbuilt {
  const initContainers: Queued[] = [];
  const containers: Queued[] = [];
  const volumes: Volume[] = [];
  const put = (content: Content, templates: readonly Template[], into: Queued[]): Unbuilt | undefined => {
    for (const template of templates) {
      const built = make(template, content);
      if (!built.ok) return { set: content.set, problem: built.problem };
      for (const container of built.containers) into.push({ container, before: template.before });
      volumes.push(...template.volumes);
    }
    return undefined;
  };
  for (const content of contents) {
    const { parts } = content;
    const unbuilt = put(content, parts.initContainers, initContainers) ?? put(content, parts.containers, containers);
    if (unbuilt !== undefined) return unbuilt;
  }
  return {
    initContainers: sortedByName(initContainers),
    containers,
    volumes,
    pullSecrets: contents.flatMap(({ parts }) => parts.pullSecrets),
  };
}
