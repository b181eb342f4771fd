/**
 * bun run rig up [--nodes=0] [--kwok=3] [--state-dir=DIR] [--audit=FILE] [--detach]   a cluster until Ctrl-C, or in the background with --detach
 * bun run rig down [--state-dir=DIR]                                                  stops a detached one, and clears what a killed one left
 * bun run rig install [--node]                                                        only gets the programs
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { clusterBinaries, ensureBinaries, nodeBinaries, say } from "./binaries.ts";
import { startRig } from "./index.ts";
import { exists } from "./lock.ts";
import { tailOf } from "./process.ts";
import { GiveUp, messageOf, waitFor } from "./wait.ts";

const projectRoot = join(import.meta.dir, "../..");
const { values, positionals } = parseArgs({
  args: Bun.argv.slice(2),
  allowPositionals: true,
  options: {
    nodes: { type: "string", default: "0" },
    kwok: { type: "string", default: "3" },
    "state-dir": { type: "string", default: join(projectRoot, ".kruiser", "rig") },
    audit: { type: "string" },
    detach: { type: "boolean", default: false },
    node: { type: "boolean", default: false },
  },
});
const stateDir = resolve(values["state-dir"]);
const pidPath = join(stateDir, "rig.pid");
const readyPath = join(stateDir, "ready.json");

const detachTimeoutMs = 45 * 60_000;
const stopTimeoutMs = 120_000;

function count(flag: "nodes" | "kwok"): number {
  const number = Number(values[flag]);
  if (!Number.isInteger(number) || number < 0 || number > 5_000)
    throw new Error(`--${flag}=${values[flag]}: give a whole number from 0 to 5000`);
  return number;
}

/** The rig that runs in the state directory. Its number may meanwhile belong to another program, which must not be stopped. */
function ownerPid(): number | undefined {
  const pid = existsSync(pidPath) ? Number(readFileSync(pidPath, "utf8")) : 0;
  if (!(pid > 0 && exists(pid))) return undefined;
  const cmdline = `/proc/${pid}/cmdline`;
  return existsSync(cmdline) && !readFileSync(cmdline, "utf8").includes("rig/main.ts") ? undefined : pid;
}

async function up(): Promise<void> {
  const owner = ownerPid();
  if (owner !== undefined)
    throw new Error(`a rig runs already in ${stateDir} (process ${owner}): \`bun run rig down\` first, or choose another --state-dir`);
  await clear();
  mkdirSync(stateDir, { recursive: true });
  if (values.detach) return detach();
  writeFileSync(pidPath, String(process.pid));
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stopped.resolve());
  const rig = await startRig({
    kwokNodes: count("kwok"),
    realNodes: count("nodes"),
    stateDir,
    ...(values.audit === undefined ? {} : { audit: resolve(values.audit) }),
  });
  writeFileSync(readyPath, JSON.stringify({ pid: process.pid, kubeconfig: rig.kubeconfigPath, url: rig.url }));
  console.log(`KUBECONFIG=${rig.kubeconfigPath}`);
  say(
    `${rig.kwok.nodeNames.length} simulated and ${rig.nodes.length} real nodes at ${rig.url}; logs in ${join(stateDir, "logs")}; Ctrl-C ends it`,
  );
  const alive = setInterval(() => {}, 60_000);
  await stopped.promise;
  clearInterval(alive);
  say("stopping");
  await rig.stop();
  await clear();
}

/** Starts the same command without --detach in the background and waits until it is ready. */
async function detach(): Promise<void> {
  const logPath = join(stateDir, "rig.log");
  const setsid = Bun.which("setsid");
  const args = ["up", `--nodes=${values.nodes}`, `--kwok=${values.kwok}`, `--state-dir=${stateDir}`];
  if (values.audit !== undefined) args.push(`--audit=${resolve(values.audit)}`);
  const log = Bun.file(logPath);
  const child = Bun.spawn([...(setsid ? [setsid] : []), process.execPath, import.meta.path, ...args], {
    stdin: "ignore",
    stdout: log,
    stderr: log,
    cwd: projectRoot,
  });
  child.unref();
  await waitFor(
    "the rig to be ready",
    () => {
      if (child.exitCode !== null) throw new GiveUp(`the rig ended while starting; the end of ${logPath}:\n${tailOf(logPath, 30)}`);
      return existsSync(readyPath);
    },
    { timeoutMs: detachTimeoutMs, intervalMs: 200 },
  );
  const ready = JSON.parse(readFileSync(readyPath, "utf8")) as { kubeconfig: string };
  console.log(`KUBECONFIG=${ready.kubeconfig}`);
}

async function down(): Promise<void> {
  const owner = ownerPid();
  if (owner !== undefined) {
    process.kill(owner, "SIGTERM");
    await waitFor(`process ${owner} to end`, () => !exists(owner), { timeoutMs: stopTimeoutMs });
  }
  await clear();
}

/** Removes what a rig left in the state directory; for one that was killed, also what its nodes left on the machine. */
async function clear(): Promise<void> {
  if (!existsSync(stateDir)) return;
  if (existsSync(join(stateDir, "nodes"))) await (await import("./node-cleanup.ts")).cleanNodes(stateDir);
  // The log of a detached rig stays: it tells how it ended.
  for (const entry of [
    "etcd",
    "pki",
    "kubeconfigs",
    "nodes",
    "registry",
    "logs",
    "kubeconfig",
    "kwok.yaml",
    "scheduler.json",
    "audit-policy.json",
    "rig.pid",
    "ready.json",
  ])
    rmSync(join(stateDir, entry), { recursive: true, force: true });
}

async function install(): Promise<void> {
  const paths = await ensureBinaries(values.node ? [...clusterBinaries, ...nodeBinaries] : clusterBinaries);
  if (values.node) await (await import("./debian.ts")).ensureNodePackages();
  for (const [name, path] of paths) console.log(`${name}\t${path}`);
}

const verbs: Record<string, () => Promise<void>> = { up, down, install };
const verb = verbs[positionals[0] ?? ""];
try {
  if (!verb) throw new Error(`usage: bun run rig up|down|install; the options are described at the top of ${import.meta.path}`);
  await verb();
  process.exit(0);
} catch (error) {
  say(messageOf(error));
  process.exit(1);
}
