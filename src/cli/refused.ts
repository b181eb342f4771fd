/** Why a command ends without having done what was asked. Thrown by commands, told at their one door (main.ts), which answers 1. */
import { type Failure, failureText } from "../kube/outcome.ts";

export class Refused extends Error {
  constructor(
    message: string,
    /** Of the API server: "NotFound", "Forbidden". */
    readonly reason = "",
    readonly code = 0,
    readonly hint = "",
  ) {
    super(message);
  }
}

/** A wrong command line: users are pointed to the help. */
export class Misused extends Refused {}

const reasons: Partial<Record<Failure["why"], readonly [string, number]>> = {
  conflict: ["Conflict", 409],
  alreadyExists: ["AlreadyExists", 409],
  notFound: ["NotFound", 404],
  throttled: ["TooManyRequests", 429],
  expired: ["Expired", 410],
};

/** An answer of the API server as kubectl words it. */
export function refusal(failure: Failure): Refused {
  const message = failureText(failure);
  if (failure.why === "unavailable" && failure.code === undefined)
    return new Refused(`Unable to connect to the server: ${message}`, "Unavailable");
  const [reason, code] =
    failure.why === "denied" ? [failure.reason || "BadRequest", failure.code] : (reasons[failure.why] ?? ["InternalError", 500]);
  if (reason === "Invalid") return new Refused(`The ${message.replace(/^(\w+)(?:\.[\w.-]+)? "/, '$1 "')}`, reason, code);
  if (code === 401) return new Refused("error: You must be logged in to the server (Unauthorized)", "Unauthorized", code);
  return new Refused(`Error from server (${reason}): ${message}`, reason, code);
}
