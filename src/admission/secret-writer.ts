/** Certificates in a Secret: every replica reads the same ones, and of several that make some at once, one wins. */
import type { LiveReader, Writer } from "../kube/access.ts";
import { secrets } from "../kube/kinds.ts";
import { failureText } from "../kube/outcome.ts";
import type { Secret } from "../kube/types.ts";
import { type Certificates, type Expectation, type FileName, fromFiles, keepsAuthority, toFiles, unfit } from "./certificates.ts";

export type Obtained =
  | {
      readonly ok: true;
      readonly certificates: Certificates;
      /** PEM of the CA that was in use before, where it is another one. */
      readonly previousCa?: string;
      /** Why they were made anew, for the log. */
      readonly renewed?: string;
      /** Of the Secret they are in. */
      readonly resourceVersion?: string;
    }
  | { readonly ok: false; readonly message: string };

/** As `issueCertificates`. */
export type Issue = (host: string, nowMs: number, kept?: { certificate: string; key: string }) => Promise<Certificates>;

export interface SecretPlace {
  readonly live: LiveReader;
  readonly write: Writer;
  readonly namespace: string;
  readonly name: string;
}

/** Not ok: nothing was decided, try again. A conflict is such a case: the next look shows what the other replica wrote. */
export async function obtainFromSecret(place: SecretPlace, expected: Expectation, issue: Issue): Promise<Obtained> {
  const { live, write, namespace, name } = place;
  const where = `Secret ${namespace}/${name}`;
  const found = await live.get(secrets, { namespace, name });
  if (!found.ok && found.why !== "notFound") return { ok: false, message: `${where}: ${failureText(found)}` };
  if (!found.ok) {
    const certificates = await issue(expected.host, expected.nowMs);
    const draft = { apiVersion: "v1", kind: "Secret", metadata: { namespace, name }, data: encode(certificates) };
    const created = await write.create(secrets, draft);
    if (created.ok) return { ok: true, certificates, renewed: "the Secret did not exist", resourceVersion: versionOf(created.object) };
    if (created.why !== "alreadyExists") return { ok: false, message: `create ${where}: ${failureText(created)}` };
    return readWinner(place, expected);
  }
  const secret = found.object;
  const present = decode(secret);
  const why = unfit(present, expected);
  if (why === undefined) return { ok: true, certificates: present, resourceVersion: versionOf(secret) };
  const certificates = await issue(expected.host, expected.nowMs, keptAuthority(present, expected));
  const updated = await write.update(secrets, { ...secret, data: { ...secret.data, ...encode(certificates) } });
  if (!updated.ok) return { ok: false, message: `update ${where}: ${failureText(updated)}` };
  const previousCa = present.caCertificate === certificates.caCertificate ? undefined : present.caCertificate || undefined;
  return { ok: true, certificates, previousCa, renewed: why, resourceVersion: versionOf(updated.object) };
}

async function readWinner({ live, namespace, name }: SecretPlace, expected: Expectation): Promise<Obtained> {
  const winner = await live.get(secrets, { namespace, name });
  if (!winner.ok) return { ok: false, message: `Secret ${namespace}/${name}: ${failureText(winner)}` };
  const certificates = decode(winner.object);
  const why = unfit(certificates, expected);
  if (why !== undefined) return { ok: false, message: `Secret ${namespace}/${name}, just made by another replica: ${why}` };
  return { ok: true, certificates, resourceVersion: versionOf(winner.object) };
}

export function keptAuthority(present: Certificates, expected: Expectation): { certificate: string; key: string } | undefined {
  const { caCertificate: certificate, caKey: key = "" } = present;
  return keepsAuthority({ certificate, key }, expected.nowMs, expected.renewBeforeMs) ? { certificate, key } : undefined;
}

function encode(certificates: Certificates): Record<string, string> {
  const entries = Object.entries(toFiles(certificates)).map(([name, text]) => [name, Buffer.from(text).toString("base64")]);
  return Object.fromEntries(entries);
}

function decode(secret: Secret): Certificates {
  return fromFiles((name: FileName) => textIn(secret, name));
}

/** A value of the Secret as text; undefined when it is not there. */
export function textIn(secret: Secret, key: string): string | undefined {
  const value = secret.data?.[key];
  return typeof value === "string" ? Buffer.from(value, "base64").toString("utf8") : undefined;
}

export function versionOf(secret: Secret): string {
  return secret.metadata.resourceVersion;
}
