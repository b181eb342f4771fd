/** Prints what CHANGELOG.md says of one version: `bun scripts/changelog.ts v0.1.0`. With --check it only looks at the form. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { changelogProblems, sectionOf } from "./lib/changelog.ts";

const text = readFileSync(join(import.meta.dir, "../CHANGELOG.md"), "utf8");
const [wanted = ""] = process.argv.slice(2);
if (wanted === "--check") {
  const problems = changelogProblems(text);
  for (const problem of problems) console.error(`CHANGELOG.md: ${problem}`);
  process.exit(problems.length === 0 ? 0 : 1);
}
const section = sectionOf(text, wanted.replace(/^v/, ""));
if (section === undefined) {
  console.error(`CHANGELOG.md has no section for ${wanted}: move what is under [Unreleased] there`);
  process.exit(1);
}
console.log(section);
