/** Where objects live under the API server's address. */
import type { Subresource } from "./access.ts";
import type { Key, Kind } from "./kind.ts";

const prefixes = new WeakMap<Kind, string>();
const plainName = /^[A-Za-z0-9._~-]*$/;

/** "/apis/apps/v1", "/api/v1". */
export function groupVersionPath(kind: Kind): string {
  let prefix = prefixes.get(kind);
  if (prefix === undefined) {
    prefix = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
    prefixes.set(kind, prefix);
  }
  return prefix;
}

/** The objects of a kind: in one namespace, or in all when `namespace` is undefined or "". */
export function collectionPath(kind: Kind, namespace: string | undefined): string {
  const prefix = groupVersionPath(kind);
  return kind.namespaced && namespace ? `${prefix}/namespaces/${segment(namespace)}/${kind.plural}` : `${prefix}/${kind.plural}`;
}

export function objectPath(kind: Kind, key: Key, subresource?: Subresource): string {
  const path = `${collectionPath(kind, key.namespace)}/${segment(key.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** Appends what is set, as a query. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | boolean | undefined>>): string {
  let text = path;
  let joint = path.includes("?") ? "&" : "?";
  for (const name in query) {
    const value = query[name];
    if (value === undefined || value === "") continue;
    text += `${joint}${name}=${encodeURIComponent(value)}`;
    joint = "&";
  }
  return text;
}

function segment(name: string): string {
  return plainName.test(name) ? name : encodeURIComponent(name);
}
