/** The packages inside the binary: what the compiler says it bundled, with versions and checksums from bun.lock. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readLock } from "../lib/lockfile.ts";

export interface Bundled {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly license: string;
  /** "sha512-<base64>". */
  readonly integrity: string;
  /** Licence and notice files, by name. */
  readonly texts: readonly { readonly file: string; readonly text: string }[];
}

const root = join(import.meta.dir, "../..");

/**
 * @param metafile written by scripts/build.ts
 * @throws Error for a package that bun.lock does not pin or that says nothing of its licence: neither may be shipped
 */
export function bundledPackages(metafile: string): readonly Bundled[] {
  const { inputs } = JSON.parse(readFileSync(metafile, "utf8")) as { inputs: Record<string, unknown> };
  const lock = [...readLock(join(root, "bun.lock")).values()];
  const folders = new Set(Object.keys(inputs).flatMap((path) => /^(?:.*\/)?(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[0] ?? []));
  return [...folders].sort().map((folder) => {
    const dir = join(root, folder);
    const { name, version, license } = JSON.parse(readFileSync(join(dir, "package.json"), "utf8")) as Record<string, unknown>;
    const locked = lock.find((entry) => entry.name === name && entry.version === version);
    if (!locked?.integrity) throw new Error(`${folder} (${version}) is bundled, but bun.lock does not pin it: run \`bun install\``);
    const texts = licenceTexts(dir);
    if (typeof license !== "string" || texts.length === 0)
      throw new Error(`${folder}: no licence is named or enclosed, so it cannot be shipped`);
    return { name: String(name), version: String(version), license, integrity: locked.integrity, texts };
  });
}

function licenceTexts(dir: string): Bundled["texts"] {
  return readdirSync(dir)
    .filter((file) => /^(un)?licen[cs]e|^notice|^copying|^copyright/i.test(file) && existsSync(join(dir, file)))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(dir, file), "utf8").trim() }));
}
