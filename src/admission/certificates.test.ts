import { beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { type Certificates, certificateLimits, endsOf, fromFiles, keepsAuthority, renewBeforeMs, toFiles, unfit } from "./certificates.ts";
import { issueCertificates } from "./issue.ts";
import { certificatesMade, host } from "./testing/fixtures.ts";

const dayMs = 86_400_000;
const yearMs = 365 * dayMs;
const nowMs = Date.UTC(2025, 0, 1);

describe("CERTS_RENEW_BEFORE", () => {
  test.each([
    [undefined, 180, "the default"],
    ["", 180, "the default"],
    ["30d", 30, "days"],
    ["2m", 60, "months of 30 days"],
    ["1y", 365, "years of 365"],
    [" 30d ", 30, "with room around it"],
    ["0d", 180, "not positive"],
    ["-5d", 180, "not positive"],
    ["5", 180, "no unit"],
    ["5h", 180, "no such unit"],
    ["1.5y", 180, "not whole"],
    ["10y", 1825, "more than half a lifetime would renew without end"],
    ["99999999999999999999y", 1825, "any size"],
  ])("%p is %i days: %s", (text, days) => {
    expect(renewBeforeMs(text)).toBe(days * dayMs);
  });
});

describe("certificates", () => {
  let good: Certificates;
  let other: Certificates;
  beforeAll(async () => {
    [good, other] = await Promise.all([certificatesMade("a", nowMs), certificatesMade("b", nowMs)]);
  });
  const at = (changes: Partial<{ host: string; nowMs: number; renewBeforeMs: number }> = {}) => ({
    host,
    nowMs,
    renewBeforeMs: 180 * dayMs,
    ...changes,
  });

  test("tell when they end; of several authorities the last one counts", () => {
    const yearsAfter = (years: number) => nowMs + years * yearMs;
    expect(endsOf(good)).toEqual({ servingMs: yearsAfter(10), caMs: yearsAfter(10) });
    const older = { ...good, caCertificate: `${good.caCertificate}\n${other.caCertificate}` };
    expect(endsOf(older).caMs).toBe(yearsAfter(10));
    expect(endsOf({ ...good, certificate: "nonsense", caCertificate: "" })).toEqual({ servingMs: 0, caMs: 0 });
  });

  test("have the shape that others expect", () => {
    const leaf = new X509Certificate(good.certificate);
    const ca = new X509Certificate(good.caCertificate);
    expect(leaf.subject).toBe(`CN=${host}`);
    expect(leaf.subjectAltName).toBe(`DNS:localhost, DNS:${host}`);
    expect(leaf.ca).toBe(false);
    expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    expect(ca.subject).toBe("CN=webhook-cert-ca");
    expect(ca.ca).toBe(true);
    for (const key of [good.key, good.caKey]) expect(key).toStartWith("-----BEGIN EC PRIVATE KEY-----");
    for (const one of [leaf, ca]) expect(one.validToDate.getTime()).toBe(nowMs + certificateLimits.lifetimeMs);
  });

  test("may be for an address", async () => {
    const byAddress = await certificatesMade("ip", nowMs, "10.0.0.5");
    expect(new X509Certificate(byAddress.certificate).subjectAltName).toBe("DNS:localhost, IP Address:10.0.0.5");
    expect(unfit(byAddress, at({ host: "10.0.0.5" }))).toBeUndefined();
    expect(unfit(byAddress, at({ host: "10.0.0.6" }))).toContain("not for 10.0.0.6");
  });

  test("a host too long for a common name is still an alternative name", async () => {
    const long = `kruise-webhook-service.${"n".repeat(63)}.svc`;
    const made = await certificatesMade("long", nowMs, long);
    expect(unfit(made, at({ host: long }))).toBeUndefined();
  });

  test.each([
    [{}, {}, undefined, "fresh"],
    [{}, { renewBeforeMs: certificateLimits.renewBeforeMaxMs }, undefined, "even with the longest warning"],
    [{}, { nowMs: nowMs + 10 * yearMs - 181 * dayMs }, undefined, "a day before renewal"],
    [{}, { nowMs: nowMs + 10 * yearMs - 179 * dayMs }, "ends on", "a day after"],
    [{}, { nowMs: nowMs - dayMs }, "not valid before", "a clock behind"],
    [{}, { host: "other.kruise-system.svc" }, "not for other.kruise-system.svc", "another Service"],
    [{}, { host: "webhook-cert-ca" }, "not for", "common names do not count"],
    [{ key: "" }, {}, "private key is missing", "empty"],
    [{ key: "garbage" }, {}, "private key is missing", "garbage"],
    [{ certificate: "" }, {}, "certificate is missing", "empty"],
    [{ certificate: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" }, {}, "certificate is missing", "garbage"],
    [{ caCertificate: "" }, {}, "CA certificate is missing", "empty"],
    [{ key: "other" }, {}, "does not belong", "keys swapped"],
    [{ caCertificate: "other" }, {}, "does not chain", "another CA"],
    [{ caCertificate: "both" }, {}, undefined, "a bundle that has it"],
  ] as [Partial<Certificates>, object, string | undefined, string][])("%j %j → %s: %s", (changes, when, why) => {
    const resolved = { ...changes };
    if (changes.key === "other") resolved.key = other.key;
    if (changes.caCertificate === "other") resolved.caCertificate = other.caCertificate;
    if (changes.caCertificate === "both") resolved.caCertificate = other.caCertificate + good.caCertificate;
    const found = unfit({ ...good, ...resolved }, at(when));
    if (why === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(why);
  });

  test("an authority is kept for the next certificate", async () => {
    const laterMs = nowMs + 8 * yearMs;
    const kept = { certificate: good.caCertificate, key: good.caKey ?? "" };
    const renewed = await issueCertificates(host, laterMs, kept);
    expect(renewed.caCertificate).toBe(good.caCertificate);
    expect(renewed.certificate).not.toBe(good.certificate);
    expect(unfit(renewed, at({ nowMs: laterMs }))).toBeUndefined();
    const [leaf, ca] = [new X509Certificate(renewed.certificate), new X509Certificate(good.caCertificate)];
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
  });

  test.each([
    [0, 180 * dayMs, true, "new"],
    [8.5 * yearMs, 180 * dayMs, true, "more than a year to go"],
    [9.1 * yearMs, 180 * dayMs, false, "less than a year to go"],
    [8.5 * yearMs, 2 * yearMs, false, "what it signs would be called old at once"],
  ])("after %d ms with %d ms warning it is kept %p: %s", (elapsedMs, renewBefore, kept) => {
    expect(keepsAuthority({ certificate: good.caCertificate, key: good.caKey }, nowMs + elapsedMs, renewBefore)).toBe(kept);
  });

  test("an authority without its own key signs nothing", () => {
    expect(keepsAuthority({ certificate: good.caCertificate, key: other.caKey }, nowMs, 0)).toBe(false);
    expect(keepsAuthority({ certificate: good.caCertificate, key: undefined }, nowMs, 0)).toBe(false);
    expect(keepsAuthority({ certificate: good.certificate, key: good.key }, nowMs, 0)).toBe(false);
    expect(keepsAuthority({ certificate: undefined, key: undefined }, nowMs, 0)).toBe(false);
  });

  test("six names hold four values", () => {
    const files = toFiles(good);
    expect(Object.keys(files).sort()).toEqual(["ca-cert.pem", "ca-key.pem", "cert.pem", "key.pem", "tls.crt", "tls.key"]);
    expect(files["tls.crt"]).toBe(files["cert.pem"]);
    expect(fromFiles((name) => files[name])).toEqual(good);
    expect(fromFiles((name) => (name.startsWith("tls") ? undefined : files[name]))).toEqual(good);
  });
});
