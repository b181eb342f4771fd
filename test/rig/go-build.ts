/** Building the rig's programs from Go modules, for machines that reach a module proxy but not the download sites. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { must } from "./process.ts";

const buildTimeoutMs = 40 * 60_000;
const env = { CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false" };

function go(): string[] {
  const path = Bun.which("go");
  if (!path) throw new Error("no `go` on PATH: install Go 1.24 or newer (https://go.dev/doc/install), or provide the program yourself");
  const nice = Bun.which("nice");
  return nice ? [nice, "-n", "10", path] : [path];
}

/** Through the module proxy, or from the cache. */
export async function moduleInfo(module: string, version: string): Promise<{ readonly Dir: string; readonly GoMod: string }> {
  return JSON.parse(await must([...go(), "mod", "download", "-json", `${module}@${version}`], { env, timeoutMs: buildTimeoutMs }));
}

const commands = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"] as const;

/**
 * `k8s.io/kubernetes` cannot be a plain requirement: its own go.mod replaces its staging modules by folders. A scratch module replaces each of them by
 * the published module of the same release (v1.34.4 goes with v0.34.4).
 */
export async function buildKubernetes(dir: string, version: string, name: string, target: string): Promise<void> {
  mkdirSync(dir, { recursive: true });
  if (!existsSync(join(dir, "go.sum"))) {
    const info = await moduleInfo("k8s.io/kubernetes", version);
    const upstream = readFileSync(info.GoMod, "utf8");
    const staging = [...upstream.matchAll(/^\s*(?:replace )?(k8s\.io\/[a-z0-9-]+) => \.\/staging\//gm)].map((match) => match[1]);
    const goVersion = upstream.match(/^go (.*)$/m)?.[1] ?? "1.24.0";
    const libraryVersion = version.replace("v1.", "v0.");
    const replaces = staging.map((module) => `\t${module} => ${module} ${libraryVersion}`);
    writeFileSync(
      join(dir, "go.mod"),
      `module kruiser.test/rig\n\ngo ${goVersion}\n\nrequire k8s.io/kubernetes ${version}\n\nreplace (\n${replaces.join("\n")}\n)\n`,
    );
    const imports = commands.map((command) => `\t_ "k8s.io/kubernetes/cmd/${command}"`);
    writeFileSync(join(dir, "tools.go"), `//go:build tools\n\npackage tools\n\nimport (\n${imports.join("\n")}\n)\n`);
    await must([...go(), "mod", "tidy", "-e"], { cwd: dir, env, timeoutMs: buildTimeoutMs });
  }
  // Without these the server reports v0.0.0, and clients that look at the version take it for an ancient one.
  const [, major, minor] = version.match(/^v(\d+)\.(\d+)\./) ?? [];
  const stamp = { gitVersion: version, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(stamp).map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`);
  await must([...go(), "build", "-trimpath", "-ldflags", `-s -w ${flags.join(" ")}`, "-o", target, `k8s.io/kubernetes/cmd/${name}`], {
    cwd: dir,
    env,
    timeoutMs: buildTimeoutMs,
  });
}

export async function buildEtcd(dir: string, version: string, target: string): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const options = { cwd: dir, env, timeoutMs: buildTimeoutMs };
  if (!existsSync(join(dir, "go.mod"))) await must([...go(), "mod", "init", "kruiser.test/etcd"], options);
  await must([...go(), "get", `go.etcd.io/etcd/server/v3@${version}`], options);
  await must([...go(), "build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-o", target, "go.etcd.io/etcd/server/v3"], options);
}

/** kwok's go.mod replaces nothing, but its module lacks some sums: it is built in a writable copy that may add them. */
export async function buildKwok(dir: string, version: string, target: string): Promise<void> {
  const info = await moduleInfo("sigs.k8s.io/kwok", version);
  rmSync(dir, { recursive: true, force: true });
  cpSync(info.Dir, dir, { recursive: true });
  await must(["chmod", "-R", "u+w", dir]);
  await must([...go(), "build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-o", target, "./cmd/kwok"], {
    cwd: dir,
    env,
    timeoutMs: buildTimeoutMs,
  });
}

/** A command whose module needs nothing special: `go install` as any user would, into a folder of its own. */
export async function buildCommand(command: string, version: string, target: string, ldflags = ""): Promise<void> {
  const bin = `${target}.gobin`;
  mkdirSync(bin, { recursive: true });
  const flags = ["-trimpath", "-ldflags", `-s -w ${ldflags}`.trim()];
  await must([...go(), "install", ...flags, `${command}@${version}`], { env: { ...env, GOBIN: bin }, timeoutMs: buildTimeoutMs });
  renameSync(join(bin, basename(command)), target);
  rmSync(bin, { recursive: true });
}
