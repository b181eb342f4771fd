/**
 * Builds the image for all architectures into an OCI layout, `dist/image`, from `dist/kruise-linux-<arch>` (see scripts/build.ts).
 *
 *   bun scripts/image.ts --base=debian                                    on a base made from Debian's packages
 *   bun scripts/image.ts --base=gcr.io/distroless/base-debian12@sha256:…  on a distroless image
 *   --arch=amd64,arm64   --out=dist/image   --name=ghcr.io/kruiser/kruise:v0.1.0
 *
 * Built twice from the same binaries and base it is the same image: times are the commit's.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { epochOf, stampOf } from "./build/stamp.ts";
import { image as defaultName } from "./generate/workloads.ts";
import { type Architecture, buildah, buildahQuiet } from "./image/buildah.ts";
import { debianBase } from "./image/debian-base.ts";
import { imageFacts } from "./image/layout.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    base: { type: "string", default: "" },
    arch: { type: "string", default: "amd64,arm64" },
    out: { type: "string", default: "dist/image" },
    name: { type: "string", default: defaultName },
  },
});
if (values.base !== "debian" && !/@sha256:[0-9a-f]{64}$/.test(values.base)) {
  console.error("--base: give `debian`, or an image pinned by digest (NAME@sha256:…), so that a release says what it stands on");
  process.exit(2);
}
const architectures = values.arch.split(",") as Architecture[];
for (const needed of [...architectures.map((arch) => `dist/kruise-linux-${arch}`), "dist/licenses"])
  if (!existsSync(join(root, needed))) {
    console.error(
      `${needed} is missing: run \`bun run build --target=${architectures.map((arch) => `linux-${arch}`).join(",")}\` and \`bun scripts/licences.ts\``,
    );
    process.exit(2);
  }

const stamp = stampOf();
const epoch = epochOf(stamp);
const list = "localhost/kruise-image";
const out = join(root, values.out);
mkdirSync(join(root, ".kruiser"), { recursive: true });
rmSync(out, { recursive: true, force: true });
await buildahQuiet(["manifest", "rm", list]);
await buildah(["manifest", "create", list]);
for (const architecture of architectures) {
  const base = values.base === "debian" ? await debianBase(join(root, ".kruiser", "base"), architecture, epoch) : values.base;
  const facts = { BASE: base, VERSION: stamp.version, REVISION: stamp.commit, CREATED: new Date(epoch * 1000).toISOString() };
  await buildah(
    [
      "bud",
      "--quiet",
      "--isolation=chroot",
      `--platform=linux/${architecture}`,
      "--format=oci",
      "--squash=false",
      `--timestamp=${epoch}`,
      `--manifest=${list}`,
      "--file=Dockerfile.distroless",
      ...Object.entries(facts).map(([name, value]) => `--build-arg=${name}=${value}`),
      ".",
    ],
    root,
  );
}
await buildah(["manifest", "push", "--all", "--quiet", list, `oci:${out}:${values.name}`]);
await buildahQuiet(["manifest", "rm", list]);
await buildahQuiet(["rmi", "--all", "--force"]);
const facts = imageFacts(out);
for (const { architecture, digest, compressedBytes, contentBytes } of facts.platforms)
  console.log(`${architecture}: ${digest}, ${mega(compressedBytes)} MB to pull, ${mega(contentBytes)} MB on a node`);
console.log(`${values.name} in ${values.out}: ${facts.digest}`);

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
