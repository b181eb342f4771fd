import { describe, expect, test } from "bun:test";
import { createPublicKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { der, itemsIn } from "./der.ts";
import { issueCertificates } from "./issue.ts";

const nowMs = Date.UTC(2025, 5, 1);
const host = "kruise-webhook-service.kruise-system.svc";

describe("encodings", () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  test.each<[string, Uint8Array, string]>([
    ["an object identifier", der.oid("1.2.840.113549.1.1.11"), "06092a864886f70d01010b"],
    ["a short one", der.oid("2.5.29.17"), "0603551d11"],
    ["a positive integer whose first bit is set", der.integer(Buffer.of(0x80)), "02020080"],
    ["an integer with zeros before it", der.integer(Buffer.of(0, 0, 5)), "020105"],
    ["zero", der.integer(Buffer.of(0)), "020100"],
    ["flags", der.flags([1, 0, 1, 0, 0, 1]), "030202a4"],
    ["no flags", der.flags([0, 0]), "030100"],
    ["a time", der.time(Date.UTC(2049, 11, 31, 23, 59, 59)), `170d${hex(Buffer.from("491231235959Z"))}`],
    ["a time from 2050 on", der.time(Date.UTC(2050, 0, 1)), `180f${hex(Buffer.from("20500101000000Z"))}`],
    ["127 bytes", der.octets(Buffer.alloc(127)).subarray(0, 2), "047f"],
    ["128 bytes", der.octets(Buffer.alloc(128)).subarray(0, 3), "048180"],
    ["300 bytes", der.octets(Buffer.alloc(300)).subarray(0, 4), "0482012c"],
  ])("%s", (_, bytes, text) => {
    expect(hex(bytes)).toBe(text);
  });
  test("are read back", () => {
    const items = itemsIn(Buffer.concat([der.octets(Buffer.alloc(300, 7)), der.text("x")]));
    expect(items.map(({ content }) => content.length)).toEqual([300, 1]);
    expect(() => itemsIn(Buffer.of(4, 5, 1))).toThrow(RangeError);
  });
});

test("another reader sees what was meant", async () => {
  const { certificate, caCertificate } = await issueCertificates(host, nowMs);
  const [leaf, ca] = [new x509.X509Certificate(certificate), new x509.X509Certificate(caCertificate)];
  expect(await leaf.verify({ publicKey: ca.publicKey, date: new Date(nowMs) })).toBe(true);
  expect(await ca.verify({ publicKey: ca.publicKey, date: new Date(nowMs) })).toBe(true);
  const named = (of: x509.X509Certificate) => of.extensions.map(({ type, critical }) => `${type}${critical ? " critical" : ""}`);
  expect(named(leaf)).toEqual(["2.5.29.19 critical", "2.5.29.15 critical", "2.5.29.37", "2.5.29.17", "2.5.29.35"]);
  expect(named(ca)).toEqual(["2.5.29.19 critical", "2.5.29.15 critical", "2.5.29.14"]);
  expect(leaf.getExtension(x509.KeyUsagesExtension)?.usages).toBe(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment);
  expect(ca.getExtension(x509.KeyUsagesExtension)?.usages).toBe(
    x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment | x509.KeyUsageFlags.keyCertSign,
  );
  expect(leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual([x509.ExtendedKeyUsage.serverAuth]);
  expect(leaf.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(
    ca.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId ?? "",
  );
  expect((await x509.SubjectKeyIdentifierExtension.create(ca.publicKey)).keyId).toBe(
    ca.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId ?? "",
  );
  expect(leaf.notBefore.getTime()).toBe(nowMs - 3_600_000);
});

test.each(["10.0.0.5", "::1", "fd00::1:2", "2001:db8:1:2:3:4:5:6", "::ffff:10.0.0.5"])("the address %s", async (address) => {
  const { certificate } = await issueCertificates(address, nowMs);
  expect(new X509Certificate(certificate).checkIP(address)).toBe(address);
});

test("an authority of before signs on, with its own kind of key", async () => {
  // As OpenKruise's manager made them.
  const keys = (await crypto.subtle.generateKey(
    { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ["sign", "verify"],
  )) as CryptoKeyPair;
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=webhook-cert-ca, O=kruise",
    keys,
    signingAlgorithm: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const kept = { certificate: ca.toString("pem"), key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
  const { certificate, caCertificate } = await issueCertificates(host, nowMs, kept);
  const [leaf, authority] = [new X509Certificate(certificate), new X509Certificate(caCertificate)];
  expect(leaf.checkIssued(authority)).toBe(true);
  expect(leaf.verify(authority.publicKey)).toBe(true);
  expect(leaf.publicKey.asymmetricKeyType).toBe("ec");
});

const openssl = Bun.which("openssl");
test.skipIf(openssl === null)("OpenSSL verifies the chain (skipped where there is no openssl)", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kruiser-issue-"));
  try {
    const made = await issueCertificates(host, Date.now());
    await Bun.write(join(folder, "ca.pem"), made.caCertificate);
    await Bun.write(join(folder, "leaf.pem"), made.certificate);
    const verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", host, "-CAfile", "ca.pem", "leaf.pem"];
    const run = Bun.spawnSync([openssl as string, ...verify], { cwd: folder });
    expect(run.stdout.toString() + run.stderr.toString()).toBe("leaf.pem: OK\n");
    expect(createPublicKey(made.key).asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
