/** One cluster with one manager, and what they cost while something happens. */
import { join } from "node:path";
import { type Manager, type Rig, startRig, waitFor } from "../rig/index.ts";
import { AuditLog, type Counted } from "./audit.ts";
import { type Lag, type LagBuckets, lagBetween, lagBuckets } from "./lag.ts";
import { cpuSeconds, cpuSecondsByThread, cpuSecondsOf, forgetPeak, heldUpSeconds, load, memoryMiB } from "./processes.ts";

/** What one scenario cost. Times in seconds, memory in MiB. */
export interface Measured {
  readonly scenario: string;
  /** Pods (or objects) that the work is divided by; absent: it is not. */
  readonly pods?: number;
  readonly wallSeconds: number;
  readonly managerCpuSeconds: number;
  /** etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok. */
  readonly clusterCpuSeconds: number;
  readonly peakMiB: number;
  readonly endMiB: number;
  readonly writes: number;
  readonly reads: number;
  readonly conflicts: number;
  readonly requests: Readonly<Record<string, number>>;
  /** The manager's CPU time by thread of its runtime; what ended threads spent is in none of them. */
  readonly threads?: Readonly<Record<string, number>>;
  readonly lag?: Lag;
  /** Of the wall time: the manager was ready to run and others had the cores. Its event loop lags by that, too. */
  readonly heldUpSeconds?: number;
  /** Load average of the machine before it began: above the number of cores, others were at work as well. */
  readonly loadBefore: number;
  /** Figures of this scenario only. */
  readonly more?: Readonly<Record<string, number>>;
}

export interface BenchOptions {
  readonly nodes?: number;
  /** Real nodes, for the node agent. Default 0. */
  readonly realNodes?: number;
  readonly managerFlags?: readonly string[];
  /** Default: the compiled binary. */
  readonly command?: readonly string[];
}

const projectRoot = join(import.meta.dir, "../..");
export const compiled = join(projectRoot, "dist/kruise");
const managerUser = "system:serviceaccount:kruise-system:kruise-manager";
/** No request of the manager for this long: what was begun is done. */
const quietMs = 1_500;
const quietTimeoutMs = 60_000;

export class Bench {
  readonly measured: Measured[] = [];
  readonly audit: AuditLog;
  #manager: Manager | undefined;

  static async start(options: BenchOptions = {}): Promise<Bench> {
    const stateDir = join("/tmp", `kruiser-bench-${crypto.randomUUID().slice(0, 8)}`);
    const audit = `${stateDir}.audit`;
    const rig = await startRig({ kwokNodes: options.nodes ?? 20, realNodes: options.realNodes ?? 0, audit });
    try {
      await rig.install();
      return new Bench(rig, audit, options.command ?? [compiled], options.managerFlags ?? []);
    } catch (error) {
      await rig.stop();
      throw error;
    }
  }

  private constructor(
    readonly rig: Rig,
    readonly auditPath: string,
    readonly command: readonly string[],
    private readonly managerFlags: readonly string[],
  ) {
    this.audit = new AuditLog(auditPath, managerUser);
  }

  /** @throws Error when none was started */
  get manager(): Manager {
    if (this.#manager === undefined) throw new Error("this scenario needs a manager");
    return this.#manager;
  }

  get recordPath(): string {
    return join(this.rig.stateDir, "manager-record.db");
  }

  async startManager(waitReady = true): Promise<Manager> {
    if (this.#manager === undefined)
      this.#manager = await this.rig.startManager({ command: this.command, flags: this.managerFlags, waitReady });
    else if (!this.#manager.process.running()) await this.#manager.restart();
    return this.#manager;
  }

  /**
   * Runs `work` and books what it cost, what follows from it included: until the manager asks for nothing any more.
   * @param more called at the very end, for figures of its own
   */
  async measure(
    scenario: string,
    { pods, more }: { readonly pods?: number; readonly more?: () => Readonly<Record<string, number>> },
    work: () => Promise<void>,
  ): Promise<Measured> {
    await this.quiet();
    const { manager, rig } = this;
    const { pid } = manager.process;
    const cluster = this.clusterPids();
    const loadBefore = load();
    const lagBefore: LagBuckets = await lagBuckets(manager.metricsUrl);
    forgetPeak(pid);
    this.audit.begin();
    const cpuBefore = cpuSeconds(pid);
    const threadsBefore = cpuSecondsByThread(pid);
    const clusterBefore = cpuSecondsOf(cluster);
    const heldUpBefore = heldUpSeconds(pid);
    const startedMs = performance.now();
    await work();
    const wallSeconds = (performance.now() - startedMs) / 1000;
    await this.quiet();
    const managerCpuSeconds = cpuSeconds(pid) - cpuBefore;
    const clusterCpuSeconds = cpuSecondsOf(cluster) - clusterBefore;
    const threads = Object.fromEntries(
      [...cpuSecondsByThread(pid)].map(([name, seconds]) => [name, Number((seconds - (threadsBefore.get(name) ?? 0)).toFixed(2))]),
    );
    const { now, peak } = memoryMiB(pid);
    const lag = lagBetween(lagBefore, await lagBuckets(manager.metricsUrl));
    if (!manager.process.running()) throw new Error(`the manager ended during ${scenario}; see ${manager.logPath} (${rig.stateDir})`);
    return this.book({
      scenario,
      ...(pods === undefined ? {} : { pods }),
      wallSeconds,
      managerCpuSeconds,
      clusterCpuSeconds,
      peakMiB: peak,
      endMiB: now,
      ...requestFigures(this.audit.count()),
      threads,
      lag,
      heldUpSeconds: heldUpSeconds(pid) - heldUpBefore,
      loadBefore,
      ...(more === undefined ? {} : { more: more() }),
    });
  }

  book(measured: Measured): Measured {
    this.measured.push(measured);
    return measured;
  }

  clusterPids(): readonly number[] {
    return [...this.rig.plane.processes, this.rig.kwok.process].map(({ pid }) => pid);
  }

  /** Waits until the manager has asked for nothing for a while. */
  async quiet(): Promise<void> {
    let seen = -1;
    let sinceMs = 0;
    await waitFor(
      "the manager to fall silent",
      () => {
        const { reads, writes } = this.audit.count();
        const nowMs = performance.now();
        if (reads + writes !== seen) {
          seen = reads + writes;
          sinceMs = nowMs;
        }
        return nowMs - sinceMs >= quietMs;
      },
      { timeoutMs: quietTimeoutMs, intervalMs: 250 },
    );
  }

  async stop(): Promise<void> {
    await this.rig.stop();
    await Bun.file(this.auditPath).delete();
  }
}

export function requestFigures(counted: Counted): Pick<Measured, "writes" | "reads" | "conflicts" | "requests"> {
  const requests = Object.fromEntries([...counted.byRequest].sort(([, a], [, b]) => b - a));
  return { writes: counted.writes, reads: counted.reads, conflicts: counted.conflicts, requests };
}
