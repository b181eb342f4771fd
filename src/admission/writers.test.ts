import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secrets } from "../kube/kinds.ts";
import type { Secret } from "../kube/types.ts";
import { type Certificates, fileNames, toFiles, unfit } from "./certificates.ts";
import { obtainExternally } from "./external.ts";
import { obtainFromFiles, writeCertificateFiles } from "./file-writer.ts";
import { type Issue, obtainFromSecret } from "./secret-writer.ts";
import { FakeApi } from "./testing/fake-api.ts";
import { certificatesMade, host } from "./testing/fixtures.ts";

const dayMs = 86_400_000;
const nowMs = Date.UTC(2025, 0, 1);
const expected = { host, nowMs, renewBeforeMs: 180 * dayMs };
const key = { namespace: "kruise-system", name: "kruise-webhook-certs" };

let first: Certificates;
let second: Certificates;
let directory: string;
beforeAll(async () => {
  [first, second] = await Promise.all([certificatesMade("a", nowMs), certificatesMade("b", nowMs)]);
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kruiser-certs-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const encoded = (texts: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString("base64")]));
const secretWith = (data: Record<string, string> | undefined) => ({ metadata: key, type: "Opaque", data }) as unknown as Secret;
/** Hands out what is given, and remembers which authority it was asked to keep. */
function issuing(...certificates: Certificates[]) {
  const kept: (string | undefined)[] = [];
  const issue: Issue = async (_host, _nowMs, authority) => {
    kept.push(authority?.certificate);
    const next = certificates.shift();
    if (!next) throw new Error("nothing more to issue");
    return next;
  };
  return { issue, kept };
}

describe("the files", () => {
  const present = () => Object.fromEntries(fileNames.map((name) => [name, readFileSync(join(directory, name), "utf8")]));

  test("are written all at once, and not again", async () => {
    const target = join(directory, "made", "on", "demand");
    expect(await writeCertificateFiles(target, first, "one")).toBe(true);
    expect(readFileSync(join(target, "tls.key"), "utf8")).toBe(first.key);
    expect(await writeCertificateFiles(target, first, "two")).toBe(false);
    expect(readdirSync(target).sort()).toEqual(["..data", "..one", ...fileNames].sort());
    expect(lstatSync(join(target, "..one", "ca-key.pem")).mode & 0o777).toBe(0o600);
  });

  test("follow a new generation, which replaces the old one", async () => {
    await writeCertificateFiles(directory, first, "one");
    await writeCertificateFiles(directory, second, "two");
    expect(present()).toEqual(toFiles(second));
    expect(readdirSync(directory).sort()).toEqual(["..data", "..two", ...fileNames].sort());
  });

  test("replace what is in their place: plain files, directories, broken links", async () => {
    writeFileSync(join(directory, "tls.key"), "old");
    mkdirSync(join(directory, "tls.crt"));
    symlinkSync("nowhere", join(directory, "ca-cert.pem"));
    symlinkSync("gone", join(directory, "..data"));
    await writeCertificateFiles(directory, first, "one");
    expect(present()).toEqual(toFiles(first));
    expect(lstatSync(join(directory, "tls.key")).isSymbolicLink()).toBe(true);
  });

  test("a reader never sees two generations mixed", async () => {
    await writeCertificateFiles(directory, first, "g0");
    let writing = true;
    const reader = (async () => {
      while (writing) {
        // Through one directory, as a careful reader does.
        const at = readFileSync(join(directory, "..data", "tls.crt"), "utf8");
        expect([first.certificate, second.certificate]).toContain(at);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let index = 1; index <= 20; index += 1) await writeCertificateFiles(directory, index % 2 ? second : first, `g${index}`);
    writing = false;
    await reader;
  });

  test("of the fs writer are made when they are not good, and the authority is kept", async () => {
    const { issue, kept } = issuing(first, second);
    expect(await obtainFromFiles(directory, expected, issue, "one")).toMatchObject({ ok: true, certificates: first });
    expect(await obtainFromFiles(directory, expected, issue, "two")).toEqual({ ok: true, certificates: first });
    const elsewhere = await obtainFromFiles(directory, { ...expected, host: "other" }, issue, "three");
    expect(elsewhere).toMatchObject({
      ok: true,
      certificates: second,
      renewed: "the certificate is not for other",
      previousCa: first.caCertificate,
    });
    expect(kept).toEqual([undefined, first.caCertificate]);
  });

  test("that cannot be written say what to do", async () => {
    const blocked = join(directory, "file");
    writeFileSync(blocked, "");
    const { issue } = issuing(first);
    const obtained = await obtainFromFiles(join(blocked, "below"), expected, issue, "one");
    expect(obtained.ok ? "" : obtained.message).toContain("WEBHOOK_CERT_DIR");
  });
});

describe("the Secret", () => {
  const obtain = (api: FakeApi, issue: Issue, changes: Partial<typeof expected> = {}) =>
    obtainFromSecret({ live: api.live, write: api.write, ...key }, { ...expected, ...changes }, issue);
  const dataOf = (api: FakeApi) => api.get(secrets, key)?.data;

  test.each([
    [undefined, ["create"], "it does not exist"],
    [secretWith(undefined), ["update"], "the empty one that manifests bring"],
    [secretWith({ "tls.crt": "!!!", extra: "a2VwdA==" }), ["update"], "garbage"],
  ])("%#: is filled when %s", async (present, verbs) => {
    const api = new FakeApi();
    if (present) api.put(secrets, present);
    const { issue } = issuing(first);
    expect(await obtain(api, issue)).toMatchObject({ ok: true, certificates: first });
    expect(api.writes().map((request) => request.split(" ")[0] ?? "")).toEqual(verbs);
    expect(dataOf(api)).toMatchObject(encoded(toFiles(first)));
    if (present?.data) expect(dataOf(api)).toHaveProperty("extra");
    api.requests.length = 0;
    expect(await obtain(api, issue)).toMatchObject({ ok: true, certificates: first });
    expect(api.writes()).toEqual([]);
  });

  test.each([
    [{ host: "other.ns.svc" }, true, "another DNS name"],
    [{ nowMs: nowMs + 8 * 365 * dayMs, renewBeforeMs: 3 * 365 * dayMs }, false, "the authority would end before its next certificate"],
    [{ nowMs: nowMs + 9.7 * 365 * dayMs }, false, "less than a year to go"],
  ])("is renewed for %j, authority kept: %p", async (changes, keeps) => {
    const api = new FakeApi();
    api.put(secrets, secretWith(encoded(toFiles(first))));
    const { issue, kept } = issuing(second);
    const obtained = await obtain(api, issue, changes);
    expect(obtained).toMatchObject({ ok: true, certificates: second, previousCa: first.caCertificate });
    expect(kept).toEqual([keeps ? first.caCertificate : undefined]);
  });

  test("a certificate of 100 days is renewed with 180 days' warning and left with 30", async () => {
    const when = nowMs + 10 * 365 * dayMs - 100 * dayMs;
    const api = new FakeApi();
    api.put(secrets, secretWith(encoded(toFiles(first))));
    const { issue, kept } = issuing(second);
    expect(await obtain(api, issue, { nowMs: when, renewBeforeMs: 30 * dayMs })).toMatchObject({ certificates: first });
    expect(await obtain(api, issue, { nowMs: when })).toMatchObject({ certificates: second });
    expect(kept).toHaveLength(1);
  });

  test("of two that create it at once, one wins and the other follows", async () => {
    const api = new FakeApi();
    const results = await Promise.all([obtain(api, issuing(first).issue), obtain(api, issuing(second).issue)]);
    const stored = Buffer.from(dataOf(api)?.["ca-cert.pem"] ?? "", "base64").toString();
    for (const result of results) expect(result).toMatchObject({ ok: true, certificates: { caCertificate: stored } });
  });

  test("of two that fill it at once, one gets a conflict and follows on its next look", async () => {
    const api = new FakeApi();
    api.put(secrets, secretWith({}));
    const results = await Promise.all([obtain(api, issuing(first).issue), obtain(api, issuing(second).issue)]);
    expect(results.map(({ ok }) => ok).sort()).toEqual([false, true]);
    const stored = Buffer.from(dataOf(api)?.["ca-cert.pem"] ?? "", "base64").toString();
    expect(await obtain(api, issuing().issue)).toMatchObject({ ok: true, certificates: { caCertificate: stored } });
  });

  test("that cannot be read or written is no reason to make certificates of one's own", async () => {
    const api = new FakeApi();
    api.refuse = () => ({ ok: false, why: "denied", code: 403, reason: "Forbidden", message: "no" });
    expect(await obtain(api, issuing(first).issue)).toEqual({ ok: false, message: "Secret kruise-system/kruise-webhook-certs: no" });
    api.refuse = (verb) => (verb === "create" ? { ok: false, why: "unavailable", mayHaveHappened: true, message: "gone" } : undefined);
    expect(await obtain(api, issuing(first).issue)).toEqual({
      ok: false,
      message: "create Secret kruise-system/kruise-webhook-certs: gone",
    });
  });
});

describe("external certificates", () => {
  const texts = () => ({ "ca.crt": first.caCertificate, "tls.crt": first.certificate, "tls.key": first.key });
  const obtain = (data: Record<string, string> | undefined, changes: Partial<typeof expected> = {}) => {
    const api = new FakeApi();
    if (data) api.put(secrets, secretWith(encoded(data)));
    return obtainExternally({ live: api.live, ...key }, { ...expected, ...changes });
  };

  test("are taken as they are", async () => {
    expect(await obtain(texts())).toMatchObject({
      ok: true,
      certificates: { caCertificate: first.caCertificate, caKey: undefined },
      warning: undefined,
    });
    expect(await obtain({ ...texts(), "ca.key": first.caKey ?? "" })).toMatchObject({ certificates: { caKey: first.caKey } });
  });

  test("that do not fit are served with a warning: their issuer knows better", async () => {
    expect(await obtain(texts(), { host: "other" })).toMatchObject({ ok: true, warning: expect.stringContaining("not for other") });
    expect(await obtain(texts(), { nowMs: nowMs + 11 * 365 * dayMs })).toMatchObject({
      ok: true,
      warning: expect.stringContaining("ends on"),
    });
  });

  test.each([
    [() => undefined, "the issuer has to make it"],
    [() => ({ "ca.crt": "x" }), "data tls.crt, tls.key missing"],
    [() => ({ ...texts(), "ca.crt": "x" }), "ca.crt is not a PEM certificate"],
    [() => ({ ...texts(), "tls.key": second.key }), "tls.key is not the key"],
  ])("that are incomplete say so: %#", async (data, message) => {
    const obtained = await obtain(data());
    expect(obtained.ok ? "" : obtained.message).toContain(message);
  });
});

test("what the writers make is good", () => {
  expect(unfit(first, expected)).toBeUndefined();
});
