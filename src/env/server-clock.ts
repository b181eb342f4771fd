/**
 * A wall clock that agrees with the API server's. Objects carry times that the server wrote, or somebody on another machine; to compare
 * them with the clock of this machine would make every deadline and every TTL as wrong as the two clocks differ. Each answer of the
 * server says what time it is there, in whole seconds: from the first one on, and so after each restart, time is counted its way.
 */
import type { Env } from "./env.ts";

export const serverClockLimits = {
  /** ms. Clocks that are this close count as equal: an answer tells no more than the second, and servers differ among themselves. */
  toleratedMs: 2000,
  /** The header has whole seconds, cut off. */
  resolutionMs: 1000,
} as const;

/** `env`, whose `nowMs` is the server's from the first answer on where the two differ. What was made of `env` itself keeps the machine's clock. */
export function withServerClock(env: Env): Env {
  const { toleratedMs, resolutionMs } = serverClockLimits;
  let offsetMs = 0;
  return {
    nowMs: () => env.nowMs() + offsetMs,
    monotonicMs: () => env.monotonicMs(),
    after: (delayMs, run) => env.after(delayMs, run),
    random: () => env.random(),
    uuid: () => env.uuid(),
    log: env.log,
    stopped: env.stopped,
    serverSaid: (serverMs, roundTripMs) => {
      // It was said somewhere between the question and the answer.
      const nowMs = env.nowMs();
      const leastMs = serverMs - nowMs;
      const mostMs = serverMs + resolutionMs - (nowMs - roundTripMs);
      const fits = (candidateMs: number) => candidateMs >= leastMs - toleratedMs && candidateMs <= mostMs + toleratedMs;
      const next = [0, offsetMs].find(fits) ?? (leastMs + mostMs) / 2;
      if (next === offsetMs) return;
      offsetMs = next;
      const aheadSeconds = Math.round(-next / 1000);
      if (next === 0) env.log.info({}, "this machine's clock agrees with the API server's again");
      else env.log.warn({ aheadSeconds }, "this machine's clock differs from the API server's, which is the one that counts");
    },
  };
}
