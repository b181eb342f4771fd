/** From what failed to what happens next with the key. */
import { type Failure, failureText } from "../kube/outcome.ts";
import type { Outcome } from "./plan.ts";
import type { Worked } from "./queue.ts";
import { subjectOf } from "./tellings.ts";

/**
 * The worst outcome decides: refused or unreachable → back-off; only conflicts → soon; only throttled → after what the server asked for.
 * `mustRetry`: the plan itself asks for back-off.
 */
export function verdict(
  outcomes: readonly Outcome[],
  more: readonly Failure[],
  mustRetry: boolean,
): Pick<Worked, "next" | "afterMs" | "quietMs"> {
  let isBad = mustRetry;
  let lostRace = false;
  let throttledMs = -1;
  for (const failure of failuresOf(outcomes, more)) {
    switch (failure.why) {
      case "conflict":
      case "expired":
        lostRace = true;
        break;
      case "throttled":
        throttledMs = Math.max(throttledMs, failure.retryAfterMs);
        break;
      case "alreadyExists":
      case "notFound":
      case "denied":
      case "unavailable":
        isBad = true;
    }
  }
  const later = throttledMs < 0 ? {} : { afterMs: throttledMs, quietMs: throttledMs };
  if (isBad) return { next: "backOff", ...later };
  if (throttledMs >= 0) return { next: "done", ...later };
  return { next: lostRace ? "soon" : "done" };
}

/** One log line for each text, however many objects it hit. Lost races are not worth one. */
export function failuresByText(outcomes: readonly Outcome[], more: readonly Failure[]): readonly { fields: object; message: string }[] {
  const lines = new Map<string, { why: string; code: number | undefined; count: number; first: string }>();
  const add = (failure: Failure, subject: string) => {
    if (failure.why === "conflict") return;
    const text = failureText(failure);
    const line = lines.get(text);
    if (line !== undefined) line.count += 1;
    else lines.set(text, { why: failure.why, code: failure.why === "denied" ? failure.code : undefined, count: 1, first: subject });
  };
  for (const outcome of outcomes)
    if (outcome.result === "failed") add(outcome.failure, `${outcome.action.do} ${subjectOf(outcome.action)}`);
  for (const failure of more) add(failure, "status");
  return [...lines].map(([message, fields]) => ({ fields, message }));
}

function* failuresOf(outcomes: readonly Outcome[], more: readonly Failure[]): Generator<Failure> {
  for (const outcome of outcomes) if (outcome.result === "failed") yield outcome.failure;
  yield* more;
}
