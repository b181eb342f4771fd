/** Which NodeImages a job is about, and in which order they have their turn. */
import type { ImagePullJob } from "../../../api/imagepulljob.ts";
import { type NodeImage, nodeImages } from "../../../api/nodeimage.ts";
import type { Reader } from "../../../kube/access.ts";
import { compareUtf8, isAbsent } from "../../../kube/json.ts";
import { pods } from "../../../kube/kinds.ts";
import { isActive, nodeNameOf } from "../../../kube/pod.ts";
import { compileSelector, type Matcher, matchNothing } from "../../../kube/selector.ts";
import type { LabelSelector, Pod } from "../../../kube/types.ts";

/** The pods that a job with a podSelector follows: in its namespace, running or about to, on a node. */
export function followedPods(read: Reader, { metadata, spec }: Readonly<ImagePullJob>): readonly Readonly<Pod>[] {
  const matcher = compiled(spec.podSelector);
  return read
    .list(pods, metadata.namespace)
    .filter((pod) => isActive(pod) && nodeNameOf(pod) !== undefined && matcher.matches(pod.metadata.labels));
}

/** @param followed the pods of `followedPods`, in the order in which their nodes should have their turn */
export function selectNodeImages(
  read: Reader,
  { spec }: Readonly<ImagePullJob>,
  followed: readonly Readonly<Pod>[],
): readonly Readonly<NodeImage>[] {
  if (spec.podSelector) return named(read, [...new Set(followed.map((pod) => nodeNameOf(pod) ?? ""))]);
  const { selector } = spec;
  if (!isAbsent(selector) && !isAbsent(selector?.names)) return named(read, [...new Set(selector?.names)]);
  const all = read.list(nodeImages);
  const matcher = isAbsent(selector) ? undefined : compiled(selector);
  const selected = matcher === undefined ? [...all] : all.filter(({ metadata }) => matcher.matches(metadata.labels));
  return selected.sort((a, b) => compareUtf8(a.metadata.name, b.metadata.name));
}

function named(read: Reader, names: readonly string[]): readonly Readonly<NodeImage>[] {
  return names.flatMap((name) => read.get(nodeImages, { namespace: "", name }) ?? []);
}

const matchers = new WeakMap<object, Matcher>();

/** Once per version of the job. One that admission would have refused matches nothing. */
export function compiled(selector: LabelSelector | undefined): Matcher {
  if (isAbsent(selector)) return matchNothing;
  const key = selector as object;
  let matcher = matchers.get(key);
  if (matcher === undefined) {
    const result = compileSelector({ matchLabels: selector?.matchLabels, matchExpressions: selector?.matchExpressions });
    matcher = result.ok ? result.matcher : matchNothing;
    matchers.set(key, matcher);
  }
  return matcher;
}
