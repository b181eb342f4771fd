/**
 * `bun run build`           `dist/kruise` for this machine, and `dist/kubectl-kruise`, the same file by another name.
 * `bun run build --all`     `dist/kruise-<os>-<arch>` for every machine of scripts/build/targets.ts, and `dist/SHA256SUMS`.
 * `bun run build --target=linux-arm64,linux-arm64-musl`
 *
 * Builds of one commit with one version of Bun are the same bytes, on whatever machine they are made.
 */
import { cpSync, linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import packageJson from "../package.json";
import { compile } from "./build/compile.ts";
import { misfitOf } from "./build/executable.ts";
import { runtimeFor } from "./build/runtime.ts";
import { signedAdhoc } from "./build/sign-macho.ts";
import { stampOf } from "./build/stamp.ts";
import { fileOf, type Target, targetNamed, targets } from "./build/targets.ts";

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: { all: { type: "boolean", default: false }, target: { type: "string", default: "" }, dir: { type: "string", default: "dist" } },
});
const { dir } = values;
const stamp = stampOf();

const chosen: readonly Target[] = values.all ? targets : values.target.split(",").filter(Boolean).map(targetNamed);
if (chosen.length === 0) buildHere();
else if (Bun.version !== packageJson.devDependencies.bun)
  throw new Error(`this is Bun ${Bun.version}, and releases are made with ${packageJson.devDependencies.bun}: other bytes would come out`);
const sums = chosen.map(buildFor);
if (values.all) writeFileSync(`${dir}/SHA256SUMS`, `${sums.join("\n")}\n`);

function buildHere(): void {
  const outfile = `${dir}/kruise`;
  compile({ outfile, stamp, metafile: `${dir}/kruise.meta.json` });
  const plugin = `${dir}/kubectl-kruise`;
  rmSync(plugin, { force: true });
  try {
    linkSync(outfile, plugin);
  } catch {
    cpSync(outfile, plugin);
  }
  say(outfile);
}

/** @returns its line for SHA256SUMS */
function buildFor(target: Target): string {
  const file = fileOf(target);
  const outfile = `${dir}/${file}`;
  const bunTarget = target.runtime.replace("@oven/", "").replace("aarch64", "arm64");
  compile({ outfile, stamp, runtime: runtimeFor(target), target: bunTarget, metafile: `${dir}/kruise.meta.json` });
  const bytes = finished(target, outfile);
  say(outfile);
  return `${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}  ${file}`;
}

/** @returns what the file holds. @throws Error when it is no program for this machine */
function finished(target: Target, outfile: string): Uint8Array {
  let bytes: Uint8Array = readFileSync(outfile);
  let misfit = misfitOf(bytes, target);
  if (misfit !== undefined && target.os === "darwin") {
    bytes = signedAdhoc(bytes, "kruise");
    writeFileSync(outfile, bytes);
    misfit = misfitOf(bytes, target);
  }
  if (misfit !== undefined) throw new Error(`${outfile}, for ${target.name}: ${misfit}`);
  return bytes;
}

function say(outfile: string): void {
  const mebibytes = (Bun.file(outfile).size / 1024 / 1024).toFixed(1);
  console.log(`${outfile}: ${stamp.version} (${stamp.commit.slice(0, 12)}), ${mebibytes} MiB`);
}
