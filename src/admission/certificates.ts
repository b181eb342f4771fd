/** When a serving certificate is good enough, and for how long. Reading needs nothing but the runtime; making one is `issue.ts`. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { isIP } from "node:net";

/** PEM. `certificate` may be a chain, `caCertificate` a bundle. */
export interface Certificates {
  /** Absent where somebody else issues. */
  readonly caKey?: string;
  readonly caCertificate: string;
  readonly key: string;
  readonly certificate: string;
}

const dayMs = 86_400_000;
export const certificateLimits = {
  /** What is issued lives this long. */
  lifetimeMs: 10 * 365 * dayMs,
  renewBeforeDefaultMs: 180 * dayMs,
  /** More would call every new certificate old, and renew without end. */
  renewBeforeMaxMs: (10 * 365 * dayMs) / 2,
  /** An authority that lives at least this long is kept when the certificate is renewed, so that nobody has to learn a new one. */
  caKeptMinMs: 365 * dayMs,
  /** Clocks differ: what is issued is valid a little earlier. */
  backdateMs: 3_600_000,
} as const;

/** CERTS_RENEW_BEFORE: "30d", "6m" (of 30 days), "2y" (of 365). Unreadable or not positive: 180 days. At most half of a lifetime. */
export function renewBeforeMs(text: string | undefined): number {
  const match = /^(\d+)([dmy])$/.exec((text ?? "").trim());
  const days = match ? Number(match[1]) * ({ d: 1, m: 30, y: 365 }[match[2] as "d" | "m" | "y"] ?? 0) : 0;
  if (days <= 0) return certificateLimits.renewBeforeDefaultMs;
  return Math.min(days * dayMs, certificateLimits.renewBeforeMaxMs);
}

export interface Expectation {
  /** A DNS name, or an IP address. */
  readonly host: string;
  readonly nowMs: number;
  readonly renewBeforeMs: number;
}

/** @returns why these certificates are not to be used (any longer), or undefined when they are good. Never throws. */
export function unfit(certificates: Certificates, expected: Expectation): string | undefined {
  const chain = readBundle(certificates.certificate);
  const authorities = readBundle(certificates.caCertificate);
  const leaf = chain?.[0];
  if (!chain || !leaf) return "the certificate is missing or cannot be read";
  if (!authorities || authorities.length === 0) return "the CA certificate is missing or cannot be read";
  const key = readKey(certificates.key);
  if (!key) return "the private key is missing or cannot be read";
  if (!holds(() => leaf.checkPrivateKey(key))) return "the private key does not belong to the certificate";
  if (!isFor(leaf, expected.host)) return `the certificate is not for ${expected.host}`;
  if (leaf.validFromDate.getTime() > expected.nowMs) return `the certificate is not valid before ${leaf.validFrom}`;
  const atMs = expected.nowMs + expected.renewBeforeMs;
  if (leaf.validToDate.getTime() < atMs) return `the certificate ends on ${leaf.validTo}`;
  return chains(chain, authorities, atMs) ? undefined : "the certificate does not chain to the CA, or the CA ends too early";
}

function chains(chain: readonly X509Certificate[], authorities: readonly X509Certificate[], atMs: number): boolean {
  let certificate = chain[0];
  for (let depth = 0; certificate !== undefined && depth < chain.length; depth += 1) {
    const subject: X509Certificate = certificate;
    const isIssuer = (issuer: X509Certificate) =>
      issuer !== subject &&
      issuer.validToDate.getTime() >= atMs &&
      holds(() => subject.checkIssued(issuer) && subject.verify(issuer.publicKey));
    if (authorities.some((authority) => isIssuer(authority) || authority.fingerprint256 === subject.fingerprint256)) return true;
    certificate = chain.find((candidate) => isIssuer(candidate));
  }
  return false;
}

function isFor(certificate: X509Certificate, host: string): boolean {
  // API servers look at the alternative names only, never at the common name.
  return holds(() => (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host, { subject: "never" })) !== undefined);
}

/** Whether this authority may sign once more. Its key has to be there and be its own. */
export function keepsAuthority(
  authority: { readonly certificate: string | undefined; readonly key: string | undefined },
  nowMs: number,
  renewBefore: number,
): boolean {
  const certificate = readBundle(authority.certificate)?.[0];
  const key = readKey(authority.key);
  if (!certificate || !key || !certificate.ca) return false;
  const untilMs = nowMs + Math.max(certificateLimits.caKeptMinMs, renewBefore + dayMs);
  return certificate.validToDate.getTime() >= untilMs && holds(() => certificate.checkPrivateKey(key));
}

/** @returns undefined when one of them cannot be read */
export function readBundle(pem: string | undefined): X509Certificate[] | undefined {
  const blocks = pem?.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g);
  if (!blocks) return undefined;
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

export function readKey(pem: string | undefined): KeyObject | undefined {
  if (!pem) return undefined;
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/** Whether the key of a certificate is this one: for messages to whoever brings their own. */
export function isPair(certificatePem: string, keyPem: string): boolean {
  const leaf = readBundle(certificatePem)?.[0];
  const key = readKey(keyPem);
  return leaf !== undefined && key !== undefined && holds(() => leaf.checkPrivateKey(key)) && createPublicKey(key) !== undefined;
}

/** When they stop being good; 0 for what cannot be read. */
export function endsOf({ certificate, caCertificate }: Certificates): { readonly servingMs: number; readonly caMs: number } {
  const endMs = (pem: string) => (readBundle(pem) ?? []).map(({ validToDate }) => validToDate.getTime());
  return { servingMs: endMs(certificate)[0] ?? 0, caMs: Math.max(0, ...endMs(caCertificate)) };
}

/** The library throws where a key type does not fit: that is a no. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

/** The six files and Secret keys; two pairs are one value under two names. */
export const fileNames = ["ca-key.pem", "ca-cert.pem", "key.pem", "tls.key", "cert.pem", "tls.crt"] as const;
export type FileName = (typeof fileNames)[number];

export function toFiles(certificates: Certificates): Readonly<Record<FileName, string>> {
  const { caKey = "", caCertificate, key, certificate } = certificates;
  return {
    "ca-key.pem": caKey,
    "ca-cert.pem": caCertificate,
    "key.pem": key,
    "tls.key": key,
    "cert.pem": certificate,
    "tls.crt": certificate,
  };
}

/** What is missing is "". */
export function fromFiles(read: (name: FileName) => string | undefined): Certificates {
  return {
    caKey: read("ca-key.pem") ?? "",
    caCertificate: read("ca-cert.pem") ?? "",
    key: read("tls.key") || read("key.pem") || "",
    certificate: read("tls.crt") || read("cert.pem") || "",
  };
}
