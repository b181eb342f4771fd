/** From what came over the wire to an outcome that a caller can act on. */
import type { Failure } from "./outcome.ts";
import type { ApiAnswer, Method } from "./transport.ts";

interface Status {
  readonly kind?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
  readonly details?: { readonly retryAfterSeconds?: number; readonly causes?: readonly { readonly field?: string }[] };
}

/** Characters; a proxy's error page is not a message. */
const messageLengthMax = 4096;
const retryAfterMsDefault = 1000;

/** @param answer one that is not a success: status 0 or 400 and above */
export function failureOf(answer: ApiAnswer, method: Method): Failure {
  const mayHaveHappened = answer.sent && method !== "GET";
  if (answer.status === 0) return { ok: false, why: "unavailable", mayHaveHappened, message: answer.text };
  const status = statusIn(answer.text);
  return failureFrom(answer.status, status, mayHaveHappened, answer.retryAfterMs, answer.text);
}

/** For the Status object that a watch sends as its last event. */
export function failureOfStatus(value: unknown): Failure {
  const status = (typeof value === "object" && value !== null ? value : {}) as Status;
  return failureFrom(status.code ?? 500, status, false, undefined, "");
}

function failureFrom(code: number, status: Status, mayHaveHappened: boolean, headerMs: number | undefined, text: string): Failure {
  const message = (status.message ?? text.trim()).slice(0, messageLengthMax) || `the API server answered ${code}`;
  const reason = status.reason ?? "";
  const seconds = status.details?.retryAfterSeconds;
  const retryAfterMs = headerMs ?? (seconds ? seconds * 1000 : undefined);
  switch (code) {
    case 404:
      return { ok: false, why: "notFound", message };
    case 409:
      return { ok: false, why: reason === "AlreadyExists" ? "alreadyExists" : "conflict", message };
    case 410:
      return { ok: false, why: "expired", message };
    case 429:
      return { ok: false, why: "throttled", retryAfterMs: retryAfterMs ?? retryAfterMsDefault, message };
    case 408:
      return { ok: false, why: "unavailable", mayHaveHappened, code, message };
    case 422:
      // A uid in a patch is a precondition: the object of that name is another one now.
      if (status.details?.causes?.some(({ field }) => field === "metadata.uid")) return { ok: false, why: "conflict", message };
      return { ok: false, why: "denied", code, reason, message };
    default:
      if (code < 500) return { ok: false, why: "denied", code, reason, message };
      if ((code === 500 || code === 503) && retryAfterMs !== undefined) return { ok: false, why: "throttled", retryAfterMs, message };
      // The webhook comes before the write.
      return {
        ok: false,
        why: "unavailable",
        mayHaveHappened: mayHaveHappened && !message.includes("failed calling webhook"),
        code,
        message,
      };
  }
}

function statusIn(text: string): Status {
  if (!text.startsWith("{")) return {};
  try {
    const value = JSON.parse(text) as Status;
    return value.kind === "Status" ? value : {};
  } catch {
    return {};
  }
}
