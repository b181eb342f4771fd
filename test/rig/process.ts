/** Child processes of the rig: long-running ones with a log file and an orderly end, short ones with captured output, and free ports. */
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";

export interface ProcessOptions {
  readonly name: string;
  readonly argv: readonly string[];
  readonly logPath: string;
  /** Added to this process's own environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export interface Process {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  /** Exit code; 128 + n when it ended by signal n. */
  readonly exited: Promise<number>;
  running(): boolean;
  /** SIGTERM, then SIGKILL after `graceMs`. Done when the process is gone. Stopping twice is fine. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL: a crash. */
  kill(): Promise<void>;
  /** The end of its log, for failure messages. */
  tail(lines?: number): string;
}

const setpriv = Bun.which("setpriv");

/** A child that cannot outlive the rig, even one that was killed: the kernel ends it with its parent. */
function tied(argv: readonly string[]): string[] {
  return setpriv ? [setpriv, "--pdeathsig", "KILL", "--", ...argv] : [...argv];
}

/** Starts a long-running child; its output is appended to `logPath`. */
export function startProcess(options: ProcessOptions): Process {
  mkdirSync(dirname(options.logPath), { recursive: true });
  const log = openSync(options.logPath, "a");
  const child = Bun.spawn(tied(options.argv), {
    stdin: "ignore",
    stdout: log,
    stderr: log,
    env: childEnv(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  closeSync(log);
  // The rig waits for its children where it stops them; a forgotten one must not keep a test process alive.
  child.unref();
  const running = () => child.exitCode === null && child.signalCode === null;
  const end = async (graceMs: number) => {
    if (!running()) return;
    child.ref();
    if (graceMs > 0) {
      child.kill("SIGTERM");
      if (await within(child.exited, graceMs)) return;
    }
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    name: options.name,
    pid: child.pid,
    logPath: options.logPath,
    exited: child.exited,
    running,
    stop: (graceMs = 5_000) => end(graceMs),
    kill: () => end(0),
    tail: (lines = 20) => tailOf(options.logPath, lines),
  };
}

/** The last lines of a log file; empty when there is none. */
export function tailOf(path: string, lines: number): string {
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return "";
  }
}

async function within(done: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const result = await Promise.race([done.then(() => true), late]);
  clearTimeout(timer);
  return result;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Killed after this long. Default 60,000. */
  readonly timeoutMs?: number;
}

/** Runs a command to its end and captures what it printed. A failing command is an answer, not an exception. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = Bun.spawn(tied(argv), {
    stdin: options.stdin === undefined ? "ignore" : new TextEncoder().encode(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: childEnv(options.env),
    timeout: options.timeoutMs ?? 60_000,
    killSignal: "SIGKILL",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const [stdout, stderr, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  return { code, stdout, stderr };
}

/** Like `run`, for commands that have to succeed. @throws Error with the command and its standard error */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(argv, options);
  if (ran.code !== 0) throw new Error(`${argv.join(" ")} ended with ${ran.code}: ${(ran.stderr || ran.stdout).trim().slice(-4_000)}`);
  return ran.stdout;
}

function childEnv(extra: Readonly<Record<string, string | undefined>> = {}): Record<string, string> {
  // A proxy of the machine must not see what stays on loopback.
  const merged: Record<string, string | undefined> = {
    ...process.env,
    NO_PROXY: "127.0.0.1,localhost",
    no_proxy: "127.0.0.1,localhost",
    ...extra,
  };
  return Object.fromEntries(Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Below the range that the kernel hands to outgoing connections, so that a port stays free while its server restarts. */
const portMin = 20_000;
const portMax = 32_000;
const triesMax = 200;

/** A loopback TCP port nobody listens on. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < triesMax; tries++) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (handedOut.has(port) || !(await canListen(port))) continue;
    handedOut.add(port);
    return port;
  }
  throw new Error(`no free port between ${portMin} and ${portMax} after ${triesMax} tries`);
}

const handedOut = new Set<number>();

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(true)));
  });
}
