/**
 * Makes an authority and a serving certificate, with keys on P-256: made in a millisecond, where finding the primes of RSA takes up to half
 * a second, and cheaper at each handshake.
 */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { type Certificates, certificateLimits } from "./certificates.ts";
import { der, type Item, itemsIn } from "./der.ts";

const commonNameLengthMax = 64;
const serialBytes = 16;

const oid = {
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  rsaWithSha256: "1.2.840.113549.1.1.11",
} as const;

interface Authority {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly key: KeyObject;
  /** Its subject as it stands there, byte for byte: Go compares the encodings. */
  readonly name: Uint8Array;
  /** All authorities have one name: this tells OpenSSL which of a bundle's signed. */
  readonly keyId: Uint8Array | undefined;
}

/**
 * @param host the DNS name or IP address that the API server calls; `localhost` comes with it
 * @param kept PEM of an authority to sign with (its key may be of RSA); absent: a new one
 */
export async function issueCertificates(
  host: string,
  nowMs: number,
  kept?: { readonly certificate: string; readonly key: string },
): Promise<Certificates> {
  return issue(host, ["localhost", host], kept ? readAuthority(kept) : newAuthority("webhook-cert-ca", nowMs), nowMs);
}

/** A new authority and its certificate for `hosts`, DNS names and IP addresses; each is called by the name given. */
export function issueIdentity(commonName: string, authorityName: string, hosts: readonly string[], nowMs: number): Certificates {
  return issue(commonName, hosts, newAuthority(authorityName, nowMs), nowMs);
}

function issue(commonName: string, hosts: readonly string[], authority: Authority, nowMs: number): Certificates {
  const keys = newKeys();
  const names = hosts.map((host) => (isIP(host) ? der.tagged(7, addressBytes(host)) : der.tagged(2, Buffer.from(host))));
  const certificate = certificateOf({
    issuer: authority.name,
    subject: nameOf(commonName.slice(0, commonNameLengthMax)),
    publicKey: keys.publicKey,
    signer: authority.key,
    nowMs,
    extensions: [
      extension(oid.basicConstraints, der.sequence(), true),
      extension(oid.keyUsage, der.flags([1, 0, 1]), true),
      extension(oid.extendedKeyUsage, der.sequence(der.oid(oid.serverAuth))),
      extension(oid.subjectAltName, der.sequence(...names)),
      ...(authority.keyId ? [extension(oid.authorityKeyIdentifier, der.sequence(der.tagged(0, authority.keyId)))] : []),
    ],
  });
  return { caKey: authority.keyPem, caCertificate: authority.certificatePem, key: keyPem(keys.privateKey), certificate: pem(certificate) };
}

function newAuthority(commonName: string, nowMs: number): Authority {
  const keys = newKeys();
  const name = nameOf(commonName);
  const keyId = keyIdOf(keys.publicKey);
  const certificate = certificateOf({
    issuer: name,
    subject: name,
    publicKey: keys.publicKey,
    signer: keys.privateKey,
    nowMs,
    extensions: [
      extension(oid.basicConstraints, der.sequence(der.true()), true),
      extension(oid.keyUsage, der.flags([1, 0, 1, 0, 0, 1]), true),
      extension(oid.subjectKeyIdentifier, der.octets(keyId)),
    ],
  });
  return { certificatePem: pem(certificate), keyPem: keyPem(keys.privateKey), key: keys.privateKey, name, keyId };
}

function readAuthority(kept: { readonly certificate: string; readonly key: string }): Authority {
  const parts = partsOf(new X509Certificate(kept.certificate).raw);
  return { certificatePem: kept.certificate, keyPem: kept.key, key: createPrivateKey(kept.key), ...parts };
}

// ---- writing

interface Parts {
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly nowMs: number;
  readonly extensions: readonly Uint8Array[];
}

function certificateOf({ issuer, subject, publicKey, signer, nowMs, extensions }: Parts): Buffer {
  const algorithm =
    signer.asymmetricKeyType === "rsa" ? der.sequence(der.oid(oid.rsaWithSha256), der.null()) : der.sequence(der.oid(oid.ecdsaWithSha256));
  const version3 = der.tagged(0, der.integer(Buffer.of(2)), true);
  const validity = der.sequence(der.time(nowMs - certificateLimits.backdateMs), der.time(nowMs + certificateLimits.lifetimeMs));
  const toSign = der.sequence(
    version3,
    der.integer(randomBytes(serialBytes)),
    algorithm,
    issuer,
    validity,
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    der.tagged(3, der.sequence(...extensions), true),
  );
  return der.sequence(toSign, algorithm, der.bits(sign("sha256", toSign, signer)));
}

function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return der.sequence(der.oid(id), ...(critical ? [der.true()] : []), der.octets(value));
}

function nameOf(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.oid(oid.commonName), der.text(commonName))));
}

/** RFC 5280 §4.2.1.2, the first method: SHA-1 of the key's bits. */
function keyIdOf(publicKey: KeyObject): Buffer {
  const bits = itemsIn(itemsIn(publicKey.export({ type: "spki", format: "der" }))[0]?.content ?? new Uint8Array())[1]?.content;
  return createHash("sha1")
    .update(bits?.subarray(1) ?? new Uint8Array())
    .digest();
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").flatMap(groupBytes));
  const [before, after] = [groups(head), groups(tail ?? "")];
  return Buffer.from([...before, ...Array(16 - before.length - after.length).fill(0), ...after]);
}

/** "fe80", or the IPv4 address that may end an IPv6 one. */
function groupBytes(group: string): readonly number[] {
  if (group.includes(".")) return group.split(".").map(Number);
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
}

function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** "BEGIN EC PRIVATE KEY", as Go's tools expect. */
function keyPem(key: KeyObject): string {
  return key.export({ type: "sec1", format: "pem" }).toString();
}

function pem(certificate: Uint8Array): string {
  const lines =
    Buffer.from(certificate)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

// ---- reading

/** The subject, and the identifier of its key where it has one. */
function partsOf(certificate: Uint8Array): Pick<Authority, "name" | "keyId"> {
  const fields = contentOf(contentOf(itemsIn(certificate)[0])[0]);
  const isVersion = fields[0]?.tag === 0xa0;
  // Version, serial number, algorithm, issuer, validity, subject.
  const subject = fields[isVersion ? 5 : 4];
  const extensions = contentOf(contentOf(fields.find(({ tag }) => tag === 0xa3))[0]);
  const wanted = der.oid(oid.subjectKeyIdentifier);
  const identifier = extensions.map((item) => contentOf(item)).find((parts) => wanted.equals(parts[0]?.whole ?? new Uint8Array()));
  return { name: subject?.whole ?? new Uint8Array(), keyId: contentOf(identifier?.at(-1))[0]?.content };
}

function contentOf(item: Item | undefined): readonly Item[] {
  return item === undefined ? [] : itemsIn(item.content);
}
