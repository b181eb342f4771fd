/** The real world: the clock, the timers, the dice and standard error of this process. */
import type { Cancel, Env, Logger } from "./env.ts";

/** setTimeout counts in a signed 32-bit number; a longer wait is made of several. */
const timeoutMsMax = 2_147_483_647;

export function systemEnv(log: Logger, stopped: AbortSignal): Env {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after,
    random: () => Math.random(),
    uuid: () => crypto.randomUUID(),
    log,
    stopped,
  };
}

function after(delayMs: number, run: () => void): Cancel {
  if (delayMs <= 0) {
    const immediate = setImmediate(run);
    return () => clearImmediate(immediate);
  }
  if (delayMs <= timeoutMsMax) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  }
  let cancel: Cancel = () => {};
  const timer = setTimeout(() => {
    cancel = after(delayMs - timeoutMsMax, run);
  }, timeoutMsMax);
  return () => {
    clearTimeout(timer);
    cancel();
  };
}
