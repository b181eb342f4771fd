/**
 * Bun itself, for each machine that is built for: the package that bun.lock names, checked against the checksum that bun.lock holds, so
 * that a release contains the very runtime that was reviewed.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Locked, readLock } from "../lib/lockfile.ts";
import type { Target } from "./targets.ts";

const root = join(import.meta.dir, "../..");

/** @returns the path of the runtime's executable. @throws Error when it cannot be had, or is not the one of the lock file */
export function runtimeFor(target: Target): string {
  const locked = lockedRuntime(target);
  const dir = join(root, ".kruiser", "runtimes", `${target.name}-${locked.version}`);
  const executable = join(dir, "node_modules", target.runtime, "bin", target.os === "windows" ? "bun.exe" : "bun");
  if (existsSync(join(dir, "checked")) && existsSync(executable)) return executable;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "package.json"), JSON.stringify({ name: "runtime", dependencies: { [target.runtime]: locked.version } }));
  const { os, cpu, libc } = target.npm;
  const install = Bun.spawnSync(
    [
      process.execPath,
      "install",
      "--ignore-scripts",
      "--silent",
      "--save-text-lockfile",
      `--os=${os}`,
      `--cpu=${cpu}`,
      ...(libc ? [`--libc=${libc}`] : []),
    ],
    {
      cwd: dir,
      stderr: "pipe",
    },
  );
  if (!install.success) throw new Error(`${target.runtime}@${locked.version} could not be installed: ${install.stderr.toString().trim()}`);
  const got = readLock(join(dir, "bun.lock")).get(target.runtime);
  if (got?.integrity !== locked.integrity)
    throw new Error(`${target.runtime}@${locked.version}: checksum is ${got?.integrity}, bun.lock says ${locked.integrity}`);
  if (!existsSync(executable)) throw new Error(`${target.runtime}@${locked.version} holds no ${executable.slice(dir.length + 1)}`);
  writeFileSync(join(dir, "checked"), locked.integrity);
  return executable;
}

export function lockedRuntime(target: Target): Locked & { readonly integrity: string } {
  const locked = readLock(join(root, "bun.lock")).get(target.runtime);
  if (locked?.integrity === undefined)
    throw new Error(`bun.lock does not name ${target.runtime}: is "bun" still a development dependency?`);
  return { ...locked, integrity: locked.integrity };
}
