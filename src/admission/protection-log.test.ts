import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeEnv } from "../env/fake.ts";
import { silentMetrics } from "./metrics.ts";
import { protectionLog, refusalRecorder } from "./protection-log.ts";
import type { Refusal } from "./webhook.ts";

const refusal = (changes: Partial<Refusal> = {}): Refusal => ({
  event: "DeletionProtection",
  kind: "Deployment",
  namespace: "shop",
  name: "web",
  userAgent: "alice",
  ...changes,
});

test("one line of JSON for each refusal, appended", async () => {
  const directory = join(mkdtempSync(join(tmpdir(), "kruiser-log-")), "made");
  const { log } = new FakeEnv();
  for (const name of ["web", "db"]) {
    const file = protectionLog(directory, log);
    file.append(refusal({ name }));
    file.append(refusal({ name: `${name}"2`, event: "PodUnavailableBudget" }));
    await file.flushed();
  }
  const lines = readFileSync(join(directory, "protection.log"), "utf8").trimEnd().split("\n");
  expect(lines[0]).toBe('{"Event":"DeletionProtection","Kind":"Deployment","Namespace":"shop","Name":"web","UserAgent":"alice"}');
  expect(lines.map((line) => JSON.parse(line).Name)).toEqual(["web", 'web"2', "db", 'db"2']);
  rmSync(join(directory, ".."), { recursive: true, force: true });
});

test("a directory that cannot be written is said once, and stops nobody", async () => {
  const directory = mkdtempSync(join(tmpdir(), "kruiser-log-"));
  const blocked = join(directory, "file");
  writeFileSync(blocked, "");
  const env = new FakeEnv();
  const file = protectionLog(join(blocked, "below"), env.log);
  await file.flushed();
  expect(env.lines.map(({ level }) => level)).toEqual(["warn"]);
  file.append(refusal());
  await file.flushed();
  expect(env.lines).toHaveLength(1);
  rmSync(blocked);
  file.append(refusal({ name: "later" }));
  await file.flushed();
  expect(env.lines.map(({ level }) => level)).toEqual(["warn", "info"]);
  expect(readFileSync(join(blocked, "below", "protection.log"), "utf8")).toContain("later");
  rmSync(directory, { recursive: true, force: true });
});

describe("a refusal is counted", () => {
  test.each([
    [
      { event: "PodUnavailableBudget", kind: "CloneSet" },
      "pod_unavailable_budget",
      { kind_namespace_name: "CloneSet_shop_web", username: "alice" },
    ],
    [{ kind: "Namespace", namespace: "" }, "namespace_deletion_protection", { name: "web", username: "alice" }],
    [{ kind: "CustomResourceDefinition", namespace: "" }, "crd_deletion_protection", { name: "web", username: "alice" }],
    [{}, "workload_deletion_protection", { kind_namespace_name: "Deployment_shop_web", username: "alice" }],
  ] as const)("%j in %s", (changes, metric, labels) => {
    const counted: unknown[] = [];
    const logged: Refusal[] = [];
    const record = refusalRecorder(
      { append: (one) => logged.push(one), flushed: async () => {} },
      { ...silentMetrics, refused: (...given) => counted.push(given) },
    );
    record(refusal(changes));
    expect(counted).toEqual([[metric, labels]]);
    expect(logged).toEqual([refusal(changes)]);
  });
});
