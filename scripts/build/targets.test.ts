import { expect, test } from "bun:test";
import packageJson from "../../package.json";
import { lockedRuntime } from "./runtime.ts";
import { epochOf, stampOf } from "./stamp.ts";
import { fileOf, targetNamed, targets } from "./targets.ts";

test.each(targets.map((target) => [target.name, target] as const))(
  "%s: the lock file pins its runtime, in the version that builds",
  (_, target) => {
    const locked = lockedRuntime(target);
    expect(locked.version).toBe(packageJson.devDependencies.bun);
    expect(locked.integrity).toMatch(/^sha512-/);
  },
);

test("names", () => {
  expect(fileOf(targetNamed("linux-arm64-musl"))).toBe("kruise-linux-arm64-musl");
  expect(fileOf(targetNamed("windows-amd64"))).toBe("kruise-windows-amd64.exe");
  expect(() => targetNamed("linux-armv7")).toThrow("expected linux-amd64, linux-arm64");
});

test("a stamp given from outside needs no git", () => {
  const stamp = stampOf({ KRUISE_VERSION: "1.2.3", KRUISE_COMMIT: "abc", KRUISE_DATE: "2026-01-02T03:04:05Z" });
  expect(stamp).toEqual({ version: "1.2.3", commit: "abc", date: "2026-01-02T03:04:05Z" });
  expect(epochOf(stamp)).toBe(1767323045);
  expect(epochOf({ ...stamp, date: "unknown" })).toBe(0);
});
