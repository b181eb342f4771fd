/** Links of Markdown files that lead into the repository: each must lead somewhere, its anchor included. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** @param root of the repository. @param files paths from there. @returns one line for each link that leads nowhere */
export function brokenLinks(root: string, files: readonly string[]): string[] {
  const anchors = new Map<string, ReadonlySet<string>>();
  const anchorsOf = (path: string) => {
    const known = anchors.get(path) ?? anchorsIn(readFileSync(join(root, path), "utf8"));
    anchors.set(path, known);
    return known;
  };
  return files.flatMap((file) =>
    linksIn(readFileSync(join(root, file), "utf8")).flatMap(({ line, target }) => {
      if (/^[a-z][a-z+.-]*:/i.test(target)) return [];
      const [path = "", anchor] = target.split("#");
      const found = path === "" ? file : normalize(join(dirname(file), decodeURI(path)));
      const at = `${file}:${line}: ${target}`;
      if (found.startsWith("..") || !existsSync(join(root, found))) return [`${at} leads nowhere`];
      if (anchor === undefined || !found.endsWith(".md") || statSync(join(root, found)).isDirectory()) return [];
      return anchorsOf(found).has(anchor) ? [] : [`${at}: ${found} has no heading #${anchor}`];
    }),
  );
}

export function linksIn(text: string): { line: number; target: string }[] {
  return proseLines(text).flatMap(({ line, prose }) =>
    [...prose.replace(/`[^`]*`/g, "").matchAll(/\]\(([^()\s]+(?:\([^()]*\))?)(?:\s+"[^"]*")?\)/g)].map((match) => ({
      line,
      target: match[1] ?? "",
    })),
  );
}

/** As GitHub makes them: lower case, words joined by hyphens, doubles numbered. */
export function anchorsIn(text: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const { prose } of proseLines(text)) {
    const title = /^#{1,6}\s+(.*?)\s*#*$/.exec(prose)?.[1];
    if (title === undefined) continue;
    const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*]/g, "");
    const base = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-");
    let anchor = base;
    for (let twice = 1; anchors.has(anchor); twice += 1) anchor = `${base}-${twice}`;
    anchors.add(anchor);
  }
  return anchors;
}

function proseLines(text: string): { line: number; prose: string }[] {
  let fence: string | undefined;
  return text.split("\n").flatMap((prose, index) => {
    const mark = /^\s*(```+|~~~+)/.exec(prose)?.[1];
    if (fence === undefined && mark) fence = mark;
    else if (fence !== undefined && mark?.startsWith(fence)) {
      fence = undefined;
      return [];
    }
    return fence === undefined ? [{ line: index + 1, prose }] : [];
  });
}
