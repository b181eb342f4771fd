/**
 * Runs the tests, part by part, and sums them up. Parts: check (format, lint, types, layers, generated files), unit, sim, cluster
 * (real control plane), node (real kubelet and containerd), bench (a smoke of the harness). Without arguments: all.
 *
 * The last line is `N passed, N failed[, N skipped]`, alone.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { missingFor } from "./lib/requirements.ts";
import { addTally, emptyTally, failuresIn, type Tally, tallyOf } from "./lib/tally.ts";

const partNames = ["check", "unit", "sim", "cluster", "node", "bench"] as const;
type PartName = (typeof partNames)[number];
const inCi = process.env.CI === "true";
const bun = process.execPath;

const asked = process.argv.slice(2);
const unknown = asked.filter((word) => !(partNames as readonly string[]).includes(word));
if (unknown.length > 0) {
  console.error(`unknown part "${unknown[0]}": expected ${partNames.join(", ")}`);
  process.exit(2);
}
const chosen = asked.length > 0 ? (asked as PartName[]) : partNames;

/** Said again before the last line: the log of a whole run is long. */
const failures: string[] = [];
let total = emptyTally;
for (const part of chosen) {
  console.log(`\n=== ${part}`);
  const startedMs = performance.now();
  const tally = await runPart(part);
  total = addTally(total, tally);
  console.log(`=== ${part}: ${describe(tally)} in ${Math.round((performance.now() - startedMs) / 1000)} s`);
}
if (failures.length > 0) console.log(`\n=== what failed\n${failures.join("\n\n")}`);
console.log(`\n${describe(total)}`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);

function describe(tally: Tally): string {
  return `${tally.passed} passed, ${tally.failed} failed${tally.skipped > 0 ? `, ${tally.skipped} skipped` : ""}`;
}

async function runPart(part: PartName): Promise<Tally> {
  switch (part) {
    case "check":
      return check();
    case "unit":
      return tests(["./src", "./test/api", "./scripts"], { timeoutMs: 30_000 });
    case "sim":
      return tests(["./test/sim", "./test/fidelity", "./test/sandbox"], { timeoutMs: 600_000 });
    case "cluster":
    case "node":
      return onRealParts(part);
    case "bench":
      return tests(["./test/bench"], { timeoutMs: 300_000 });
  }
}

/** Each check counts as one test. */
async function check(): Promise<Tally> {
  const checks: [name: string, command: string[]][] = [
    ["format and lint", [bun, "x", "biome", "check", "."]],
    ["types", [bun, "node_modules/typescript-native/bin/tsc", "--noEmit"]],
    ["layers", [bun, "--bun", "x", "depcruise", "--config", ".dependency-cruiser.cjs", "src"]],
    ["generated files are fresh", [bun, "scripts/generate.ts", "--check"]],
    ["links and changelog", [bun, "scripts/check-docs.ts"]],
  ];
  let tally = emptyTally;
  for (const [name, command] of checks) {
    const code = await Bun.spawn(command, { stdout: "inherit", stderr: "inherit" }).exited;
    console.log(`${code === 0 ? "pass" : "FAIL"}  ${name}`);
    if (code !== 0) failures.push(`check: ${name}`);
    tally = addTally(tally, { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 });
  }
  return tally;
}

async function tests(paths: readonly string[], options: { timeoutMs: number; env?: Record<string, string> }): Promise<Tally> {
  const present = paths.filter((path) => existsSync(path));
  if (present.length === 0) return emptyTally;
  const child = Bun.spawn([bun, "test", `--timeout=${options.timeoutMs}`, ...present], {
    stdout: "inherit",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
  });
  let text = "";
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    process.stderr.write(chunk);
    text += chunk;
  }
  const code = await child.exited;
  const failed = failuresIn(text);
  if (code !== 0) failures.push(`in ${present.join(" ")}:`, ...(failed.length > 0 ? failed : [`exit code ${code}\n${text.slice(-2_000)}`]));
  return tallyOf(text, code);
}

/** Against the binary that ships. One control plane a file: what one leaves behind or breaks is no other's business. */
async function onRealParts(part: "cluster" | "node"): Promise<Tally> {
  const missing = missingFor(part);
  if (missing !== undefined) {
    if (inCi) {
      failures.push(`the ${part} tests cannot run here: ${missing}`);
      return { passed: 0, failed: 1, skipped: 0 };
    }
    console.log(`skipped: ${missing}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const built = await Bun.spawn([bun, "scripts/build.ts"], { stdout: "inherit", stderr: "inherit" }).exited;
  if (built !== 0) {
    failures.push(`${part}: the binary could not be built`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const files = [...new Bun.Glob("*.test.ts").scanSync(`./test/${part}`)].sort().map((name) => `./test/${part}/${name}`);
  files.unshift(part === "cluster" ? "./test/rig/rig.test.ts" : "./test/rig/node.test.ts");
  // Its tests share one release, which takes a while to make.
  if (part === "node") files.push("./test/supply-chain");
  let tally = emptyTally;
  for (const file of files)
    tally = addTally(tally, await tests([file], { timeoutMs: 180_000, env: { KRUISE_COMMAND: join(process.cwd(), "dist/kruise") } }));
  return tally;
}
