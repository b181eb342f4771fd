/** What Prometheus' client libraries say of a process, read when it is asked for, and how long the event loop is held up. */
import { readdirSync } from "node:fs";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Env } from "../env/env.ts";

/** Often enough to see what holds up a request, seldom enough to cost nothing when nothing happens. */
const lagSampleMs = 100;
const lagSecondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export function collectProcessMetrics(registry: Registry, startedMs: number): void {
  const registers = [registry];
  const cpu = new Counter({
    name: "process_cpu_seconds_total",
    help: "Total user and system CPU time spent in seconds.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  cpu.inc(0);
  const gauge = (name: string, help: string, read: () => number | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const value = read();
        if (value !== undefined) this.set(value);
      },
    });
  gauge("process_resident_memory_bytes", "Resident memory size in bytes.", () => process.memoryUsage.rss());
  gauge("process_heap_bytes", "Size of the JavaScript heap in use, in bytes.", () => process.memoryUsage().heapUsed);
  gauge("process_open_fds", "Number of open file descriptors.", openFileDescriptors);
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", () => startedMs / 1000);
}

/** kruiser_event_loop_lag_seconds: how late a timer of 100 ms comes. Ends when the process stops. */
export function observeLag(registry: Registry, env: Env): void {
  const lag = new Histogram({
    name: "kruiser_event_loop_lag_seconds",
    help: "How late timers run because the event loop is held up.",
    buckets: lagSecondsBuckets,
    registers: [registry],
  });
  const sample = () => {
    if (env.stopped.aborted) return;
    const startedMs = env.monotonicMs();
    env.after(lagSampleMs, () => {
      lag.observe(Math.max(0, env.monotonicMs() - startedMs - lagSampleMs) / 1000);
      sample();
    });
  };
  sample();
}

function openFileDescriptors(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}
