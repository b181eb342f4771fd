/** What most admission tests need: settings, a context without a world, and certificates made once. */
import type { Settings } from "../../api/settings.ts";
import { silentLogger } from "../../env/log.ts";
import type { Kind } from "../../kube/kind.ts";
import type { Certificates } from "../certificates.ts";
import { issueCertificates } from "../issue.ts";
import type { AdmissionContext, AdmissionRequest } from "../webhook.ts";

export const host = "kruise-webhook-service.kruise-system.svc";

export function settingsWith(options: { off?: readonly string[]; missing?: readonly string[] } = {}): Settings {
  return {
    gates: { enabled: (name: string) => !options.off?.includes(name) },
    installNamespace: "kruise-system",
    daemonConfigNamespace: "kruise-daemon-config",
    serves: (kind: Kind) => !options.missing?.includes(`${kind.version}.${kind.plural}`),
  } as unknown as Settings;
}

export function contextWith(changes: Partial<AdmissionContext> = {}): AdmissionContext {
  const absent = new Proxy({}, { get: (_, name) => () => Promise.reject(new Error(`nobody is there to ${String(name)}`)) });
  return {
    read: absent as AdmissionContext["read"],
    write: absent as AdmissionContext["write"],
    settings: settingsWith(),
    log: silentLogger,
    nowMs: () => 0,
    random: () => 0.5,
    after(_delayMs, run) {
      queueMicrotask(run);
      return () => {};
    },
    emit() {},
    refused() {},
    ...changes,
  };
}

export function podRequest(changes: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return {
    uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
    kind: { group: "", version: "v1", kind: "Pod" },
    resource: { group: "", version: "v1", resource: "pods" },
    name: "web-0",
    namespace: "shop",
    operation: "CREATE",
    dryRun: false,
    userInfo: { username: "alice" },
    ...changes,
  };
}

export function reviewText(request: object, apiVersion = "admission.k8s.io/v1"): string {
  return JSON.stringify({ kind: "AdmissionReview", apiVersion, request });
}

const made = new Map<string, Promise<Certificates>>();
/** Makes one at most once a process: finding primes takes a while. */
export function certificatesMade(label: string, nowMs: number, name = host, kept?: Certificates): Promise<Certificates> {
  const key = `${label} ${nowMs} ${name}`;
  const known = made.get(key) ?? issueCertificates(name, nowMs, kept && { certificate: kept.caCertificate, key: kept.caKey ?? "" });
  made.set(key, known);
  return known;
}

/** Waits for what happens outside of the test's control. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`did not happen within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
