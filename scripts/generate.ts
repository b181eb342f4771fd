/** Writes every generated file, or with --check only says which are stale. */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { Glob } from "bun";
import { chart } from "./generate/chart/index.ts";
import { crds } from "./generate/crds.ts";
import { cri } from "./generate/cri.ts";
import type { Generator } from "./generate/generator.ts";
import { kustomize } from "./generate/kustomize.ts";
import { reference } from "./generate/reference.ts";

const generators: readonly Generator[] = [crds, kustomize, chart, reference, cri];

const root = join(import.meta.dir, "..");
const check = process.argv.includes("--check");

const wanted = new Map<string, string>();
const found = new Set<string>();
for (const generator of generators) {
  for (const [path, content] of Object.entries(await generator.files())) {
    if (wanted.has(path)) throw new Error(`two generators write ${path}`);
    wanted.set(path, content);
  }
  for (const pattern of generator.owns) for await (const path of new Glob(pattern).scan({ cwd: root })) found.add(path);
}

const stale: string[] = [];
for (const [path, content] of wanted) {
  const file = Bun.file(join(root, path));
  if ((await file.exists()) && (await file.text()) === content) continue;
  stale.push(path);
  if (!check) await Bun.write(file, content);
}
for (const path of found) {
  if (wanted.has(path)) continue;
  stale.push(path);
  if (!check) await unlink(join(root, path));
}

stale.sort();
if (check && stale.length > 0) {
  console.error(`stale generated files: run "bun run generate"\n${stale.map((path) => `  ${path}`).join("\n")}`);
  process.exitCode = 1;
} else if (!check) {
  console.log(stale.length === 0 ? `${wanted.size} files, all fresh` : `wrote ${stale.length} of ${wanted.size} files`);
}
