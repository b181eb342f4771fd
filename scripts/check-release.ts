/** Whether what a tag names may be released: `bun scripts/check-release.ts v0.1.0`. Says everything that is not ready, and exits with 1. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import packageJson from "../package.json";
import { stampOf } from "./build/stamp.ts";
import { sectionOf } from "./lib/changelog.ts";

const [tag = ""] = process.argv.slice(2);
const { version } = packageJson;
const read = (path: string) => readFileSync(join(import.meta.dir, "..", path), "utf8");
const chart = parse(read("deploy/chart/Chart.yaml")) as { version: string; appVersion: string };
const { commit } = stampOf({});

const problems = [
  ...(tag === `v${version}` ? [] : [`the tag is "${tag}", and package.json says ${version}`]),
  ...(chart.version === version ? [] : [`the chart's version is ${chart.version}: bun run generate`]),
  ...(sectionOf(read("CHANGELOG.md"), version) === undefined ? [`CHANGELOG.md has no section for ${version}`] : []),
  ...(/^[0-9a-f]{40,}$/.test(commit) ? [] : [`what lies here is no commit: ${commit}`]),
];
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
