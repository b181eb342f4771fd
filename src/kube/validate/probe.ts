/** Probes and lifecycle hooks of containers. */
import type { Fields } from "../json.ts";
import type { FieldErrors } from "./field-error.ts";
import { headerNameProblems, portNameProblems, portNumberProblems } from "./names.ts";
import { child, children, integer, optionalInteger, optionalText, text, texts } from "./read.ts";

function checkPort(errors: FieldErrors, port: unknown, path: string): void {
  if (typeof port === "string") errors.invalidAll(path, port, portNameProblems(port));
  else errors.invalidAll(path, typeof port === "number" ? port : 0, portNumberProblems(typeof port === "number" ? port : 0));
}

function checkHttpGet(errors: FieldErrors, action: Fields, path: string): void {
  if (text(action, "path") === "") errors.required(`${path}.path`);
  checkPort(errors, action["port"], `${path}.port`);
  const scheme = text(action, "scheme");
  if (scheme !== "HTTP" && scheme !== "HTTPS") errors.notSupported(`${path}.scheme`, scheme, ["HTTP", "HTTPS"]);
  for (const header of children(action, "httpHeaders")) {
    const name = text(header, "name");
    errors.invalidAll(`${path}.httpHeaders`, name, headerNameProblems(name));
  }
}

type HandlerCheck = (errors: FieldErrors, action: Fields, path: string, graceSeconds: number | undefined) => void;

const handlers: readonly (readonly [string, HandlerCheck])[] = [
  ["exec", (errors, action, path) => (texts(action, "command").length === 0 ? errors.required(`${path}.command`) : undefined)],
  ["httpGet", checkHttpGet],
  ["tcpSocket", (errors, action, path) => checkPort(errors, action["port"], `${path}.port`)],
  ["grpc", (errors, action, path) => checkPort(errors, action["port"], `${path}.port`)],
  [
    "sleep",
    (errors, action, path, graceSeconds) => {
      const seconds = integer(action, "seconds");
      if (graceSeconds !== undefined && (seconds < 0 || seconds > graceSeconds))
        errors.invalid(path, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`);
    },
  ],
];
const probeOnly = new Set(["grpc"]);
const hookOnly = new Set(["sleep"]);

/** Exactly one way to ask or act. */
function checkHandler(errors: FieldErrors, handler: Fields, use: "probe" | "hook", path: string, graceSeconds: number | undefined): void {
  let count = 0;
  for (const [name, check] of handlers) {
    if ((use === "probe" ? hookOnly : probeOnly).has(name)) continue;
    const action = child(handler, name);
    if (action === undefined) continue;
    count += 1;
    if (count > 1) errors.forbidden(`${path}.${name}`, "may not specify more than 1 handler type");
    else check(errors, action, `${path}.${name}`, graceSeconds);
  }
  if (count === 0) errors.required(path, "must specify a handler type");
}

const probeNumbers = ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];

function checkProbe(errors: FieldErrors, container: Fields, name: string, path: string): void {
  const probe = child(container, name);
  if (probe === undefined) return;
  const at = `${path}.${name}`;
  checkHandler(errors, probe, "probe", at, undefined);
  for (const field of probeNumbers)
    if (integer(probe, field) < 0) errors.invalid(`${at}.${field}`, integer(probe, field), "must be greater than or equal to 0");
  const grace = optionalInteger(probe, "terminationGracePeriodSeconds");
  if (grace !== undefined && grace <= 0) errors.invalid(`${at}.terminationGracePeriodSeconds`, grace, "must be greater than 0");
  if (name === "readinessProbe") {
    if (grace !== undefined) errors.invalid(`${at}.terminationGracePeriodSeconds`, grace, "must not be set for readinessProbes");
  } else if (integer(probe, "successThreshold") !== 1)
    errors.invalid(`${at}.successThreshold`, integer(probe, "successThreshold"), "must be 1");
}

/** Hooks and probes of a container that keeps running. */
export function checkLife(
  errors: FieldErrors,
  container: Fields,
  path: string,
  graceSeconds: number | undefined,
  os: string | undefined,
): void {
  const lifecycle = child(container, "lifecycle");
  if (lifecycle !== undefined) {
    for (const hook of ["postStart", "preStop"]) {
      const handler = child(lifecycle, hook);
      if (handler !== undefined) checkHandler(errors, handler, "hook", `${path}.lifecycle.${hook}`, graceSeconds);
    }
    if (optionalText(lifecycle, "stopSignal") !== undefined && os === undefined)
      errors.forbidden(`${path}.lifecycle.stopSignal`, "may not be set for containers with empty `spec.os.name`");
  }
  for (const probe of ["livenessProbe", "readinessProbe", "startupProbe"]) checkProbe(errors, container, probe, path);
}

/** An init container that ends has nobody to probe. */
export function checkNoLife(errors: FieldErrors, container: Fields, path: string): void {
  for (const field of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"])
    if (child(container, field) !== undefined)
      errors.forbidden(`${path}.${field}`, "may not be set for init containers without restartPolicy=Always");
}
