/** The workflows of CI and release, as far as that goes without the runners: their form, and that whatever they decide is decided in scripts. */
import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import packageJson from "../../package.json";
import { binary } from "../rig/binaries.ts";
import { run } from "../rig/process.ts";

const root = join(import.meta.dir, "../..");
const dir = join(root, ".github/workflows");
const files = readdirSync(dir);

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, string>;
}
const stepsOf = (file: string): Step[] => {
  const { jobs } = parse(readFileSync(join(dir, file), "utf8")) as { jobs: Record<string, { steps?: Step[] }> };
  return Object.values(jobs).flatMap(({ steps = [] }) => steps);
};

test("actionlint has nothing to say", async () => {
  // The shell is in scripts; whether shellcheck is installed makes no difference.
  const told = await run([await binary("actionlint"), "-shellcheck=", "-pyflakes=", ...files.map((file) => join(dir, file))], {
    cwd: root,
  });
  expect(told).toMatchObject({ code: 0, stdout: "", stderr: "" });
}, 600_000);

test.each(files)("%s: each step is a script, or gets what scripts need", (file) => {
  for (const { run: command } of stepsOf(file)) {
    if (command === undefined) continue;
    const script = /^(?:bun |\.\/)(scripts\/\S+)[^&|;\n]*$/.exec(command)?.[1];
    if (script === undefined) expect(command).toMatch(preparations);
    else expect({ script, there: existsSync(join(root, script)) }).toEqual({ script, there: true });
  }
});
const preparations =
  /^(bun install --frozen-lockfile|bun run build --all|git config --global --add safe\.directory \S+|(sudo )?apt-get update && (sudo )?apt-get install -y [\w -]+)$/;

test("one version of Bun everywhere", () => {
  const { bun } = packageJson.devDependencies;
  expect(readFileSync(join(root, "scripts/setup.sh"), "utf8")).toContain(`bun_version=${bun}\n`);
  const setups = files.flatMap(stepsOf).filter(({ uses }) => uses?.startsWith("oven-sh/setup-bun@"));
  expect(setups.map((step) => step.with)).toEqual([{ "bun-version": bun }]);
});

/** Runs one of the repository's scripts with programs in front of PATH that only write down how they were called, and with what input. */
async function called(argv: readonly string[], programs: readonly string[], env: Record<string, string> = {}) {
  const bin = mkdtempSync(join(tmpdir(), "kruiser-called-"));
  try {
    const log = join(bin, "log");
    writeFileSync(log, "");
    for (const program of programs) {
      const path = join(bin, program);
      writeFileSync(path, `#!/bin/sh\necho "$(basename "$0") $*: $(cat | head -c 200)" >>"${log}"\n`);
      chmodSync(path, 0o755);
    }
    const { code, stderr } = await run(argv, { cwd: root, env: { ...env, PATH: `${bin}:${process.env["PATH"]}` } });
    return { code, stderr, calls: readFileSync(log, "utf8") };
  } finally {
    rmSync(bin, { recursive: true });
  }
}

test("registry-login: by standard input, for each of the tools", async () => {
  const { code, calls } = await called(["./scripts/registry-login", "registry.example"], ["skopeo", "helm", "cosign"], {
    ACTOR: "me",
    TOKEN: "t0ken",
  });
  expect(code).toBe(0);
  expect(calls.trim().split("\n")).toEqual(
    ["skopeo", "helm registry", "cosign"].map((tool) => `${tool} login registry.example --username me --password-stdin: t0ken`),
  );
});

test("draft-release: with what the changelog says; without a section nothing is drafted", async () => {
  const version = /^## \[(\d+\.\d+\.\d+)\]/m.exec(readFileSync(join(root, "CHANGELOG.md"), "utf8"))?.[1];
  if (version !== undefined) {
    const { code, calls } = await called(["./scripts/draft-release", `v${version}`], ["gh"]);
    expect(code).toBe(0);
    expect(calls).toStartWith(`gh release create v${version} --draft --verify-tag --title v${version} --notes-file - dist/`);
  }
  const none = await called(["./scripts/draft-release", "v999.0.0"], ["gh"]);
  expect(none).toMatchObject({ code: 1, calls: "", stderr: expect.stringContaining("no section for v999.0.0") });
});

test("check-release: another tag is refused, and everything that is not ready is told", async () => {
  const { code, stderr } = await run([process.execPath, "scripts/check-release.ts", "v999.0.0"], { cwd: root });
  expect(code).toBe(1);
  expect(stderr).toContain(`the tag is "v999.0.0", and package.json says ${packageJson.version}`);
});
