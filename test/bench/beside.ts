/**
 * The product beside the least that a webhook does (bare.ts). What a second of CPU time is worth differs between machines, and on one of
 * them between hours; how many times as much one costs as the other does not. So they are asked in turns, a few seconds each.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../rig/index.ts";
import { type Process, startProcess } from "../rig/process.ts";
import { cpuSeconds } from "./processes.ts";
import { type Asked, type Endpoint, loadOf } from "./webhook-load.ts";

const rounds = 5;

/** A server and how it is asked. */
export interface Side {
  readonly pid: number;
  ask(count: number): Promise<Asked>;
}

/** Times in ms, CPU time in seconds. */
export interface BesideFigures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuPer1000: number;
  readonly timesBare: number;
  readonly barePerSecond: number;
  readonly bareP50Ms: number;
  readonly bareP99Ms: number;
  readonly bareCpuPer1000: number;
}

/** `count` requests to each of the two. CPU time is that of its own turns: what a manager does besides is in the rows of rest. */
export async function askBeside(own: Side, bare: Side, count: number): Promise<BesideFigures> {
  const costs = [own, bare].map((side) => ({ side, cpuSeconds: 0, asked: [] as Asked[] }));
  for (let round = 0; round < rounds; round += 1)
    for (const cost of costs) {
      const before = cpuSeconds(cost.side.pid);
      cost.asked.push(await cost.side.ask(Math.max(1, Math.round(count / rounds))));
      cost.cpuSeconds += cpuSeconds(cost.side.pid) - before;
    }
  const [ownLoad, bareLoad] = costs.map(({ cpuSeconds: spent, asked }) => {
    const load = loadOf(asked);
    return { ...load, cpuPer1000: (spent / load.count) * 1000 };
  }) as [Spent, Spent];
  return {
    perSecond: ownLoad.perSecond,
    p50Ms: ownLoad.p50Ms,
    p99Ms: ownLoad.p99Ms,
    cpuPer1000: ownLoad.cpuPer1000,
    timesBare: bareLoad.cpuPer1000 === 0 ? 0 : ownLoad.cpuPer1000 / bareLoad.cpuPer1000,
    barePerSecond: bareLoad.perSecond,
    bareP50Ms: bareLoad.p50Ms,
    bareP99Ms: bareLoad.p99Ms,
    bareCpuPer1000: bareLoad.cpuPer1000,
  };
}
type Spent = ReturnType<typeof loadOf> & { readonly cpuPer1000: number };

export interface Bare {
  readonly process: Process;
  readonly endpoint: Endpoint;
}

/** @param logPath a file of its own: it also says where it listens */
export async function startBare(patchBytes: number, logPath: string): Promise<Bare> {
  const program = join(import.meta.dir, "bare.ts");
  const child = startProcess({ name: "bare", argv: [process.execPath, program, String(patchBytes)], logPath });
  const told = () => {
    const [line, rest] = readFileSync(logPath, "utf8").split("\n", 2);
    return rest === undefined ? undefined : (JSON.parse(line ?? "") as { port: number; caPem: string });
  };
  const listening = await waitFor("the bare webhook to listen", told, { timeoutMs: 30_000, intervalMs: 50 });
  return { process: child, endpoint: { hostname: "127.0.0.1", ...listening } };
}
