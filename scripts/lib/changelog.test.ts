import { expect, test } from "bun:test";
import { changelogProblems, sectionOf } from "./changelog.ts";

const good = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- a\n\n## [1.0.0] - 2026-01-02\n\n### Fixed\n\n- b\n";

test("sections are found by version", () => {
  expect(sectionOf(good, "1.0.0")).toBe("### Fixed\n\n- b");
  expect(sectionOf(good, "Unreleased")).toBe("### Added\n\n- a");
  expect(sectionOf(good, "2.0.0")).toBeUndefined();
});

test.each([
  [good, undefined],
  [good.replace("### Fixed", "### Mended"), '"Mended" is none of'],
  [good.replace("## [1.0.0] - 2026-01-02", "## 1.0.0"), "a version's heading is"],
  [good.replace(" - 2026-01-02", ""), "a released version has a date"],
  [good.replace("[1.0.0] - 2026-01-02", "[Unreleased]"), "twice"],
  ["# Changelog\n", "no [Unreleased]"],
])("%j: %p", (text, problem) => {
  const problems = changelogProblems(text);
  if (problem === undefined) expect(problems).toEqual([]);
  else expect(problems.join("; ")).toContain(problem);
});
