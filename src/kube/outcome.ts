/** What the API server may answer. Expected outcomes are values; only broken promises of our own code throw. */

export type Failure =
  /** 409 Conflict: a `resourceVersion` or `uid` precondition did not hold. Somebody was faster: look again. */
  | { readonly ok: false; readonly why: "conflict"; readonly message: string }
  /** 409 AlreadyExists. */
  | { readonly ok: false; readonly why: "alreadyExists"; readonly message: string }
  /** 404 of the object (or of its kind: see `message`). */
  | { readonly ok: false; readonly why: "notFound"; readonly message: string }
  /** 400, 403, 405, 413, 415, 422: quota, RBAC, validation or a webhook. Repeating it unchanged will not help; the user should see `message`. */
  | { readonly ok: false; readonly why: "denied"; readonly code: number; readonly reason: string; readonly message: string }
  /** 429, or 503/500 with Retry-After: nothing happened, come back later. */
  | { readonly ok: false; readonly why: "throttled"; readonly retryAfterMs: number; readonly message: string }
  /** 410 Gone: the resourceVersion or continue token is too old. */
  | { readonly ok: false; readonly why: "expired"; readonly message: string }
  /**
   * Other 5xx, connection refused: the server is not able to answer now. A write may or may not have happened when `mayHaveHappened`.
   * `code` when there was an answer all the same: a webhook that is down may stay so, and the user should see `message`.
   */
  | {
      readonly ok: false;
      readonly why: "unavailable";
      readonly mayHaveHappened: boolean;
      readonly code?: number;
      readonly message: string;
    };

export type Written<T> = { readonly ok: true; readonly object: T } | Failure;

/** One line for logs, Events and conditions. */
export function failureText(failure: Failure): string {
  return failure.message === "" ? failure.why : failure.message;
}
