import { expect, test } from "bun:test";
import { flagHelp, parseFlags } from "./flags.ts";

const table = {
  "metrics-addr": { type: "string", default: ":8080", help: "metrics" },
  "enable-pprof": { type: "boolean", default: true, help: "profiling" },
  v: { type: "integer", default: 0, help: "verbosity" },
  "sync-timeout": { type: "duration", default: "2m", help: "timeout" },
} as const;

test.each([
  [["--metrics-addr=:9090"], { "metrics-addr": ":9090" }, "equals"],
  [["--metrics-addr", "0"], { "metrics-addr": "0" }, "next word"],
  [["-v=5"], { v: 5 }, "one dash"],
  [["--enable-pprof"], { "enable-pprof": true }, "boolean alone"],
  [["--enable-pprof=false"], { "enable-pprof": false }, "boolean with value"],
  [["--sync-timeout=1m30s"], { "sync-timeout": 90_000 }, "durations are milliseconds"],
  [[], { "metrics-addr": ":8080", "enable-pprof": true, v: 0, "sync-timeout": 120_000 }, "defaults"],
  [["--metrics-addr="], { "metrics-addr": "" }, "an empty value is a value"],
])("%j: %j: %s", (args, expected) => {
  const parsed = parseFlags(table, args);
  expect(parsed.ok && parsed.values).toMatchObject(expected);
});

test.each([
  [["--no-such"], "unknown flag: --no-such; see --help"],
  [["--metrics-add=1"], "unknown flag: --metrics-add; did you mean --metrics-addr?"],
  [["--v=high"], 'invalid value "high" for flag --v: expected a whole number'],
  [["--v"], "flag needs a value: --v=<integer>"],
  [["--sync-timeout=5"], 'invalid value "5" for flag --sync-timeout: expected a duration such as 15s, 2m or 1h30m'],
  [["--enable-pprof=maybe"], 'invalid value "maybe" for flag --enable-pprof: expected true or false'],
])("%j is refused: %s", (args, message) => {
  expect(parseFlags(table, args)).toEqual({ ok: false, message });
});

test("words that are no flags are kept, and everything after --", () => {
  const parsed = parseFlags(table, ["explain", "--v=2", "cloneset/web", "--", "--not-a-flag"]);
  expect(parsed.ok && parsed.rest).toEqual(["explain", "cloneset/web", "--not-a-flag"]);
});

test("the help shows each flag with its default", () => {
  expect(flagHelp(table)).toContain('--sync-timeout  timeout (default "2m")');
});
