/** Does a pod run what its spec asks for? One that does not serves nobody a budget could protect. */
import type { Gates } from "../../api/gates.ts";
import { annotation, environmentVariable } from "../../api/names.ts";
import { parseImage, sameImage, withoutScheme } from "../../kube/image-ref.ts";
import { fieldsOf, isFields, textOf } from "../../kube/json.ts";
import { containerStatus } from "../../kube/pod.ts";
import type { Container, Pod } from "../../kube/types.ts";
import { type Pending, updatePending } from "../inplace/index.ts";

/** What of the pod is still on its way; undefined: it runs as its spec says. */
export function inconsistency(pod: Readonly<Pod>, gates: Gates): Pending {
  const byDigest = pod.spec.containers.filter(isByDigest);
  for (const container of byDigest)
    if (!runsDigest(pod, container)) return { code: "WaitingForContainer", figures: { container: container.name } };
  // A digest says it all: nothing that was recorded before an update could say otherwise.
  if (byDigest.length === pod.spec.containers.length) return undefined;
  return sidecarPending(pod) ?? updatePending(pod, gates);
}

function isByDigest({ image = "" }: Container): boolean {
  return image.includes("@") && parseImage(image)?.digest !== undefined;
}

function runsDigest(pod: Readonly<Pod>, { name, image = "" }: Container): boolean {
  const wanted = parseImage(image);
  const runs = parseImage(withoutScheme(containerStatus(pod, name)?.imageID ?? ""));
  if (wanted === undefined || runs === undefined) return false;
  return wanted.domain === runs.domain && wanted.path === runs.path && wanted.digest === runs.digest;
}

// ---- sidecars that a SidecarSet updates in place

function sidecarPending(pod: Readonly<Pod>): Pending {
  const annotations = pod.metadata.annotations ?? {};
  const sets = (annotations[annotation.sidecarSetInjectedList] ?? "").split(",").filter((name) => name !== "");
  const sidecars = pod.spec.containers.filter(({ env }) =>
    env?.some(({ name, value }) => name === environmentVariable.isInjected && value === "true"),
  );
  const text = annotations[annotation.sidecarSetInPlaceUpdateState];
  if (sets.length === 0 || sidecars.length === 0 || text === undefined) return undefined;
  const before = imagesBefore(text, sets);
  if (before === undefined) return { code: "SidecarUpdateStateUnreadable" };
  const pending = sidecars.find(({ name, image = "" }) => {
    const status = containerStatus(pod, name);
    const imageId = status?.imageID ?? "";
    return before.get(name) === imageId && !sameImage(status?.image ?? "", image);
  });
  return pending && { code: "WaitingForContainer", figures: { container: pending.name } };
}

/** Image IDs by container, as they were before the latest update of these SidecarSets; undefined when they cannot be read. */
function imagesBefore(text: string, sets: readonly string[]): ReadonlyMap<string, string> | undefined {
  let states: unknown;
  try {
    states = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isFields(states)) return undefined;
  const images = new Map<string, string>();
  for (const set of sets) {
    const statuses = fieldsOf(fieldsOf(states[set])["lastContainerStatuses"]);
    for (const [name, status] of Object.entries(statuses)) images.set(name, textOf(fieldsOf(status)["imageID"]));
  }
  return images;
}
