/** Every bound of the record, with its unit and its reason. */
const day = 86_400_000;

export const recordLimits = {
  /** Bytes of the file; what would be beyond is not recorded. */
  fileBytesMax: 512 * 1024 * 1024,
  /** Bytes of the file at which snapshots are given up, so that there is room for the history. */
  snapshotBytesMax: 384 * 1024 * 1024,
  /** Damaged and foreign-version files kept beside the record, newest first. */
  asideFilesMax: 2,
  /** ms between two looks at what has to be written. */
  flushIntervalMs: 30_000,
  /** ms without a change before a kind is written: objects of a rollout change five times, and are worth writing once. */
  flushQuietMs: 10_000,
  /** ms that a kind which never rests waits: a crash costs at most so much of the watch, which the server still knows. */
  flushDelayMsMax: 120_000,
  /** ms a snapshot may hold the event loop. */
  sliceMsMax: 4,
  /** Objects read at once. */
  chunkObjectsMax: 200,
  /** ms that history waits for company before it is written. */
  historyDelayMs: 1_000,
  /** Entries written in one turn of the event loop. */
  historyBatchMax: 200,
  /** Objects whose latest rollout is kept at hand. */
  ownersKnownMax: 2_000,
  rolloutsPerOwnerMax: 20,
  movesMax: 200_000,
  historyAgeMsMax: 30 * day,
  /** Moves whose arrival is awaited, over all owners; the oldest are let go. */
  openMovesMax: 50_000,
  /** ms between two clean-ups. */
  pruneIntervalMs: 3_600_000,
} as const;
