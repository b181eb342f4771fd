/**
 * Runs the tests, part by part, and sums them up. Parts: check (format, lint, types, layers, generated files), unit, sim, cluster
 * (real control plane), node (real kubelet and containerd), bench (a smoke of the harness). Without arguments: all.
 *
 * `check` and `unit` come first, one after the other. The others go on side by side: real nodes wait most of the time, simulations compute
 * all the time, and let everybody else go first.
 *
 * The last line is `N passed, N failed[, N skipped]`, alone.
 */
import { join } from "node:path";
import { Lanes } from "./lib/lanes.ts";
import { missingFor } from "./lib/requirements.ts";
import { describe, Runner, sumOf } from "./lib/runner.ts";
import { addTally, emptyTally, type Tally } from "./lib/tally.ts";

const partNames = ["check", "unit", "sim", "cluster", "node", "bench"] as const;
type PartName = (typeof partNames)[number];
const inCi = process.env["CI"] === "true";
const bun = process.execPath;

const asked = process.argv.slice(2);
const unknown = asked.filter((word) => !(partNames as readonly string[]).includes(word));
if (unknown.length > 0) {
  console.error(`unknown part "${unknown[0]}": expected ${partNames.join(", ")}`);
  process.exit(2);
}
const chosen = partNames.filter((part) => asked.length === 0 || asked.includes(part));

const tests = new Runner();
const realTimeoutMs = 180_000;
/** Simulated nodes cost little, and most of the time is waiting. */
const controlPlanes = new Lanes(2);
/** It waits nearly all the time. Several would go, each with its own network and control groups, but the machine has enough to do. */
const realNodes = new Lanes(1);

/** Memory for speed: control planes are written in Go, live a minute each, and starting them costs a fifth less so. */
const clusterEnv = { GOGC: "400" };
/** As long as two to six ordinary files: begun first, they do not keep everybody waiting at the end. */
const longest = ["narrowing", "faults", "pub", "cloneset-api"];
const oneFailed: Tally = { passed: 0, failed: 1, skipped: 0 };

let preparation: Promise<boolean> | undefined;
let total = emptyTally;
await part("check", check);
await part("unit", () => tests.once(["./src", "./test/api", "./scripts"], { timeoutMs: 30_000, processes: 2 }));
tests.inOnePiece = chosen.some((name) => name === "sim" || name === "cluster") || (chosen.includes("node") && chosen.includes("bench"));
await Promise.all([part("node", node), part("bench", bench), part("cluster", cluster), part("sim", sim)]);

if (tests.unsteady.length > 0) console.log(`\n=== what passed only when it was run again\n${tests.unsteady.join("\n\n")}`);
if (tests.failures.length > 0) console.log(`\n=== what failed\n${tests.failures.join("\n\n")}`);
console.log(`\n${describe(total)}`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);

async function part(name: PartName, work: () => Promise<Tally>): Promise<void> {
  if (!chosen.includes(name)) return;
  console.log(`\n=== ${name}`);
  const startedMs = performance.now();
  const tally = await work();
  total = addTally(total, tally);
  console.log(`\n=== ${name}: ${describe(tally)} in ${Math.round((performance.now() - startedMs) / 1000)} s`);
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
    const isDone = await done(command);
    console.log(`${isDone ? "pass" : "FAIL"}  ${name}`);
    if (!isDone) tests.failures.push(`check: ${name}`);
    tally = addTally(tally, isDone ? { passed: 1, failed: 0, skipped: 0 } : oneFailed);
  }
  return tally;
}

/** Simulations have no clock but their own; the sandbox has the machine's. */
async function sim(): Promise<Tally> {
  const timeoutMs = 600_000;
  return sumOf(
    await Promise.all([
      tests.once(["./test/fidelity", "./test/sandbox"], { timeoutMs }),
      tests.once(["./test/sim"], { timeoutMs, processes: 2, inBackground: true }),
    ]),
  );
}

function cluster(): Promise<Tally> {
  const rank = (name: string) => (longest.includes(name) ? longest.indexOf(name) : longest.length);
  const names = testsIn("cluster").sort((a, b) => rank(a) - rank(b));
  return onRealParts("cluster", controlPlanes, [["./test/rig/rig.test.ts"], ...names.map((name) => [`./test/cluster/${name}.test.ts`])]);
}

function node(): Promise<Tally> {
  const files = testsIn("node").filter((name) => name !== "image");
  return onRealParts("node", realNodes, [
    ["./test/rig/node.test.ts"],
    ...files.map((name) => [`./test/node/${name}.test.ts`]),
    // Both build the image, or take it over from each other.
    ["./test/node/image.test.ts", "./test/supply-chain"],
  ]);
}

async function bench(): Promise<Tally> {
  return controlPlanes.run(() => tests.steadied(["./test/bench"], { timeoutMs: 300_000, env: clusterEnv }));
}

function testsIn(folder: string): string[] {
  return [...new Bun.Glob("*.test.ts").scanSync(`./test/${folder}`)].sort().map((name) => name.replace(".test.ts", ""));
}

/**
 * Against the binary that ships. One control plane a file: what one leaves behind or breaks is no other's business.
 *
 * @param turns files that follow one another, in one lane
 */
async function onRealParts(name: "cluster" | "node", lanes: Lanes, turns: readonly (readonly string[])[]): Promise<Tally> {
  const missing = missingFor(name);
  if (missing !== undefined) {
    if (inCi) {
      tests.failures.push(`the ${name} tests cannot run here: ${missing}`);
      return oneFailed;
    }
    console.log(`skipped: ${missing}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  if (!(await prepared())) {
    tests.failures.push(`${name}: the binary could not be built, or the programs of the test cluster could not be had`);
    return oneFailed;
  }
  const options = { timeoutMs: realTimeoutMs, env: { ...clusterEnv, KRUISE_COMMAND: join(process.cwd(), "dist/kruise") } };
  const inTurn = async (files: readonly string[]) => {
    let tally = emptyTally;
    for (const file of files) tally = addTally(tally, await tests.steadied([file], options));
    return tally;
  };
  return sumOf(await Promise.all(turns.map((files) => lanes.run(() => inTurn(files)))));
}

/** Once, before anybody starts a cluster: the binary, and the programs that clusters are made of, which are fetched or built. */
function prepared(): Promise<boolean> {
  const withNode = chosen.includes("node") && missingFor("node") === undefined;
  preparation ??= (async () =>
    (await done([bun, "scripts/build.ts"])) &&
    (await done([bun, "test/rig/main.ts", "install", ...(withNode ? ["--node"] : [])], "ignore")))();
  return preparation;
}

async function done(command: string[], stdout: "inherit" | "ignore" = "inherit"): Promise<boolean> {
  return (await Bun.spawn(command, { stdout, stderr: "inherit" }).exited) === 0;
}
