import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { anchorsIn, brokenLinks, linksIn } from "./links.ts";

test("links are found outside of code only", () => {
  expect(linksIn('see [a](a.md) and [b](b.md#x "title")\n```\n[c](c.md)\n```\n`[d](d.md)`\n![e](e.png)')).toEqual([
    { line: 1, target: "a.md" },
    { line: 1, target: "b.md#x" },
    { line: 6, target: "e.png" },
  ]);
});

test("anchors are those of GitHub", () => {
  expect([...anchorsIn("# A `b` c!\n## A b c\n## [L](x.md) & more")]).toEqual(["a-b-c", "a-b-c-1", "l--more"]);
});

test("what leads nowhere is said with its place", () => {
  const root = mkdtempSync(join(tmpdir(), "links-"));
  try {
    mkdirSync(join(root, "docs"));
    writeFileSync(
      join(root, "README.md"),
      "[d](docs/a.md#here) [e](docs/a.md#gone)\n[f](docs) [g](https://example.org/x) [h](#top)\n# Top\n",
    );
    writeFileSync(join(root, "docs/a.md"), "# Here\n[up](../README.md) [out](../../etc) [no](b.md)\n");
    expect(brokenLinks(root, ["README.md", "docs/a.md"])).toEqual([
      "README.md:1: docs/a.md#gone: docs/a.md has no heading #gone",
      "docs/a.md:2: ../../etc leads nowhere",
      "docs/a.md:2: b.md leads nowhere",
    ]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
