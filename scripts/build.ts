/**
 * Builds `dist/kruise` for the machine it runs on (and `dist/kubectl-kruise`, the same file by another name).
 * `--target=bun-linux-arm64 --outfile=dist/kruise-linux-arm64` builds for another one.
 */
import { cpSync, linkSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import packageJson from "../package.json";

const option = (name: string) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const target = option("target");
const outfile = option("outfile") ?? "dist/kruise";

const git = (...args: string[]) => {
  const run = Bun.spawnSync(["git", ...args], { stderr: "ignore" });
  return run.success ? run.stdout.toString().trim() : "";
};
// The date is the commit's, so that two builds of one commit are the same file.
const version = process.env.KRUISE_VERSION ?? packageJson.version;
const commit = process.env.KRUISE_COMMIT ?? (git("rev-parse", "HEAD") || "unknown");
const date = process.env.KRUISE_DATE ?? (git("show", "-s", "--format=%cI", "HEAD") || "unknown");

mkdirSync(dirname(outfile), { recursive: true });
rmSync(outfile, { force: true });
const build = Bun.spawnSync(
  [
    process.execPath,
    "build",
    "--compile",
    "--minify-whitespace",
    "--minify-syntax",
    "--sourcemap=none",
    ...(target ? [`--target=${target}`] : []),
    `--define=KRUISE_VERSION=${JSON.stringify(version)}`,
    `--define=KRUISE_COMMIT=${JSON.stringify(commit)}`,
    `--define=KRUISE_DATE=${JSON.stringify(date)}`,
    `--outfile=${outfile}`,
    "src/main.ts",
  ],
  { stdout: "inherit", stderr: "inherit" },
);
if (!build.success) process.exit(1);

if (outfile === "dist/kruise") {
  const plugin = join("dist", "kubectl-kruise");
  rmSync(plugin, { force: true });
  try {
    linkSync(outfile, plugin);
  } catch {
    cpSync(outfile, plugin);
  }
}
console.log(`${outfile}: ${version} (${commit.slice(0, 12)}), ${(Bun.file(outfile).size / 1024 / 1024).toFixed(1)} MiB`);
