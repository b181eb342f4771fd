/**
 * What the parts of the daemon (image puller, recreate requests, container reports, prober) are given, and what they are. A part
 * watches, decides and acts on its own; the frame starts it when everything below is there, and ends it when the process stops.
 */

import type { Metrics } from "../engine/metrics.ts";
import type { Env } from "../env/env.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Kube } from "../kube/kube.ts";
import type { Check } from "../process/endpoints.ts";
import type { Killer } from "./containers/killer.ts";
import type { Runtimes } from "./cri/runtimes.ts";
import type { DaemonOptions } from "./options.ts";
import type { DaemonRecord } from "./record.ts";

export interface Frame {
  /** Its wall clock agrees with the API server's. */
  readonly env: Env;
  /** This machine's own wall clock, for what the runtime on it says of times. */
  readonly machineNowMs: () => number;
  readonly options: DaemonOptions;
  /** The cache watches what `watched.ts` says; `client.as("kruise-daemon/kruise-daemon-crr")` speaks under a part's own name. */
  readonly kube: Kube;
  readonly runtimes: Runtimes;
  /** Under the name of a part: `events.as("kruise-daemon-crr")`. Carries the node's name. */
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  readonly record: DaemonRecord;
  /** Stops containers: one kill at a time for each. */
  readonly killer: Killer;
}

export interface Part {
  readonly name: string;
  /** Further checks of /healthz, by name. */
  readonly checks?: Readonly<Record<string, Check>>;
  /** Called once, when the caches show whole lists (of pods at least). */
  start(): void | Promise<void>;
  /** Nothing new starts; what is in work is cancelled or ends. `env.stopped` is aborted already. */
  stop(): Promise<void>;
}

/** Undefined: its gates are off. */
export type MakePart = (frame: Frame) => Part | undefined | Promise<Part | undefined>;
