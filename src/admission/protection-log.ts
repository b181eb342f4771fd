/** `protection.log`: one line of JSON for every refusal, and the metrics that go with it. A log that cannot be written stops nobody. */
import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../env/env.ts";
import type { AdmissionMetrics, RefusalMetric } from "./metrics.ts";
import type { Refusal } from "./webhook.ts";

export interface ProtectionLog {
  append(refusal: Refusal): void;
  /** Resolves when everything appended so far is in the file, or given up. */
  flushed(): Promise<void>;
}

/** Lines that wait for the disk; beyond that they are lost, and counted in the process log. */
const waitingLinesMax = 10_000;

/** @param directory of `--protection-log-path` */
export function protectionLog(directory: string, log: Logger): ProtectionLog {
  const path = join(directory, "protection.log");
  let waiting: string[] = [];
  let lost = 0;
  let writing: Promise<void> | undefined;
  let broken = false;

  const drain = async () => {
    while (waiting.length > 0) {
      const lines = waiting;
      waiting = [];
      try {
        await mkdir(directory, { recursive: true });
        // Opened for each batch: whoever rotates the file needs to tell nobody.
        await appendFile(path, lines.join(""));
        if (broken) log.info({ path }, "protection log: written again");
        broken = false;
      } catch (error) {
        lost += lines.length;
        if (!broken) log.warn({ path, lost, error: (error as Error).message }, "protection log: cannot be written, going on without it");
        broken = true;
      }
    }
    writing = undefined;
  };

  // At once, so that a directory nobody can write is said at start and not at the first refusal.
  waiting.push("");
  writing = drain();

  return {
    append({ event, kind, namespace, name, userAgent }) {
      if (waiting.length >= waitingLinesMax) {
        lost += 1;
        return;
      }
      waiting.push(`${JSON.stringify({ Event: event, Kind: kind, Namespace: namespace, Name: name, UserAgent: userAgent })}\n`);
      writing ??= drain();
    },
    async flushed() {
      await writing;
    },
  };
}

/** For `AdmissionContext.refused`. */
export function refusalRecorder(log: ProtectionLog, metrics: AdmissionMetrics): (refusal: Refusal) => void {
  return (refusal) => {
    const [metric, labels] = metricOf(refusal);
    metrics.refused(metric, labels);
    log.append(refusal);
  };
}

function metricOf({ event, kind, namespace, name, userAgent }: Refusal): readonly [RefusalMetric, Readonly<Record<string, string>>] {
  const workload = { kind_namespace_name: `${kind}_${namespace}_${name}`, username: userAgent };
  if (event === "PodUnavailableBudget") return ["pod_unavailable_budget", workload];
  if (kind === "Namespace") return ["namespace_deletion_protection", { name, username: userAgent }];
  if (kind === "CustomResourceDefinition") return ["crd_deletion_protection", { name, username: userAgent }];
  return ["workload_deletion_protection", workload];
}
