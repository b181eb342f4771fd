/**
 * What the beginning of a watch event's line tells: that it is an echo of our own write, whose answer is in the store already, or that an
 * object is gone. Half of all events of a rollout are one or the other, and need not be parsed.
 */
import type { KubeObject } from "../types.ts";
import { type Store, versionOf } from "./store.ts";

/** How Kubernetes' own kinds are written: Go writes the fields of a struct in their order. Names hold nothing that JSON escapes. */
const head =
  /^\{"type":"(ADDED|MODIFIED|DELETED)","object":\{"kind":"\w+","apiVersion":"[\w./]+","metadata":\{"name":"([^"\\]+)"(?:,"generateName":"[^"\\]*")?(?:,"namespace":"([^"\\]+)")?,"uid":"([^"\\]+)","resourceVersion":"(\d+)"/;

/** An event that need not be read any further. */
export interface Known {
  /** Of the event. */
  readonly version: number;
  /** The event says that this object of the store is gone. Absent: the store has it at this version or a newer one. */
  readonly gone?: KubeObject;
}

/** @returns undefined when the line has to be read */
export function knownEvent(line: string, store: Store<KubeObject>): Known | undefined {
  const found = head.exec(line);
  if (found === null) return undefined;
  const known = store.get({ namespace: found[3] ?? "", name: found[2] as string });
  if (known === undefined || known.metadata.uid !== found[4]) return undefined;
  const version = Number(found[5]);
  if (found[1] === "DELETED") return { version, gone: known };
  return versionOf(known) >= version ? { version } : undefined;
}
