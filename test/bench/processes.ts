/** What the kernel says of processes: CPU time spent, memory held. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Kubernetes runs on. */
const ticksPerSecond = 100;

/** User and system time of a process and all its threads, in seconds; 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  return secondsIn(read(`/proc/${pid}/stat`));
}

function secondsIn(stat: string): number {
  if (stat === "") return 0;
  // The second field is the command in parentheses, and may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The same by name of thread: who of the runtime's own (JavaScript, HTTP client, garbage collector, compiler) spent it. */
export function cpuSecondsByThread(pid: number): ReadonlyMap<string, number> {
  const seconds = new Map<string, number>();
  for (const thread of threadsOf(pid)) {
    const name = read(`/proc/${pid}/task/${thread}/comm`).trim();
    seconds.set(name, (seconds.get(name) ?? 0) + secondsIn(read(`/proc/${pid}/task/${thread}/stat`)));
  }
  return seconds;
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

/** How long the first thread, which runs the JavaScript, was ready to run and others had the cores, in seconds. */
export function heldUpSeconds(pid: number): number {
  return Number(read(`/proc/${pid}/schedstat`).split(" ")[1] ?? 0) / 1e9;
}

/** Resident memory now and at its highest since the last `forgetPeak`, in MiB. */
export function memoryMiB(pid: number): { readonly now: number; readonly peak: number } {
  const status = read(`/proc/${pid}/status`);
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) / 1024;
  return { now: field("VmRSS"), peak: field("VmHWM") };
}

/** The highest memory is counted from now on. */
export function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // Not permitted everywhere: then the peak is that of the whole life of the process.
  }
}

/** What the machine is, for the head of a report. */
export function machineText(): string {
  const model = /model name\s*:\s*(.+)/.exec(read("/proc/cpuinfo"))?.[1] ?? "unknown CPU";
  const cores = (read("/proc/cpuinfo").match(/^processor\s*:/gm) ?? []).length;
  const memoryGiB = Number(/MemTotal:\s+(\d+) kB/.exec(read("/proc/meminfo"))?.[1] ?? 0) / 1024 / 1024;
  return `${cores} × ${model}, ${memoryGiB.toFixed(0)} GiB, Linux ${read("/proc/sys/kernel/osrelease").trim()}`;
}

/** Load average of the last minute. */
export function load(): number {
  return Number(read("/proc/loadavg").split(" ")[0]);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
