/** Waiting for the real world: poll a condition until it holds or a deadline passes, and say what was seen last. */

export interface WaitOptions {
  /** Deadline. Default 60,000: what takes seconds may take many on a machine that has much else to do. */
  readonly timeoutMs?: number;
  /** Pause between two looks. Default 100. */
  readonly intervalMs?: number;
}

/** The server's garbage collector looks for new kinds every half minute, and may have to begin anew when one changes. */
export const collectedMs = 150_000;

/**
 * Looks until `fn` answers something truthy, and returns that.
 * @param what reads as the end of "waited for …", e.g. "pod web-0 to be Ready"
 * @throws Error naming `what`, the time spent, and the last value or error, when the deadline passes
 */
export async function waitFor<T>(what: string, fn: () => T | Promise<T>, options: WaitOptions = {}): Promise<Exclude<Awaited<T>, Falsy>> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const startedMs = Date.now();
  let last: unknown;
  let failure: unknown;
  for (;;) {
    try {
      const value = await fn();
      if (value) return value as Exclude<Awaited<T>, Falsy>;
      last = value;
      failure = undefined;
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      failure = error;
    }
    if (Date.now() - startedMs >= timeoutMs) break;
    await Bun.sleep(options.intervalMs ?? 100);
  }
  const seen = failure === undefined ? `last seen: ${shorten(JSON.stringify(last) ?? String(last))}` : `last error: ${messageOf(failure)}`;
  throw new Error(`waited ${Date.now() - startedMs} ms for ${what}; ${seen}`);
}

type Falsy = false | 0 | "" | null | undefined;

/** Thrown inside a `waitFor` when the condition can no longer come true: ends the wait at once. */
export class GiveUp extends Error {}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function shorten(text: string): string {
  return text.length > 2_000 ? `${text.slice(0, 2_000)}… (${text.length} characters)` : text;
}
