/** The sandbox's authority and its one certificate: for the API server's port, and for the manager's webhooks beside it. */
import { KeyObject } from "node:crypto";
import { isIP } from "node:net";
import { type Certificates, certificateLimits } from "../admission/certificates.ts";

/** Elliptic curves: the keys are there at once, where RSA's take seconds on a busy machine. */
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** @param hosts addresses and DNS names that the certificate is for */
export async function issueIdentity(hosts: readonly string[], nowMs: number): Promise<Certificates> {
  // One after the other: the library looks for the first while it loads.
  await import("../admission/reflection.ts");
  const {
    BasicConstraintsExtension,
    ExtendedKeyUsage,
    ExtendedKeyUsageExtension,
    KeyUsageFlags,
    KeyUsagesExtension,
    SubjectAlternativeNameExtension,
    X509CertificateGenerator,
  } = await import("@peculiar/x509");
  const newKeys = () => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const [authorityKeys, keys] = await Promise.all([newKeys(), newKeys()]);
  const valid = { notBefore: new Date(nowMs - certificateLimits.backdateMs), notAfter: new Date(nowMs + certificateLimits.lifetimeMs) };
  const authority = await X509CertificateGenerator.createSelfSigned({
    name: "CN=kruise-sandbox-ca",
    keys: authorityKeys,
    signingAlgorithm: algorithm,
    ...valid,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign, true),
    ],
  });
  const certificate = await X509CertificateGenerator.create({
    subject: "CN=kruise-sandbox",
    issuer: authority.subjectName,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: algorithm,
    ...valid,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(hosts.map((value) => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value }))),
    ],
  });
  return {
    caKey: keyPem(authorityKeys.privateKey),
    caCertificate: `${authority.toString("pem").trim()}\n`,
    key: keyPem(keys.privateKey),
    certificate: `${certificate.toString("pem").trim()}\n`,
  };
}

function keyPem(key: CryptoKey): string {
  return KeyObject.from(key).export({ type: "pkcs8", format: "pem" }).toString();
}
