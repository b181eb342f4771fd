/**
 * Echoes: watch events that tell of our own writes, whose answers are in the store already. Half of all events of a rollout are; they are
 * known by the beginning of their line, and need not be parsed.
 */
import type { KubeObject } from "../types.ts";
import { type Store, versionOf } from "./store.ts";

/** How Kubernetes' own kinds are written: Go writes the fields of a struct in their order. Names hold nothing that JSON escapes. */
const head =
  /^\{"type":"(?:ADDED|MODIFIED)","object":\{"kind":"\w+","apiVersion":"[\w./]+","metadata":\{"name":"([^"\\]+)"(?:,"generateName":"[^"\\]*")?(?:,"namespace":"([^"\\]+)")?,"uid":"([^"\\]+)","resourceVersion":"(\d+)"/;

/** @returns the version of the event, when the store has that object at this version or a newer one; else the line has to be read */
export function echoed(line: string, store: Store<KubeObject>): number | undefined {
  const found = head.exec(line);
  if (found === null) return undefined;
  const known = store.get({ namespace: found[2] ?? "", name: found[1] as string });
  if (known === undefined || known.metadata.uid !== found[3]) return undefined;
  const version = Number(found[4]);
  return versionOf(known) >= version ? version : undefined;
}
