/**
 * The record: what a process remembers beyond its own life, in one SQLite file. Nothing in it is a source of truth: a process without it
 * starts a little later and tells less of the past, and deleting it loses no workload.
 *
 *     const record = openRecord(env, "/var/lib/kruise/record.sqlite");
 *     record.snapshots.useSource(clusterUid);
 *     const known = await record.snapshots.load(pods);      // take the watch up from here …
 *     record.snapshots.follow(pods, cache);                 // … and keep it up to date
 *     record.history.rollouts(cloneSets, { namespace: "shop", name: "web" });
 */
import type { Env } from "../env/env.ts";
import { type Place, RecordFile } from "./file.ts";
import { type Arrived, History } from "./history.ts";
import { Snapshots } from "./snapshots.ts";

export type { Place } from "./file.ts";
export type { Held, Move, Rollout } from "./history.ts";
export { recordLimits } from "./limits.ts";
export type { Loaded, SnapshotSource } from "./snapshots.ts";

export interface Record {
  readonly history: History;
  readonly snapshots: Snapshots;
  /** Where it is kept now: a file that cannot be used is replaced by memory. */
  readonly place: Place;
  /** Bytes in use. */
  readonly bytes: number;
  /** Writes what still waits, and leaves the file in order. */
  close(): Promise<void>;
}

/**
 * @param path of the file; its folder is made. Absent: memory only.
 * @throws never; why the file is not used is in the log and in `place`
 */
export function openRecord(
  env: Env,
  path: string | undefined,
  options: { readonly fileBytesMax?: number; readonly arrived?: Arrived } = {},
): Record {
  const file = new RecordFile(env, path, options.fileBytesMax);
  const history = new History(env, file, options.arrived);
  const snapshots = new Snapshots(env, file);
  return {
    history,
    snapshots,
    get place() {
      return file.place;
    },
    get bytes() {
      return file.bytes;
    },
    async close() {
      await snapshots.flush();
      await snapshots.close();
      history.flush();
      file.close();
    },
  };
}
