/** Collects the licences of everything in the binary into `dist/licenses`, which the image carries as /licenses. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json";
import { bundledPackages } from "./release/bundled.ts";
import { runtimeComponents } from "./release/runtime-components.ts";

const root = join(import.meta.dir, "..");
const out = join(root, "dist", "licenses");
const packages = bundledPackages(join(root, "dist", "kruise.meta.json"));

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
copyFileSync(join(root, "LICENSE"), join(out, "LICENSE"));
const rule = "=".repeat(80);
const sections = packages.map(
  ({ name, version, license, texts }) =>
    `${rule}\n${name} ${version} (${license})\n${rule}\n\n${texts.map(({ file, text }) => `--- ${file}\n\n${text}\n`).join("\n")}`,
);
const overview = packages.map(({ name, version, license }) => `${name} ${version}: ${license}`);
writeFileSync(
  join(out, "THIRD-PARTY.txt"),
  `Kruiser ${packageJson.version} contains these packages:\n\n${overview.join("\n")}\n\n` +
    `and Bun ${packageJson.devDependencies.bun}, whose parts are:\n\n${runtimeComponents.map(({ name, license }) => `${name}: ${license}`).join("\n")}\n\n${sections.join("\n")}`,
);
const licences = new Set(packages.map(({ license }) => license));
console.log(
  `dist/licenses: ${packages.length} packages under ${[...licences].sort().join(", ")}; ${readFileSync(join(out, "THIRD-PARTY.txt")).length} bytes`,
);
