/**
 * Taking a node off the machine, from what its `node.json` says: also for a node whose rig was killed. Processes are ended by id, and only those that
 * belong to the node: members of its cgroup, and shims that serve its containerd.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { exists } from "./lock.ts";
import { run } from "./process.ts";
import { waitFor } from "./wait.ts";

/** What a node put on the machine outside its own directory. Written before any of it is made. */
export interface NodeTraces {
  readonly name: string;
  readonly dir: string;
  /** The rig's process. */
  readonly ownerPid: number;
  readonly containerdAddress: string;
  readonly bridge: string;
  readonly cgroup: string;
}

/** Whole or not at all: other rigs look for nodes whose owner is gone. */
export function writeTraces(traces: NodeTraces): void {
  const path = join(traces.dir, "node.json");
  writeFileSync(`${path}.part`, JSON.stringify(traces));
  renameSync(`${path}.part`, path);
}

const cgroupRoot = "/sys/fs/cgroup";
const stopTimeoutMs = 20_000;

export async function cleanNode(traces: NodeTraces): Promise<void> {
  // Shims first: with them gone nobody restarts or reports a container while it is taken down.
  for (const pid of [...daemonsOf(traces), ...shimsOf(traces)]) end(pid);
  await waitFor(
    `the containers of ${traces.name} to end`,
    () => {
      const members = cgroupDirs(traces.cgroup).flatMap(membersOf);
      for (const pid of members) end(pid);
      return members.length === 0 && shimsOf(traces).length === 0;
    },
    { timeoutMs: stopTimeoutMs, intervalMs: 50 },
  );
  forgetTasks(traces);
  await forgetNetwork(traces);
  await waitFor(
    `the mounts below ${traces.dir} to go`,
    async () => {
      const mounts = mountsBelow(traces.dir);
      // The deepest first, so that nothing is busy because of what is mounted in it.
      for (const mount of mounts.reverse()) await run(["umount", "-l", mount]);
      return mountsBelow(traces.dir).length === 0;
    },
    { timeoutMs: stopTimeoutMs },
  );
  await removeCgroups(traces.cgroup, traces.name);
  dropLogLinks(traces.dir);
  rmSync(traces.dir, { recursive: true, force: true });
}

/** Every node of this state directory, as far as its rig has not taken it away. */
export async function cleanNodes(stateDir: string): Promise<void> {
  for (const traces of tracesIn(stateDir)) await cleanNode(traces);
}

/** Nodes of rigs that were killed: state directories in the system's temporary directory whose owner is gone. */
export async function cleanAbandoned(): Promise<void> {
  for (const entry of readdirSync(tmpdir())) {
    if (!entry.startsWith("kruiser-rig-")) continue;
    const abandoned = tracesIn(join(tmpdir(), entry)).filter((traces) => !exists(traces.ownerPid));
    for (const traces of abandoned) await cleanNode(traces);
    if (abandoned.length > 0) rmSync(join(tmpdir(), entry), { recursive: true, force: true });
  }
}

function tracesIn(stateDir: string): NodeTraces[] {
  // One that is taken away at this moment reads as nothing.
  const texts = subdirectories(join(stateDir, "nodes")).map((dir) => read(join(dir, "node.json")));
  return texts.filter((text) => text !== "").map((text) => JSON.parse(text) as NodeTraces);
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

function processes(): { readonly pid: number; readonly argv: readonly string[] }[] {
  const pids = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  return pids.map((pid) => ({ pid: Number(pid), argv: read(`/proc/${pid}/cmdline`).split("\0") }));
}

export function shimsOf(traces: Pick<NodeTraces, "containerdAddress">): number[] {
  return processes()
    .filter(({ argv }) => argv[0]?.includes("containerd-shim") && argv.includes(traces.containerdAddress))
    .map(({ pid }) => pid);
}

/** containerd and kubelet name files of the node in their arguments. */
function daemonsOf(traces: NodeTraces): number[] {
  return processes()
    .filter(({ argv }) => /(^|\/)(containerd|kubelet)$/.test(argv[0] ?? "") && argv.some((argument) => argument.includes(`${traces.dir}/`)))
    .map(({ pid }) => pid);
}

export function mountsBelow(dir: string): string[] {
  return read("/proc/self/mountinfo")
    .split("\n")
    .map((line) => (line.split(" ")[4] ?? "").replaceAll("\\040", " "))
    .filter((mount) => mount.startsWith(`${dir}/`));
}

/** The node's cgroup in every hierarchy (one with cgroup v2), each with all below it, parents first. */
function cgroupDirs(cgroup: string): string[] {
  const name = cgroup.replace(/^\//, "");
  const roots = existsSync(join(cgroupRoot, "cgroup.controllers"))
    ? [cgroupRoot]
    : readdirSync(cgroupRoot).map((entry) => join(cgroupRoot, entry));
  const below = (dir: string): string[] => [dir, ...subdirectories(dir).flatMap(below)];
  return [...new Set(roots.map((root) => join(root, name)))].filter((dir) => existsSync(dir)).flatMap(below);
}

/** cgroup v1 hierarchies that containers are put into. */
export function cgroupHierarchies(): string[] {
  if (existsSync(join(cgroupRoot, "cgroup.controllers"))) return [cgroupRoot];
  return readdirSync(cgroupRoot)
    .map((entry) => join(cgroupRoot, entry))
    .filter(
      (dir) => !lstatSync(dir).isSymbolicLink() && existsSync(join(dir, "cgroup.procs")) && !existsSync(join(dir, "cgroup.controllers")),
    );
}

function subdirectories(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(dir, entry.name));
  } catch {
    return [];
  }
}

function membersOf(dir: string): number[] {
  return read(join(dir, "cgroup.procs"))
    .split("\n")
    .filter((line) => line !== "")
    .map(Number);
}

async function removeCgroups(cgroup: string, name: string): Promise<void> {
  await waitFor(
    `the cgroups of ${name} to go`,
    () => {
      for (const dir of cgroupDirs(cgroup).reverse()) {
        try {
          rmdirSync(dir);
        } catch {
          // A process in it is still on its way out: the next round gets it.
        }
      }
      return cgroupDirs(cgroup).length === 0;
    },
    { timeoutMs: stopTimeoutMs },
  );
}

const cniResults = "/var/lib/cni/results";

/** The sockets of its shims, and the notes of the loopback plugin, which calls every network by the same name. */
function forgetTasks(traces: NodeTraces): void {
  const tasks = join(traces.dir, "containerd-state", "io.containerd.runtime.v2.task", "k8s.io");
  for (const id of subdirectories(tasks).map((path) => basename(path))) {
    const socket = read(join(tasks, id, "address"))
      .trim()
      .replace("unix://", "");
    if (socket.startsWith("/run/containerd/s/")) rmSync(socket, { force: true });
    rmSync(join(cniResults, `cni-loopback-${id}-lo`), { force: true });
  }
}

/** Network namespaces, the plugins' notes about them, port mappings and the bridge. */
async function forgetNetwork(traces: NodeTraces): Promise<void> {
  const notes = existsSync(cniResults) ? readdirSync(cniResults).filter((file) => file.startsWith(`${traces.bridge}-`)) : [];
  for (const note of notes) {
    const netns = read(join(cniResults, note)).match(/"netns":"([^"]+)"/)?.[1];
    if (netns) {
      await run(["umount", "-l", netns]);
      rmSync(netns, { force: true });
    }
    rmSync(join(cniResults, note), { force: true });
  }
  if (existsSync(`/sys/class/net/${traces.bridge}`)) await run(["ip", "link", "delete", traces.bridge]);
}

/** The kubelet links container logs in one fixed directory of the machine, where other nodes' links come and go. */
function dropLogLinks(dir: string): void {
  const links = "/var/log/containers";
  if (!existsSync(links)) return;
  for (const entry of readdirSync(links)) {
    const path = join(links, entry);
    if (linkTarget(path)?.startsWith(`${dir}/`)) rmSync(path, { force: true });
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
