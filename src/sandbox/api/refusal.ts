/**
 * What the API server says when it does not do as asked. Inside this room a refusal is thrown, so that forty rules need not hand it up
 * by hand; the one door (`handle`) turns it into an answer.
 */
import { aggregateText, errorCauses, type FieldError } from "../../kube/validate/field-error.ts";

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
  readonly retryAfterSeconds?: number;
}

export class Refusal extends Error {
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly details?: StatusDetails,
  ) {
    super(message);
  }

  /** As a `Status` object. */
  get status(): Readonly<Record<string, unknown>> {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(this.reason === "" ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }
}

interface Named {
  readonly group: string;
  readonly plural: string;
}

const resourceText = ({ group, plural }: Named): string => (group === "" ? plural : `${plural}.${group}`);
const detailsOf = ({ group, plural }: Named, name: string): StatusDetails => ({
  ...(name === "" ? {} : { name }),
  ...(group === "" ? {} : { group }),
  kind: plural,
});

export function notFound(of: Named, name: string): Refusal {
  return new Refusal(404, "NotFound", `${resourceText(of)} "${name}" not found`, detailsOf(of, name));
}

export function alreadyExists(of: Named, name: string): Refusal {
  return new Refusal(409, "AlreadyExists", `${resourceText(of)} "${name}" already exists`, detailsOf(of, name));
}

export function conflict(of: Named, name: string, why: string): Refusal {
  return new Refusal(409, "Conflict", `Operation cannot be fulfilled on ${resourceText(of)} "${name}": ${why}`, detailsOf(of, name));
}

export const modifiedText = "the object has been modified; please apply your changes to the latest version and try again";

export function badRequest(message: string): Refusal {
  return new Refusal(400, "BadRequest", message);
}

export function forbidden(of: Named, name: string, why: string): Refusal {
  const subject = name === "" ? `${resourceText(of)} is forbidden` : `${resourceText(of)} "${name}" is forbidden`;
  return new Refusal(403, "Forbidden", `${subject}: ${why}`, detailsOf(of, name));
}

export function methodNotAllowed(message = "the server does not allow this method on the requested resource"): Refusal {
  return new Refusal(405, "MethodNotAllowed", message, {});
}

/** @param kind "Pod", "CloneSet.apps.kruise.io" in the message */
export function invalid(group: string, kind: string, name: string, errors: readonly FieldError[]): Refusal {
  const qualified = group === "" ? kind : `${kind}.${group}`;
  return new Refusal(422, "Invalid", `${qualified} "${name}" is invalid: ${aggregateText(errors)}`, {
    ...(name === "" ? {} : { name }),
    ...(group === "" ? {} : { group }),
    kind,
    causes: errorCauses(errors),
  });
}

export function expired(message: string): Refusal {
  return new Refusal(410, "Expired", message);
}

export function unknownResource(): Refusal {
  return new Refusal(404, "NotFound", "the server could not find the requested resource", {});
}

export function tooManyRequests(message: string, details: StatusDetails): Refusal {
  return new Refusal(429, "TooManyRequests", message, details);
}

export function internalError(message: string): Refusal {
  return new Refusal(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });
}
