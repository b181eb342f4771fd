/**
 * One tar for a site without network, from what scripts/publish.ts has published and scripts/release.ts has gathered.
 *
 *   ./scripts/bundle --image=ghcr.io/kruiser/kruise@sha256:… --key=cosign.key --public-key=cosign.pub
 *   --release=dist/release   --out=dist   --plain-http
 *
 * The list of checksums is signed with the key; `install` inside the bundle needs a shell, openssl, sha256sum, curl, and helm.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../package.json";
import { pushList, references } from "./airgap/push-list.ts";
import { epochOf, stampOf } from "./build/stamp.ts";
import { must } from "./image/command.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    image: { type: "string", default: "" },
    key: { type: "string", default: "" },
    "public-key": { type: "string", default: "" },
    release: { type: "string", default: "dist/release" },
    out: { type: "string", default: "dist" },
    "plain-http": { type: "boolean", default: false },
  },
});
const [, repository, digest] = /^(.+)@(sha256:[0-9a-f]{64})$/.exec(values.image) ?? [];
if (!repository || !digest || !values.key || !existsSync(values["public-key"])) {
  console.error("needed: --image=NAME@sha256:… as published, --key=FILE and --public-key=FILE of cosign");
  process.exit(2);
}

const cosign = process.env["COSIGN"] ?? "cosign";
const name = `kruise-bundle-${packageJson.version}`;
const dir = join(root, values.out, name);
rmSync(dir, { recursive: true, force: true });
mkdirSync(dir, { recursive: true });

// The image, and beside it what vouches for it, under the tags where cosign looks for it.
const layout = join(dir, "image");
const copy = (tag: string, from: string, all = false) =>
  must([
    "skopeo",
    "copy",
    ...(all ? ["--all"] : []),
    "--preserve-digests",
    ...(values["plain-http"] ? ["--src-tls-verify=false"] : []),
    `docker://${from}`,
    `oci:${layout}:${tag}`,
  ]);
const tag = `v${packageJson.version}`;
await copy(tag, `${repository}@${digest}`, true);
for (const { tag: companion, optional } of references(layout, tag)) {
  try {
    await copy(companion, `${repository}:${companion}`);
  } catch (error) {
    if (!optional) throw new Error(`${repository}:${companion} is missing: was the image signed? ${error}`);
  }
}
writeFileSync(join(dir, "push.txt"), pushList(layout));
writeFileSync(join(dir, "images.txt"), `${repository}:${tag}@${digest}\n`);

const release = join(root, values.release);
for (const file of readdirSync(release)) {
  const folder = file.endsWith(".tgz") ? "chart" : /\.(spdx|cdx|intoto)\.json$/.test(file) ? "sbom" : undefined;
  if (folder) cpSync(join(release, file), join(dir, folder, file));
}
cpSync(join(root, "crds"), join(dir, "crds"), { recursive: true });
cpSync(join(root, "LICENSE"), join(dir, "LICENSE"));
cpSync(values["public-key"], join(dir, "cosign.pub"));
cpSync(join(root, "scripts/airgap/install"), join(dir, "install"));
cpSync(join(root, "scripts/airgap/README.md"), join(dir, "README.md"));

const files = [...new Bun.Glob("**/*").scanSync({ cwd: dir, dot: true })].sort();
const sums = files.map((file) => `${new Bun.CryptoHasher("sha256").update(readFileSync(join(dir, file))).digest("hex")}  ${file}`);
writeFileSync(join(dir, "SHA256SUMS"), `${sums.join("\n")}\n`);
await must([
  cosign,
  "sign-blob",
  "--yes",
  "--tlog-upload=false",
  `--key=${values.key}`,
  `--output-signature=${dir}/SHA256SUMS.sig`,
  join(dir, "SHA256SUMS"),
]);

const archive = `${dir}.tar`;
await must([
  "tar",
  "--sort=name",
  `--mtime=@${epochOf(stampOf())}`,
  "--owner=0",
  "--group=0",
  "--numeric-owner",
  "-cf",
  archive,
  "-C",
  join(root, values.out),
  name,
]);
rmSync(dir, { recursive: true });
console.log(`${relative(root, archive)}: ${files.length + 2} files, ${(Bun.file(archive).size / 1e6).toFixed(1)} MB`);
