/** Changed copies of objects: what is not on the way to the change is shared with the original. */
import { fieldsOf, itemsOf } from "../kube/json.ts";

export type Path = readonly (string | number)[];

/** @param value undefined removes a field. Objects on the way are made where they are missing. */
export function withAt<T extends object>(object: T, path: Path, value: unknown): T {
  return put(object, path, value) as T;
}

function put(parent: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  if (typeof key === "number") return itemsOf(parent).map((item, index) => (index === key ? put(item, rest, value) : item));
  const fields = fieldsOf(parent);
  const next = put(fields[key], rest, value);
  if (next !== undefined) return { ...fields, [key]: next };
  const { [key]: _, ...others } = fields;
  return others;
}
