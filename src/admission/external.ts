/** Certificates that somebody else issues (cert-manager, a mesh): they are read, checked and served, and nothing is ever written. */
import type { LiveReader } from "../kube/access.ts";
import { secrets } from "../kube/kinds.ts";
import { failureText } from "../kube/outcome.ts";
import { type Certificates, type Expectation, isPair, readBundle, unfit } from "./certificates.ts";
import { type Obtained, textIn, versionOf } from "./secret-writer.ts";

export interface ExternalPlace {
  readonly live: LiveReader;
  readonly namespace: string;
  readonly name: string;
}

export type ObtainedExternally = Obtained & {
  /** The certificates are served all the same: whoever issues them knows what the API server accepts. */
  readonly warning?: string;
};

export async function obtainExternally({ live, namespace, name }: ExternalPlace, expected: Expectation): Promise<ObtainedExternally> {
  const where = `Secret ${namespace}/${name}`;
  const found = await live.get(secrets, { namespace, name });
  if (!found.ok) return { ok: false, message: `${where}: ${failureText(found)} (gate EnableExternalCerts: the issuer has to make it)` };
  const secret = found.object;
  const text = (key: string): string => textIn(secret, key) ?? "";
  const missing = ["ca.crt", "tls.crt", "tls.key"].filter((key) => text(key) === "");
  if (missing.length > 0) return { ok: false, message: `${where}: data ${missing.join(", ")} missing (gate EnableExternalCerts)` };
  const certificates: Certificates = {
    caKey: text("ca.key") || undefined,
    caCertificate: text("ca.crt"),
    key: text("tls.key"),
    certificate: text("tls.crt"),
  };
  if (!readBundle(certificates.caCertificate)) return { ok: false, message: `${where}: data ca.crt is not a PEM certificate` };
  if (!isPair(certificates.certificate, certificates.key))
    return { ok: false, message: `${where}: data tls.key is not the key of data tls.crt` };
  // When to renew is the issuer's business; that it is past is worth a word.
  const why =
    unfit(certificates, { ...expected, renewBeforeMs: 0 }) ?? unfit(certificates, { ...expected, host: "localhost", renewBeforeMs: 0 });
  return { ok: true, certificates, resourceVersion: versionOf(secret), warning: why && `${where}: ${why}` };
}
