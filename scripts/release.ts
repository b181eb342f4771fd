/**
 * Gathers what a release consists of in `dist/release`, from what scripts/build.ts, scripts/licences.ts and scripts/image.ts have made:
 * the chart, bills of materials (SPDX, CycloneDX) of each binary and image, provenance (SLSA v1), checksums.
 *
 *   bun run build --all && bun scripts/licences.ts && bun scripts/image.ts --base=… && bun scripts/release.ts
 *   --image=dist/image   --targets=linux-amd64,linux-arm64   --out=dist/release
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { epochOf, stampOf } from "./build/stamp.ts";
import { fileOf, type Target, targetNamed, targets } from "./build/targets.ts";
import { must } from "./image/command.ts";
import { imageFacts } from "./image/layout.ts";
import { binaryInventory, imageInventory } from "./release/inventory.ts";
import { slsaPredicate, statement } from "./release/provenance.ts";
import { cycloneDx, spdx } from "./release/sbom.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    image: { type: "string", default: "dist/image" },
    targets: { type: "string", default: targets.map(({ name }) => name).join(",") },
    out: { type: "string", default: "dist/release" },
  },
});
const chosen = values.targets.split(",").map(targetNamed);
const stamp = stampOf();
const created = new Date(epochOf(stamp) * 1000).toISOString();
const out = join(root, values.out);
const layout = join(root, values.image);
const metafile = join(root, "dist", "kruise.meta.json");
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const binaries = chosen.map((target) => ({ target, sha256: sha256Of(join(root, "dist", fileOf(target))) }));
const write = (name: string, value: object) => writeFileSync(join(out, name), `${JSON.stringify(value, null, 2)}\n`);
const boms = (name: string, inventory: Parameters<typeof spdx>[0]) => {
  write(`${name}.spdx.json`, spdx(inventory, created));
  write(`${name}.cdx.json`, cycloneDx(inventory, created));
};
for (const { target, sha256 } of binaries) boms(`kruise-${target.name}`, binaryInventory(metafile, target, sha256));

let base: string | undefined;
if (existsSync(layout)) {
  for (const platform of imageFacts(layout).platforms) {
    base = platform.config.config.Labels?.["org.opencontainers.image.base.name"] ?? base;
    const target: Target = targetNamed(`linux-${platform.architecture}`);
    const sha256 = sha256Of(join(root, "dist", fileOf(target)));
    boms(`image-${platform.architecture}`, imageInventory(binaryInventory(metafile, target, sha256), layout, platform));
  }
}
const predicate = slsaPredicate(stamp, chosen, base);
write("provenance.predicate.json", predicate);
write(
  "provenance.intoto.json",
  statement(
    binaries.map(({ target, sha256 }) => ({ name: fileOf(target), digest: { sha256 } })),
    predicate,
  ),
);

// With fixed times and owners, so that two releases of one commit hold the same chart.
const chart = `kruise-${stamp.version}.tgz`;
const entries = ["--sort=name", `--mtime=@${epochOf(stamp)}`, "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rw,go=rX"];
await must([
  "tar",
  ...entries,
  "--transform=s,^\\.,kruise,",
  "--use-compress-program=gzip -n",
  "-cf",
  join(out, chart),
  "-C",
  join(root, "deploy/chart"),
  ".",
]);

const sums = [
  ...binaries.map(({ target, sha256 }) => `${sha256}  ${fileOf(target)}`),
  ...readdirSync(out)
    .sort()
    .map((name) => `${sha256Of(join(out, name))}  ${name}`),
];
writeFileSync(join(out, "SHA256SUMS"), `${sums.join("\n")}\n`);
console.log(`${values.out}: ${readdirSync(out).length} files for ${stamp.version}`);

function sha256Of(path: string): string {
  return new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
}
