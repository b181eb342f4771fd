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
const unsteady: string[] = [];
let repeatsLeft = 4;
let total = emptyTally;
for (const part of chosen) {
  console.log(`\n=== ${part}`);
  const startedMs = performance.now();
  const tally = await runPart(part);
  total = addTally(total, tally);
  console.log(`=== ${part}: ${describe(tally)} in ${Math.round((performance.now() - startedMs) / 1000)} s`);
}
if (unsteady.length > 0) console.log(`\n=== what passed only when it was run again\n${unsteady.join("\n\n")}`);
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
      return tests(["./src", "./test/api", "./scripts"], { timeoutMs: 30_000, sideBySide: true });
    case "sim":
      return tests(["./test/sim", "./test/fidelity", "./test/sandbox"], { timeoutMs: 600_000, sideBySide: true });
    case "cluster":
    case "node":
      return onRealParts(part);
    case "bench":
      return steadied(["./test/bench"], { timeoutMs: 300_000 });
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

interface Options {
  readonly timeoutMs: number;
  readonly env?: Record<string, string>;
  /** Two files at a time. Default: one after the other. */
  readonly sideBySide?: boolean;
  /** What it prints comes in one piece when it ends: others print meanwhile. */
  readonly inOnePiece?: boolean;
}

interface Outcome {
  readonly tally: Tally;
  /** Each failed test with its error; empty when all passed. */
  readonly failed: readonly string[];
}

async function tests(paths: readonly string[], options: Options): Promise<Tally> {
  const { tally, failed } = await run(paths, options);
  failures.push(...failed);
  return tally;
}

/**
 * For real parts, where a machine's bad moment can be too long for a deadline: a file that failed is run once more, whole, and that it was
 * is told at the end. After a few such files it is no longer a matter of moments.
 */
async function steadied(paths: readonly string[], options: Options): Promise<Tally> {
  const first = await run(paths, options);
  if (first.failed.length === 0) return first.tally;
  if (repeatsLeft === 0) {
    failures.push(...first.failed);
    return first.tally;
  }
  repeatsLeft -= 1;
  console.log(`\n${paths.join(" ")}: once more, after ${describe(first.tally)}`);
  const second = await run(paths, options);
  (second.failed.length === 0 ? unsteady : failures).push(...first.failed, ...second.failed);
  return second.tally;
}

async function run(paths: readonly string[], options: Options): Promise<Outcome> {
  const present = paths.filter((path) => existsSync(path));
  if (present.length === 0) return { tally: emptyTally, failed: [] };
  const child = Bun.spawn(
    [bun, "test", `--timeout=${options.timeoutMs}`, ...(options.sideBySide ? ["--parallel=2", "--no-isolate"] : []), ...present],
    {
      stdout: "inherit",
      stderr: "pipe",
      env: { ...process.env, ...options.env },
    },
  );
  let text = "";
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    if (!options.inOnePiece) process.stderr.write(chunk);
    text += chunk;
  }
  if (options.inOnePiece) process.stderr.write(text);
  const code = await child.exited;
  const tally = tallyOf(text, code);
  if (code === 0) return { tally, failed: [] };
  const failed = failuresIn(text);
  return { tally, failed: [`in ${present.join(" ")}:`, ...(failed.length > 0 ? failed : [`exit code ${code}\n${text.slice(-2_000)}`])] };
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
  const env = { KRUISE_COMMAND: join(process.cwd(), "dist/kruise") };
  // The rig's own test comes first, alone: it fetches or builds what the others run on.
  const first = await steadied([part === "cluster" ? "./test/rig/rig.test.ts" : "./test/rig/node.test.ts"], { timeoutMs: 180_000, env });
  const files = [...new Bun.Glob("*.test.ts").scanSync(`./test/${part}`)].sort().map((name) => `./test/${part}/${name}`);
  // Its tests share one release, which takes a while to make.
  if (part === "node") files.push("./test/supply-chain");
  // Simulated nodes cost little, and most of the time is waiting. Real ones share the machine's network and control groups.
  const lanes = part === "cluster" ? 2 : 1;
  const lane = async () => {
    let tally = emptyTally;
    for (let file = files.shift(); file !== undefined; file = files.shift())
      tally = addTally(tally, await steadied([file], { timeoutMs: 180_000, env, inOnePiece: lanes > 1 }));
    return tally;
  };
  const tallies = await Promise.all(Array.from({ length: lanes }, lane));
  return tallies.reduce(addTally, first);
}
