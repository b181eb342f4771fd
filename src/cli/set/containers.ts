/** Changing containers of an object, wherever its kind keeps them. */
import { type Fields, fieldsOf, textOf } from "../../kube/json.ts";
import type { KubeObject } from "../../kube/types.ts";
import { withAt } from "../edit.ts";
import { quotedName, type Target } from "../objects.ts";
import { Refused } from "../refused.ts";
import { type ContainerAt, containersIn, shapeOf } from "../shapes.ts";

/** @throws Refused for kinds without containers */
export function containersOf(target: Target): readonly ContainerAt[] {
  if (shapeOf(target.of)?.pod === undefined) throw new Refused(`error: ${quotedName(target)} has no containers that can be changed`);
  return containersIn(target);
}

/** @param change undefined: this container stays as it is */
export function withContainers(target: Target, object: Readonly<KubeObject>, change: (at: ContainerAt) => Fields | undefined): KubeObject {
  let next = object as KubeObject;
  for (const found of containersIn({ ...target, object })) {
    const container = change(found);
    if (container !== undefined) next = withAt(next, found.path, container);
  }
  return next;
}

/** "*" any run; as kubectl chooses containers with -c. */
export function matchesName(pattern: string, name: string): boolean {
  const source = pattern.replace(/[.*+?^${}()|[\]\\]/g, (sign) => (sign === "*" ? ".*" : `\\${sign}`));
  return new RegExp(`^${source}$`).test(name);
}

export function containerName({ container }: ContainerAt): string {
  return textOf(fieldsOf(container)["name"]);
}
