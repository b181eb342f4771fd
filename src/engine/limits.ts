/** Every bound of the engine, with its unit and its reason. */
export const engineLimits = {
  /** ms; first pause of a failing key, doubled with each failure (as controller-runtime). */
  backoffMsMin: 5,
  backoffMsMax: 1_000_000,
  /** Retries of all failing keys of one queue together. */
  retriesPerSecond: 10,
  retryBurst: 100,
  /** ms; events do not wake a failing key sooner than its back-off, up to here: a thousand events must not mean a thousand refused writes. */
  failurePauseMsMax: 1_000,
  /** A key is planned again at the earliest after this many times what its last plan cost: planning stays under a twentieth of a core. */
  rationFactor: 20,
  /** While the actions of a key run it is planned for its status only, and may wait longer: a hundredth of a core. */
  refreshFactor: 100,
  /** Failed outcomes of a key that its next status still shows. */
  failedKeptMax: 16,
  /** ms; the ration never holds a key longer. */
  rationMsMax: 2_000,
  /** Rounds of one key that write: beyond the burst something undoes what we do, and neither of us should wear the server out. */
  actsPerSecond: 10,
  actsBurst: 100,
  /** Keys changed by their users go first, but after so many of them one other key has its turn. */
  freshInARowMax: 16,
  /** Keys with news go before those that are looked at only because all are, but after so many of them one of the others has its turn. */
  newsInARowMax: 16,
  /** ms of planning before the event loop gets its turn. */
  sliceMsMax: 4,

  /** Writes on their way at once, over all controllers. */
  writesInFlightMax: 32,
  /** Objects; doubles after each batch without a failure. */
  createBatchFirst: 1,
  /** Objects; one workload leaves room for the others. */
  createBatchMax: 512,
  /** ms before the 2nd, 3rd and 4th try of a write that met a conflict; each stretched by up to a tenth. */
  conflictDelaysMs: [10, 50, 250],
  conflictJitter: 0.1,

  /** ms between two status writes of one object while it is in flux. */
  statusIntervalMs: 250,
  /** When writes queue up, statuses step back: the interval grows up to this many times. */
  statusStretchMax: 4,

  /** ms before a "not there" after an unclear answer is believed: the write may still be on its way inside the server. */
  unclearSettleMs: 1_000,
  unclearBackoffMsMin: 100,
  unclearBackoffMsMax: 10_000,
  /** ms for the list of an owner's objects after an expectation timed out. */
  relistMsMax: 30_000,

  /** Bytes of an Event's message; the API server refuses more. */
  eventBytesMax: 1_024,
  /** Bytes of a failure inside an Event's message: the rest is for the names. */
  eventFailureBytesMax: 640,

  /** Objects held back, remembered per key. */
  reasonsPerKeyMax: 10_000,
  reasonKeysMax: 20_000,
  /** Names shown for one code. */
  reasonNamesMax: 20,

  /** ms for the caches of a controller to fill. */
  cacheSyncMsMax: 120_000,
  /** ms for the keys in work to end when the process stops. */
  drainMsMax: 30_000,
} as const;
