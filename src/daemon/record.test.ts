import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeEnv } from "../env/fake.ts";
import { DaemonRecord, daemonRecordLimits, recordPath } from "./record.ts";

const dir = mkdtempSync(join(tmpdir(), "record-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("what was begun and ended is known to the next process", () => {
  const path = join(dir, "a.sqlite");
  const env = new FakeEnv();
  const first = new DaemonRecord(env, path);
  first.begin("kill", "c://1", { purpose: "u" });
  first.begin("kill", "c://2", { purpose: "u" });
  first.end("kill", "c://2", { purpose: "u", result: "stopped" });
  first.begin("pull", "c://1", { image: "a" });
  first.close();
  const second = new DaemonRecord(env, path);
  expect(second.place).toBe(path);
  expect(second.all("kill")).toEqual([
    { key: "c://1", beganMs: env.nowMs(), body: { purpose: "u" } },
    { key: "c://2", beganMs: env.nowMs(), endedMs: env.nowMs(), body: { purpose: "u", result: "stopped" } },
  ]);
  second.begin("kill", "c://2", { purpose: "v" });
  expect(second.get("kill", "c://2")).not.toHaveProperty("endedMs");
  second.forget("pull", "c://1");
  expect(second.get("pull", "c://1")).toBeUndefined();
  second.close();
});

test("a file that is no record, or cannot be written, costs nothing but the memory", () => {
  const broken = join(dir, "broken.sqlite");
  writeFileSync(broken, "not a database at all, however long it may be".repeat(100));
  for (const path of [broken, "/proc/nowhere/x.sqlite", undefined]) {
    const record = new DaemonRecord(new FakeEnv(), path);
    record.begin("kill", "c://1", {});
    expect(record.get("kill", "c://1")).toBeDefined();
    record.close();
  }
});

test("it does not grow for ever", async () => {
  const env = new FakeEnv();
  const record = new DaemonRecord(env);
  record.begin("kill", "old", {});
  await env.advance(daemonRecordLimits.ageMsMax + 1);
  for (let index = 0; index < daemonRecordLimits.deedsMax + 2 * daemonRecordLimits.pruneEvery; index += 1) {
    record.begin("kill", `c://${index}`, {});
    if (index % 50 === 0) await env.advance(1);
  }
  expect(record.get("kill", "old")).toBeUndefined();
  expect(record.all("kill").length).toBeLessThanOrEqual(daemonRecordLimits.deedsMax + daemonRecordLimits.pruneEvery);
  record.close();
});

test.each([
  ["memory", undefined],
  ["/some/where.sqlite", "/some/where.sqlite"],
  ["auto", join(dir, "daemon.sqlite")],
])("--record-path=%s", (flag, path) => expect(recordPath(flag, dir)).toBe(path as string));
test("--record-path=auto without the folder keeps none", () => expect(recordPath("auto", join(dir, "missing"))).toBeUndefined());
