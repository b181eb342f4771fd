/** The binaries of a release: for every machine the same bytes from two places, and a program for the machine that its name says. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Executable, executableOf } from "../../scripts/build/executable.ts";
import { signedAdhoc } from "../../scripts/build/sign-macho.ts";
import { fileOf, targetNamed, targets } from "../../scripts/build/targets.ts";
import { architecture } from "../lib/product-image.ts";
import { must, run } from "../rig/process.ts";
import { root } from "./published.ts";

const timeoutMs = 600_000;
const out = join(root, ".kruiser/test-binaries");
// Together they are some 800 MB.
afterAll(() => rmSync(out, { recursive: true, force: true }));
const path = (name: string) => join(out, fileOf(targetNamed(name)));

test(
  "built in two places, in another time zone and language, they are the same to the byte",
  async () => {
    const told = await run([process.execPath, "scripts/reproduce.ts", `--out=${out}`], { cwd: root, timeoutMs });
    expect(told).toMatchObject({ code: 0 });
    expect(told.stdout.split("\n").filter((line) => line.startsWith("same "))).toHaveLength(targets.length);
  },
  timeoutMs,
);

test("a build that differs is told", async () => {
  const sums = readFileSync(join(out, "SHA256SUMS"), "utf8");
  const wrong = join(out, "wrong-sums");
  await Bun.write(
    wrong,
    sums.replace(/^./gm, (digit) => (digit === "0" ? "1" : "0")),
  );
  const target = `linux-${architecture}`;
  const told = await run([process.execPath, "scripts/reproduce.ts", `--target=${target}`, `--against=${wrong}`, `--out=${out}-again`], {
    cwd: root,
    timeoutMs,
  });
  expect(told).toMatchObject({ code: 1, stdout: expect.stringContaining("DIFFERS") });
  await must(["rm", "-rf", `${out}-again`]);
}, 60_000);

const elf = (arch: Executable["arch"], interpreter: string): Executable => ({ format: "elf", arch, interpreter });
const machO = (arch: Executable["arch"], identifier: string): Executable => ({
  format: "mach-o",
  arch,
  signature: { state: "whole", identifier, adhoc: true },
});

test.each<[string, Executable]>([
  ["linux-amd64", elf("amd64", "/lib64/ld-linux-x86-64.so.2")],
  ["linux-arm64", elf("arm64", "/lib/ld-linux-aarch64.so.1")],
  ["linux-amd64-musl", elf("amd64", "/lib/ld-musl-x86_64.so.1")],
  ["linux-arm64-musl", elf("arm64", "/lib/ld-musl-aarch64.so.1")],
  ["darwin-amd64", machO("amd64", "kruise")],
  ["darwin-arm64", machO("arm64", "a.out")],
  ["windows-amd64", { format: "pe", arch: "amd64" }],
])("%s", (name, facts) => {
  expect(executableOf(readFileSync(path(name)))).toEqual(facts);
});

test("what signs for Macs with Intel writes, for those with ARM, what Bun writes", () => {
  const bytes = readFileSync(path("darwin-arm64"));
  expect(Buffer.compare(signedAdhoc(bytes, "a.out"), bytes)).toBe(0);
});

test.skipIf(process.platform !== "linux")("the one for this machine says so", async () => {
  const told = await must([path(`linux-${architecture}`), "version", "-o", "json"]);
  expect(JSON.parse(told)).toMatchObject({ platform: `linux/${architecture}` });
});
