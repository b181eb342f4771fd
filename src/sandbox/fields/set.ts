/**
 * Sets of fields of an object, as `managedFields` has them: a tree of path elements. "f:name" is a field, `k:{"name":"web"}` an item of a
 * list by its keys, `v:"x"` an item of a set, "i:0" one by its place.
 */
import { type Fields, fieldsOf, isFields, sortedKeys } from "../../kube/json.ts";

export interface FieldSet {
  /** The path itself belongs to the set, not only what is below it. */
  readonly member: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

const noChildren: ReadonlyMap<string, FieldSet> = new Map();
export const emptySet: FieldSet = { member: false, children: noChildren };
export const leaf: FieldSet = { member: true, children: noChildren };

export function isEmpty(set: FieldSet): boolean {
  return !set.member && set.children.size === 0;
}

/** Without branches that lead to nothing. */
export function node(member: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  const kept = new Map<string, FieldSet>();
  for (const [element, child] of children) if (!isEmpty(child)) kept.set(element, child);
  return { member, children: kept };
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  const children = new Map(a.children);
  for (const [element, child] of b.children) {
    const known = children.get(element);
    children.set(element, known === undefined ? child : union(known, child));
  }
  return { member: a.member || b.member, children };
}

/** What is in `a` and not in `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(b) || isEmpty(a)) return a;
  return node(
    a.member && !b.member,
    [...a.children].map(([element, child]) => {
      const other = b.children.get(element);
      return [element, other === undefined ? child : difference(child, other)] as const;
    }),
  );
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return node(
    a.member && b.member,
    [...a.children].flatMap(([element, child]) => {
      const other = b.children.get(element);
      return other === undefined ? [] : [[element, intersection(child, other)] as const];
    }),
  );
}

/** `a` without everything at or below the paths of `b`. */
export function withoutBelow(a: FieldSet, b: FieldSet): FieldSet {
  if (b.member) return emptySet;
  return node(
    a.member,
    [...a.children].map(([element, child]) => {
      const other = b.children.get(element);
      return [element, other === undefined ? child : withoutBelow(child, other)] as const;
    }),
  );
}

export function sameSet(a: FieldSet, b: FieldSet): boolean {
  if (a.member !== b.member || a.children.size !== b.children.size) return false;
  for (const [element, child] of a.children) {
    const other = b.children.get(element);
    if (other === undefined || !sameSet(child, other)) return false;
  }
  return true;
}

/** `.spec.template.spec.containers[name="web"].image` for each path. */
export function pathsOf(set: FieldSet, prefix = ""): string[] {
  const paths = set.member && prefix !== "" ? [prefix] : [];
  for (const [element, child] of set.children) paths.push(...pathsOf(child, prefix + elementText(element)));
  return paths;
}

function elementText(element: string): string {
  const body = element.slice(2);
  switch (element[0]) {
    case "f":
      return `.${body}`;
    case "k": {
      const keys = fieldsOf(JSON.parse(body));
      return `[${sortedKeys(keys)
        .map((key) => `${key}=${JSON.stringify(keys[key])}`)
        .join(",")}]`;
    }
    case "v":
      return `[=${body}]`;
    default:
      return `[${body}]`;
  }
}

export function setFromJson(json: unknown): FieldSet {
  return readNode(fieldsOf(json), false);
}

function readNode(json: Fields, isChild: boolean): FieldSet {
  const children = new Map<string, FieldSet>();
  let member = isChild && Object.keys(json).length === 0;
  for (const key of Object.keys(json)) {
    if (key === ".") member = true;
    else if (isFields(json[key])) children.set(key, readNode(json[key], true));
  }
  return { member, children };
}

export function setToJson(set: FieldSet): Fields {
  const json: Record<string, unknown> = {};
  if (set.member && set.children.size > 0) json["."] = {};
  for (const element of [...set.children.keys()].sort()) json[element] = setToJson(set.children.get(element) as FieldSet);
  return json;
}
