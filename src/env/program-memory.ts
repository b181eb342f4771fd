/**
 * Keeps what the program itself takes of memory small. Its code is mapped from its file, 64 KiB around each place that runs, and stays: after a
 * start most of it is code that runs once. Given back, the part that is still needed comes again by itself, out of the system's file
 * cache, and costs less than a millisecond.
 */
import { FFIType } from "bun:ffi";
import { readFileSync, readlinkSync } from "node:fs";
import type { Env } from "./env.ts";
import { cFunctions } from "./libc.ts";

/** MADV_DONTNEED: see madvise(2). */
const dontNeed = 4;
const lookEveryMs = 10_000;

export interface Mapping {
  readonly from: bigint;
  readonly bytes: bigint;
}

/**
 * Gives the program's pages back now, and again when they have become many, until the process stops. Does nothing where the system cannot.
 * @param keptMiB what the process needs of its program at rest, and some more
 * @returns does it at once: for the end of something that happens once, like a start
 */
export function keepProgramSmall(env: Pick<Env, "after" | "stopped">, keptMiB: number): () => void {
  const giveBack = giverOf();
  if (giveBack === undefined) return () => undefined;
  const look = () => {
    if (env.stopped.aborted) return;
    if (mappedKiB() > keptMiB * 1024) giveBack();
    env.after(lookEveryMs, look);
  };
  look();
  return giveBack;
}

/** Resident memory that is mapped from files; 0 when nobody can say. */
function mappedKiB(): number {
  try {
    return Number(/^RssFile:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function giverOf(): (() => void) | undefined {
  const mappings = readMappings();
  if (mappings.length === 0) return undefined;
  const libc = cFunctions({ madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 } });
  if (libc === undefined) return undefined;
  return () => {
    for (const { from, bytes } of mappings) libc.madvise(from, bytes, dontNeed);
  };
}

function readMappings(): readonly Mapping[] {
  try {
    return unchangedMappings(readFileSync("/proc/self/smaps", "utf8"), readlinkSync("/proc/self/exe"));
  } catch {
    return [];
  }
}

/**
 * What of `file` can be read from it again at any time: mapped, not writable, and never written to. The loader makes some parts read-only
 * only after it has changed them; those have pages of their own ("Anonymous"), and are no longer what the file says.
 *
 * @param smaps as of proc(5)
 */
export function unchangedMappings(smaps: string, file: string): readonly Mapping[] {
  const found: Mapping[] = [];
  let current: Mapping | undefined;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s+(\S.*)?$/.exec(line);
    if (head !== null) {
      const [, from = "", to = "", rights = "", path] = head;
      const start = BigInt(`0x${from}`);
      current = path === file && !rights.includes("w") ? { from: start, bytes: BigInt(`0x${to}`) - start } : undefined;
    } else if (current !== undefined && /^Anonymous:\s+0 kB$/.test(line)) found.push(current);
  }
  return found;
}
