/**
 * `bun run sim [--feature=cloneset] [--seeds=300] [--from=1] [--seed=N]`: many seeds of each world, or one of them with its story.
 * Exit code 1 when anything broke.
 */
import { parseArgs } from "node:util";
import type { SceneKind } from "./scene.ts";
import { sceneKinds } from "./scenes/index.ts";
import { report, shrink } from "./shrink.ts";
import { simulate } from "./simulate.ts";

const failuresShownMax = 5;

const { values } = parseArgs({
  options: {
    feature: { type: "string" },
    seeds: { type: "string", default: "300" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});
const chosen = sceneKinds.filter(({ name }) => values.feature === undefined || name === values.feature);
if (chosen.length === 0) {
  console.error(`--feature=${values.feature}: expected one of ${sceneKinds.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
let failed = 0;
for (const kind of chosen) failed += await (values.seed === undefined ? many(kind) : one(kind, values.seed));
process.exit(failed > 0 ? 1 : 0);

async function one(kind: SceneKind, seed: string): Promise<number> {
  const options = { kind, seed, traced: values.trace };
  const result = await simulate(options);
  if (result.violation === undefined) {
    for (const line of result.trace) console.log(line);
    console.log(
      `${kind.name}, seed ${seed}: nothing broke (${result.writes} writes, ${Math.round(result.virtualMs / 1000)} virtual seconds)`,
    );
    return 0;
  }
  console.log(report(kind.name, result, values.trace ? result : await shrink(options, result)));
  return 1;
}

async function many(kind: SceneKind): Promise<number> {
  const [from, count] = [Number(values.from), Number(values.seeds)];
  const startMs = performance.now();
  const broken: string[] = [];
  let virtualMs = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    const result = await simulate({ kind, seed });
    virtualMs += result.virtualMs;
    if (result.violation === undefined) continue;
    if (broken.length < failuresShownMax) console.log(`\n${report(kind.name, result, await shrink({ kind, seed }, result))}\n`);
    broken.push(result.seed);
  }
  const seconds = (performance.now() - startMs) / 1000;
  const rate = `${(count / seconds).toFixed(1)} seeds/s, ${Math.round(virtualMs / 3_600_000)} virtual hours in ${seconds.toFixed(0)} s`;
  console.log(
    `${kind.name}: ${count - broken.length} of ${count} seeds hold; ${rate}${broken.length > 0 ? `; broken: ${broken.join(" ")}` : ""}`,
  );
  return broken.length;
}
