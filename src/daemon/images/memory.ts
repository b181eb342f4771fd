/** What is remembered of tasks beyond the life of the process. Losing it is harmless: then a task begins once more. */
import type { DaemonRecord } from "../record.ts";
import type { Remembered } from "./state.ts";

export interface Memory {
  recall(round: string): Remembered | undefined;
  /** Before and between attempts. */
  begun(round: string, remembered: Remembered): void;
  ended(round: string, remembered: Remembered): void;
  forget(round: string): void;
  /** Rounds that are remembered. */
  rounds(): readonly string[];
}

export function recordMemory(record: DaemonRecord): Memory {
  return {
    recall: (round) => record.get<Remembered>("pull", round)?.body,
    begun: (round, remembered) => record.begin("pull", round, remembered),
    ended: (round, remembered) => record.end("pull", round, remembered),
    forget: (round) => record.forget("pull", round),
    rounds: () => record.all("pull").map(({ key }) => key),
  };
}
