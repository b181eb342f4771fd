/** Makes an authority and a serving certificate. Loaded only when something has to be issued: the library costs 12 MB. */
import "./reflection.ts";
import { createPrivateKey, KeyObject } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { type Certificates, certificateLimits } from "./certificates.ts";

const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
const commonNameLengthMax = 64;
const caName = "CN=webhook-cert-ca";

interface Authority {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly certificate: X509Certificate;
  readonly key: CryptoKey;
}

/**
 * @param host the DNS name or IP address that the API server calls; `localhost` comes with it
 * @param kept PEM of an authority to sign with; absent: a new one
 */
export async function issueCertificates(
  host: string,
  nowMs: number,
  kept?: { readonly certificate: string; readonly key: string },
): Promise<Certificates> {
  // Both keys at once: finding their primes is most of the work.
  const [keys, authority] = await Promise.all([newKeys(), kept ? readAuthority(kept) : newAuthority(nowMs)]);
  const signer = authority.certificate.getExtension(SubjectKeyIdentifierExtension)?.keyId;
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${host.slice(0, commonNameLengthMax)}`,
    // As it stands in the CA, byte for byte: Go compares the encodings.
    issuer: authority.certificate.subjectName,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    signingAlgorithm: signatureOf(authority.key),
    notBefore: new Date(nowMs - certificateLimits.backdateMs),
    notAfter: new Date(nowMs + certificateLimits.lifetimeMs),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: isIP(host) ? "ip" : "dns", value: host },
      ]),
      // All authorities have one name: this tells OpenSSL which of a bundle's signed.
      ...(signer === undefined ? [] : [new AuthorityKeyIdentifierExtension(signer)]),
    ],
  });
  return { caKey: authority.keyPem, caCertificate: authority.certificatePem, key: keyPem(keys.privateKey), certificate: pem(certificate) };
}

async function newAuthority(nowMs: number): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: caName,
    keys,
    signingAlgorithm: rsa,
    notBefore: new Date(nowMs - certificateLimits.backdateMs),
    notAfter: new Date(nowMs + certificateLimits.lifetimeMs),
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment | KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: pem(certificate), keyPem: keyPem(keys.privateKey), certificate, key: keys.privateKey };
}

async function readAuthority(kept: { readonly certificate: string; readonly key: string }): Promise<Authority> {
  const key = createPrivateKey(kept.key);
  const algorithm =
    key.asymmetricKeyType === "ec" ? { name: "ECDSA", namedCurve: curveOf(key) } : { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("pkcs8", key.export({ type: "pkcs8", format: "der" }), algorithm, true, ["sign"]);
  return { certificatePem: kept.certificate, keyPem: kept.key, certificate: new X509Certificate(kept.certificate), key: imported };
}

function curveOf(key: KeyObject): string {
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
  return { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" }[curve] ?? curve;
}

function signatureOf(key: CryptoKey): { name: string; hash: string } {
  return { name: key.algorithm.name, hash: "SHA-256" };
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(rsa, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

/** "BEGIN RSA PRIVATE KEY", as the tools around it expect. */
function keyPem(key: CryptoKey): string {
  return KeyObject.from(key).export({ type: "pkcs1", format: "pem" }).toString();
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}
