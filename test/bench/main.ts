/**
 * bun run bench [suite or scenario…] [--out=DIR] [--command="bun src/main.ts"]
 *
 * Measures the manager on a real control plane with 20 simulated nodes: its CPU time and memory and those of the control plane from /proc,
 * its requests from the audit log, its event loop from its metrics; and the node agent on a real node (needs root). Without names:
 * everything, which takes about half an hour.
 * Writes DIR/bench.json and DIR/bench.md (default .kruiser/bench). A scenario runs after those before it in its suite.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Bench, compiled, type Measured } from "./bench.ts";
import { machineText } from "./processes.ts";
import { figures, markdown } from "./report.ts";
import { fullSizes, type Suite, suites } from "./scenarios.ts";

const projectRoot = join(import.meta.dir, "../..");
const { values, positionals } = parseArgs({
  args: Bun.argv.slice(2),
  allowPositionals: true,
  options: { out: { type: "string", default: join(projectRoot, ".kruiser", "bench") }, command: { type: "string" } },
});

/** Each suite with the scenarios to run: up to the last one that was asked for. */
function chosen(): readonly Suite[] {
  if (positionals.length === 0) return suites;
  const known = suites.flatMap(({ name, scenarios }) => [name, ...scenarios.map((scenario) => scenario.name)]);
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    console.error(`unknown scenario "${unknown}": expected ${known.join(", ")}`);
    process.exit(2);
  }
  return suites
    .map((suite) => {
      const { name, scenarios } = suite;
      const last = positionals.includes(name)
        ? scenarios.length - 1
        : scenarios.findLastIndex((scenario) => positionals.includes(scenario.name));
      return { ...suite, scenarios: scenarios.slice(0, last + 1) };
    })
    .filter(({ scenarios }) => scenarios.length > 0);
}

const runs = chosen();
if (values.command === undefined && !existsSync(compiled)) {
  console.error(`${compiled} is not there: bun run build`);
  process.exit(2);
}
const measured: Measured[] = [];
let failed = false;
for (const { scenarios, needs } of runs) {
  const bench = await Bench.start({ ...needs, ...(values.command === undefined ? {} : { command: values.command.split(" ") }) });
  try {
    for (const { name, run } of scenarios) {
      const already = bench.measured.length;
      console.log(`… ${name}`);
      await run(bench, fullSizes);
      for (const one of bench.measured.slice(already)) console.log(`${one.scenario}: ${figures(one)}${lagText(one)}`);
    }
  } catch (error) {
    failed = true;
    console.error(error);
  }
  measured.push(...bench.measured);
  await bench.stop();
}

function lagText({ lag }: Measured): string {
  return lag === undefined ? "" : ` · lag p99 ≤ ${lag.p99Ms} ms, max ≤ ${lag.maxMs} ms`;
}

const report = {
  machine: machineText(),
  command: ["bun run bench", ...positionals].join(" "),
  commit: Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: projectRoot }).stdout.toString().trim() || "unknown",
  date: new Date().toISOString().slice(0, 10),
  measured,
};
mkdirSync(values.out, { recursive: true });
writeFileSync(join(values.out, "bench.json"), `${JSON.stringify(report, null, 2)}\n`);
writeFileSync(join(values.out, "bench.md"), markdown(report));
console.log(`\n${markdown(report)}\nwritten to ${values.out}`);
process.exit(failed ? 1 : 0);
