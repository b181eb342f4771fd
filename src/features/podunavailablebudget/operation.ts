/** What a request would do to a pod: does it take the pod from its users, and is it a resize? */
import type { ProtectedOperation } from "../../api/podunavailablebudget.ts";
import { deepEqual, type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import { qosClass } from "../../kube/qos.ts";
import { compareQuantityValues } from "../../kube/quantity.ts";
import type { Pod } from "../../kube/types.ts";
import { isMarkedUnavailable } from "../../workload/budget/index.ts";

const staticPodSource = "kubernetes.io/config.source";

/** Undefined: harmless, whatever the budget says. */
export function updateOperation(before: Readonly<Pod>, after: Readonly<Pod>): ProtectedOperation | undefined {
  if (!isMarkedUnavailable(before) && isMarkedUnavailable(after)) return "UPDATE";
  if (deepEqual(before.spec, after.spec)) return undefined;
  return isResize(before, after) ? "RESIZE" : "UPDATE";
}

/** Nothing but cpu and memory of containers, in place and without a restart, and of the same quality of service. */
function isResize(before: Readonly<Pod>, after: Readonly<Pod>): boolean {
  if (isStatic(before) || isStatic(after)) return false;
  if (!deepEqual(withoutResources(before), withoutResources(after))) return false;
  if (qosClass(before.spec) !== qosClass(after.spec)) return false;
  const old = itemsOf(fieldsOf(before.spec)["containers"]).map(fieldsOf);
  const now = itemsOf(fieldsOf(after.spec)["containers"]).map(fieldsOf);
  return old.length === now.length && old.every((container, index) => isResizable(container, fieldsOf(now[index])));
}

function isStatic({ metadata }: Readonly<Pod>): boolean {
  const source = fieldsOf(metadata.annotations)[staticPodSource];
  return source !== undefined && source !== "api";
}

function withoutResources({ spec }: Readonly<Pod>): unknown {
  const fields = fieldsOf(spec);
  const containers = itemsOf(fields["containers"]).map((container) => ({ ...fieldsOf(container), resources: undefined }));
  return { ...fields, containers };
}

const resizable: ReadonlySet<string> = new Set(["cpu", "memory"]);

function isResizable(before: Fields, after: Fields): boolean {
  const restarts = new Set(
    itemsOf(after["resizePolicy"])
      .map(fieldsOf)
      .filter(({ restartPolicy }) => (textOf(restartPolicy) || "NotRequired") !== "NotRequired")
      .map(({ resourceName }) => textOf(resourceName)),
  );
  return changedResources(before, after).every((name) => resizable.has(name) && !restarts.has(name));
}

function changedResources(before: Fields, after: Fields): readonly string[] {
  const [old, now] = [fieldsOf(before["resources"]), fieldsOf(after["resources"])];
  const changed = new Set<string>();
  for (const list of ["requests", "limits"] as const) {
    const [a, b] = [fieldsOf(old[list]), fieldsOf(now[list])];
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) if (!isSameAmount(a, b, name)) changed.add(name);
  }
  return [...changed];
}

function isSameAmount(a: Fields, b: Fields, name: string): boolean {
  if (Object.hasOwn(a, name) !== Object.hasOwn(b, name)) return false;
  return compareQuantityValues(a[name], b[name]) === 0;
}
