/** Which metrics are counted anywhere: a name in the list that nobody counts is a plan, and belongs neither in alerts nor in documents. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { metrics } from "../../src/engine/metrics-names.ts";

const src = join(import.meta.dir, "../../src");

/** Names of the metrics that some source file but the list itself mentions. */
export const emitted: ReadonlySet<string> = (() => {
  const sources = [...new Bun.Glob("**/*.ts").scanSync({ cwd: src })]
    .filter((path) => !path.endsWith(".test.ts") && !path.includes("testing/") && !path.endsWith("metrics-names.ts"))
    .map((path) => readFileSync(join(src, path), "utf8"))
    .join("\n");
  const mentioned = Object.entries(metrics).filter(
    ([key, { name }]) => new RegExp(`(names|Names|metrics)\\.${key}\\b`).test(sources) || sources.includes(`"${name}"`),
  );
  return new Set(mentioned.map(([, { name }]) => name));
})();

/** Whether every metric of the list that a query asks for is counted. */
export function canBeAsked(query: string): boolean {
  return Object.values(metrics).every(({ name }) => emitted.has(name) || !new RegExp(`\\b${name}(_bucket|_sum|_count)?\\b`).test(query));
}
