/** Measurements as JSON for machines and as a table for people. */
import type { Measured } from "./bench.ts";
import { rows } from "./reference.ts";

export interface Report {
  readonly machine: string;
  readonly command: string;
  readonly commit: string;
  readonly date: string;
  readonly measured: readonly Measured[];
}

export function markdown({ machine, command, commit, date, measured }: Report): string {
  const head = `Machine: ${machine}. Command: \`${command}\`. Commit: ${commit}. Date: ${date}.`;
  const table = [
    "| scenario | Go manager 1.9 | target | Kruiser | event loop lag | load before |",
    "|---|---|---|---|---|---|",
    ...measured.map((one) => {
      const row = rows.find(({ scenario }) => scenario === one.scenario);
      const heldUp = one.heldUpSeconds === undefined ? "" : `; ${one.heldUpSeconds.toFixed(1)} s without a core`;
      const lag = one.lag === undefined ? "–" : `p99 ≤ ${one.lag.p99Ms} ms, max ≤ ${one.lag.maxMs} ms${heldUp}`;
      return `| ${row?.title ?? one.scenario} | ${row?.go ?? "–"} | ${row?.target ?? "–"} | ${figures(one)} | ${lag} | ${one.loadBefore} |`;
    }),
  ];
  return `${head}\n\n${table.join("\n")}\n`;
}

/** What a scenario cost, in one line. */
export function figures(one: Measured): string {
  const { pods, managerCpuSeconds, clusterCpuSeconds, writes, reads, conflicts, wallSeconds, peakMiB, endMiB, more } = one;
  const memory = `${peakMiB.toFixed(0)} MiB`;
  if (one.scenario.startsWith("admit")) return admissionFigures(more ?? {}, memory);
  if (one.scenario.startsWith("agent-")) {
    const own = Object.entries(more ?? {}).map(([name, value]) => `${name} ${Number(value.toFixed(2))}`);
    return [
      `${managerCpuSeconds.toFixed(2)} s CPU`,
      `${writes} writes, ${reads} reads`,
      `${endMiB.toFixed(0)} MiB, at most ${memory}`,
      ...own,
    ].join(" · ");
  }
  const parts: string[] = [];
  if (clusterCpuSeconds > 0 && pods !== undefined)
    parts.push(
      `${(managerCpuSeconds / clusterCpuSeconds).toFixed(3)} (${managerCpuSeconds.toFixed(2)} of ${clusterCpuSeconds.toFixed(1)} s)`,
    );
  else parts.push(`${managerCpuSeconds.toFixed(2)} s CPU`);
  parts.push(
    pods === undefined
      ? `${writes} writes, ${reads} reads`
      : `${(writes / pods).toFixed(2)} writes a pod, ${conflicts === 0 ? "no conflict" : `${conflicts} conflicts`}`,
  );
  parts.push(memory, `${wallSeconds.toFixed(1)} s wall`);
  for (const [name, value] of Object.entries(more ?? {})) parts.push(`${name} ${value.toFixed(1)}`);
  if (one.scenario === "churn") parts.push(`end ${endMiB.toFixed(0)} MiB`);
  return parts.join(" · ");
}

function admissionFigures(more: Readonly<Record<string, number>>, memory: string): string {
  const { perSecond = 0, p50Ms = 0, p99Ms = 0, patchBytes, cpuPer1000 = 0, timesBare = 0 } = more;
  const { barePerSecond = 0, bareP99Ms = 0, bareCpuPer1000 = 0 } = more;
  const patch = patchBytes === undefined ? [] : [`${patchBytes} bytes of patch`];
  return [
    `p50 ${p50Ms.toFixed(2)}, p99 ${p99Ms.toFixed(1)} ms`,
    `${perSecond.toFixed(0)}/s`,
    `${cpuPer1000.toFixed(3)} CPU s per 1,000 = ${timesBare.toFixed(2)} × bare`,
    ...patch,
    memory,
    `bare: p99 ${bareP99Ms.toFixed(1)} ms, ${barePerSecond.toFixed(0)}/s, ${bareCpuPer1000.toFixed(3)}`,
  ].join(" · ");
}
