/** Markdown: every link that leads into the repository leads somewhere; the changelog has its form; words are spelt right, where codespell is there to say so. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { changelogProblems } from "./lib/changelog.ts";
import { brokenLinks } from "./lib/links.ts";

const root = join(import.meta.dir, "..");
const tracked = Bun.spawnSync(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], { cwd: root });
const files = tracked.stdout.toString().split("\n").filter(Boolean);
const problems = [
  ...brokenLinks(
    root,
    files.filter((file) => !file.startsWith("scripts/airgap/")),
  ),
  ...changelogProblems(readFileSync(join(root, "CHANGELOG.md"), "utf8")).map((problem) => `CHANGELOG.md: ${problem}`),
];
problems.push(...spellingProblems(files));
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`${files.length} Markdown files, every link leads somewhere`);

/** None without codespell, a package of Debian. */
function spellingProblems(paths: readonly string[]): readonly string[] {
  const codespell = Bun.which("codespell");
  if (codespell === null) {
    console.log("spelling not checked: `apt-get install codespell`");
    return [];
  }
  // AKS is Azure's Kubernetes service, and no misspelt question.
  const ran = Bun.spawnSync([codespell, "--quiet-level=2", "--ignore-words-list=aks", ...paths], { cwd: root });
  return ran.stdout.toString().split("\n").filter(Boolean);
}
