/** CHANGELOG.md in the form of Keep a Changelog 1.1.0. */
const kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
const heading = /^## \[(Unreleased|\d+\.\d+\.\d+(?:-[\w.]+)?)\](?: - (\d{4}-\d{2}-\d{2}))?$/;

/** What stands under a version's heading; undefined when there is none. */
export function sectionOf(text: string, version: string): string | undefined {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => heading.exec(line)?.[1] === version);
  if (start < 0) return undefined;
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith("## "));
  return lines
    .slice(start + 1, length < 0 ? undefined : start + 1 + length)
    .join("\n")
    .trim();
}

/** What is not in the form, each with its line. */
export function changelogProblems(text: string): string[] {
  const problems: string[] = [];
  const versions: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const at = `line ${index + 1}: `;
    if (line.startsWith("## ")) {
      const [, version, date] = heading.exec(line) ?? [];
      if (version === undefined) problems.push(`${at}a version's heading is "## [x.y.z] - YYYY-MM-DD" or "## [Unreleased]", not "${line}"`);
      else if (versions.includes(version)) problems.push(`${at}${version} is there twice`);
      else if ((version === "Unreleased") === (date !== undefined))
        problems.push(`${at}a released version has a date, and only a released one`);
      else if (version === "Unreleased" && versions.length > 0) problems.push(`${at}[Unreleased] comes first`);
      if (version) versions.push(version);
    } else if (line.startsWith("### ") && !kinds.includes(line.slice(4)))
      problems.push(`${at}"${line.slice(4)}" is none of ${kinds.join(", ")}`);
  }
  if (versions[0] !== "Unreleased") problems.push("there is no [Unreleased] at the top");
  return problems;
}
