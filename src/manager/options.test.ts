import { expect, test } from "bun:test";
import { managerOptions } from "./options.ts";

const options = (args: string[], environment: Record<string, string> = {}) => {
  const result = managerOptions(args, environment);
  if (!result.ok) throw new Error(result.message);
  return result.options;
};

test("without flags and variables everything has OpenKruise's default", () => {
  const { flags, installNamespace, daemonConfigNamespace, webhook, rateLimit, resyncMs } = options(["--mode=manager"]);
  expect(flags["metrics-addr"]).toBe(":8080");
  expect(flags["expectation-timeout"]).toBe(300_000);
  expect([installNamespace, daemonConfigNamespace]).toEqual(["kruise-system", "kruise-daemon-config"]);
  expect(webhook).toMatchObject({ port: 9876, writer: "secret", secretName: "kruise-webhook-certs" });
  expect(rateLimit).toBeUndefined();
  expect(resyncMs).toBe(36_000_000);
});

test.each([
  [["--rest-config-qps=100"], { perSecond: 100, burst: 50 }, "a given limit is a limit"],
  [["--rest-config-qps=0", "--rest-config-burst=-1"], { perSecond: 20, burst: 30 }, "zero and less mean the client's own defaults"],
])("%j limits requests to %j: %s", (args, limit) => expect(options(args).rateLimit).toEqual(limit));

test.each([
  ["--sync-period=0", undefined],
  ["--sync-period=1h", 3_600_000],
  ["--sync-period=often", 36_000_000],
])("%s resyncs every %p ms", (flag, ms) => expect(options([flag]).resyncMs).toBe(ms as number));

test("a host makes webhooks be called by URL, with certificates in files", () => {
  expect(options([], { WEBHOOK_HOST: "10.0.0.5" }).webhook).toMatchObject({ host: "10.0.0.5", writer: "fs" });
});

test.each([
  [["--no-such-flag"], {}, 2, "unknown flag: --no-such-flag; see --help"],
  [["manager"], {}, 2, 'unexpected argument "manager"; see --help'],
  [["--logging-format=xml"], {}, 1, "--logging-format=xml: expected text or json"],
  [["--feature-gates=NoSuchGate=true"], {}, 1, "--feature-gates: unknown feature gate NoSuchGate"],
  [
    ["--default-ttlseconds-for-always-nodeimage=2678401"],
    {},
    1,
    "--default-ttlseconds-for-always-nodeimage=2678401: expected 0 to 2678400 (31 days)",
  ],
  [
    ["--leader-election-renew-deadline=15s"],
    {},
    1,
    "--leader-election-renew-deadline must be shorter than --leader-election-lease-duration",
  ],
  [["--leader-election-resource-lock=endpoints"], {}, 1, "--leader-election-resource-lock=endpoints: only leases are supported"],
  [[], { WEBHOOK_PORT: "many" }, 1, 'WEBHOOK_PORT: want a port number, not "many"'],
])("%j %j ends with code %i: %s", (args, environment, code, message) => {
  expect(managerOptions(args, environment as Record<string, string>)).toEqual({ ok: false, code: code as 1 | 2, message });
});
