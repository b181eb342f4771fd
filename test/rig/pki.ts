/** The keys and certificates of one test cluster, made fresh for every rig with WebCrypto. */
import "reflect-metadata";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 24 * 60 * 60 * 1000;
const lifetimeMs = 30 * dayMs;

export interface KeyPairPem {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface Authority {
  readonly certPem: string;
  readonly keyPem: string;
  /** A client certificate: `commonName` is the user, `organizations` are the groups. */
  client(commonName: string, organizations?: readonly string[]): Promise<KeyPairPem>;
  /** A server certificate for these DNS names and IP addresses. */
  server(commonName: string, names: readonly string[]): Promise<KeyPairPem>;
}

export async function createAuthority(commonName: string): Promise<Authority> {
  const keys = await generate();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    ...validity(),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const issue = async (subject: x509.JsonName, extensions: x509.Extension[]): Promise<KeyPairPem> => {
    const leaf = await generate();
    const issued = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject,
      issuer: certificate.subjectName,
      ...validity(),
      publicKey: leaf.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.AuthorityKeyIdentifierExtension.create(certificate),
        ...extensions,
      ],
    });
    return { certPem: pem(issued.toString("pem")), keyPem: await privateKeyPem(leaf.privateKey) };
  };
  return {
    certPem: pem(certificate.toString("pem")),
    keyPem: await privateKeyPem(keys.privateKey),
    client: (name, organizations = []) =>
      issue(
        [...organizations.map((organization) => ({ O: [organization] })), { CN: [name] }],
        [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
      ),
    server: (name, names) =>
      issue(
        [{ CN: [name] }],
        [
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isAddress(value) ? ("ip" as const) : ("dns" as const), value })),
          ),
        ],
      ),
  };
}

/** The key that signs service account tokens, and its public half. */
export async function createSigningKey(): Promise<{ readonly keyPem: string; readonly publicPem: string }> {
  const keys = await generate();
  return {
    keyPem: await privateKeyPem(keys.privateKey),
    publicPem: encode("PUBLIC KEY", await crypto.subtle.exportKey("spki", keys.publicKey)),
  };
}

/** Writes `<name>.crt` and `<name>.key` (the key readable by the owner only) and returns their paths. */
export function writePair(dir: string, name: string, pair: KeyPairPem): { readonly certPath: string; readonly keyPath: string } {
  const certPath = writePem(dir, `${name}.crt`, pair.certPem);
  const keyPath = writePem(dir, `${name}.key`, pair.keyPem);
  return { certPath, keyPath };
}

export function writePem(dir: string, file: string, text: string): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, file);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

function generate(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  return encode("PRIVATE KEY", await crypto.subtle.exportKey("pkcs8", key));
}

function encode(label: string, bytes: ArrayBuffer): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function pem(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}

function serialNumber(): string {
  // A leading zero bit keeps the number positive in DER.
  return `0${Buffer.from(crypto.getRandomValues(new Uint8Array(15))).toString("hex")}1`;
}

function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - dayMs), notAfter: new Date(nowMs + lifetimeMs) };
}

function isAddress(value: string): boolean {
  return /^[0-9.]+$/.test(value) || value.includes(":");
}
