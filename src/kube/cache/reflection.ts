/** What a reflector promises and counts. */

export const reflectorLimits = {
  pageSize: 500,
  backoffMsMin: 200,
  backoffMsMax: 30_000,
  /** A watch that lived this long was healthy: its end is no failure. */
  watchMsHealthy: 5000,
  /** The server ends each watch; a random time keeps them from ending together. */
  watchSecondsMin: 300,
  watchSecondsMax: 600,
  /** Servers send a bookmark about once a minute. Silence for longer means a dead connection, until it has proven to be only silence. */
  idleMsMin: 90_000,
  idleMsMax: 660_000,
  /** Of a kind with no more objects than this the server is asked what it has before a watch is taken up from a snapshot. */
  comparedMax: 250,
  /** No byte of a list for this long. */
  listIdleMs: 30_000,
  /** A kind that is not served is asked for again after this. */
  absentRetryMs: 30_000,
  /** A kind that was served and is not now may only be a server that starts: its objects are let go after this many refusals. */
  absentTriesMin: 3,
} as const;

export type KindState =
  /** Nothing is known yet. */
  | "starting"
  /** The store shows a whole list, and the watch goes on from there. */
  | "synced"
  /** The server does not serve this kind. */
  | "absent"
  /** The last try failed; the store shows what was known before, if anything. */
  | "failing";

export interface ReflectorCounters {
  watchRestarts: number;
  relists: number;
  /** Objects that a relist found different from what the watch had told. */
  drift: number;
  events: number;
  bytes: number;
  /** Objects too large to read. */
  tooLong: number;
}
