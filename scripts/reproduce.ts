/**
 * Whether this commit gives the same bytes, for every machine: built in places that share nothing with this one but the commit and the runtimes
 * (whose checksums are in bun.lock), in another time zone, language and home, and compared by checksum. Exits with 1 where anything differs.
 *
 *   bun scripts/reproduce.ts                                  builds twice and compares the two
 *   bun scripts/reproduce.ts --against=dist/SHA256SUMS        builds once and compares with what is there: for releases
 *   --target=linux-arm64,windows-amd64   --out=.kruiser/reproduced   where the binaries of the last build and SHA256SUMS go
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { runtimeFor } from "./build/runtime.ts";
import { fileOf, targetNamed, targets } from "./build/targets.ts";
import { must } from "./image/command.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    against: { type: "string", default: "" },
    target: { type: "string", default: targets.map(({ name }) => name).join(",") },
    out: { type: "string", default: ".kruiser/reproduced" },
  },
});
const chosen = values.target.split(",").map(targetNamed);
const out = resolve(values.out);
for (const target of chosen) runtimeFor(target);

// Looked up once: whoever works here meanwhile may commit.
const [commit = "", date = ""] = (await must(["git", "show", "-s", "--format=%H %cI", "HEAD"], { cwd: root })).trim().split(" ");

const first = values.against === "" ? await buildIn("a", {}) : sumsIn(readFileSync(values.against, "utf8"));
const second = await buildIn("somewhere else altogether", { TZ: "Pacific/Chatham", LC_ALL: "C", LANG: "tr_TR.UTF-8", USER: "somebody" });

let differing = 0;
for (const target of chosen) {
  const file = fileOf(target);
  const same = first.get(file) === second.get(file);
  if (!same) differing += 1;
  console.log(`${same ? "same   " : "DIFFERS"}  ${second.get(file)}  ${file}${same ? "" : `, was ${first.get(file) ?? "not there"}`}`);
}
process.exit(differing > 0 ? 1 : 0);

/** Builds the commit in a directory of that name; its binaries go to `--out`. @returns checksums by file name */
async function buildIn(name: string, env: Readonly<Record<string, string>>): Promise<Map<string, string>> {
  const parent = mkdtempSync(join(tmpdir(), "kruiser-reproduce-"));
  const dir = join(parent, name);
  try {
    mkdirSync(join(dir, ".kruiser"), { recursive: true });
    await must(["sh", "-c", 'git archive "$1" | tar -x -C "$2"', "sh", commit, dir], { cwd: root });
    symlinkSync(join(root, ".kruiser/runtimes"), join(dir, ".kruiser/runtimes"));
    await must([process.execPath, "install", "--frozen-lockfile", "--silent"], { cwd: dir });
    await must([process.execPath, "scripts/build.ts", `--target=${chosen.map((target) => target.name).join(",")}`], {
      cwd: dir,
      env: { KRUISE_COMMIT: commit, KRUISE_DATE: date, HOME: parent, ...env },
    });
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    const sums = new Map<string, string>();
    for (const file of chosen.map(fileOf)) {
      sums.set(file, new Bun.CryptoHasher("sha256").update(readFileSync(join(dir, "dist", file))).digest("hex"));
      await must(["mv", join(dir, "dist", file), out]);
    }
    writeFileSync(join(out, "SHA256SUMS"), [...sums].map(([file, sum]) => `${sum}  ${file}\n`).join(""));
    return sums;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

/** @param text as sha256sum writes it */
function sumsIn(text: string): Map<string, string> {
  const lines = [...text.matchAll(/^([0-9a-f]{64}) [ *](.+)$/gm)];
  return new Map(lines.map(([, sum = "", file = ""]) => [file, sum]));
}
