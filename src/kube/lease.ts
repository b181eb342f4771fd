/**
 * Leader election by a Lease. At any moment at most one process believes that it leads: a leader that could not renew for
 * `renewDeadlineMs` steps down before another may take over after `leaseDurationMs`, each by its own clock.
 */
import { type Env, sleep } from "../env/env.ts";
import type { KubeClient } from "./client.ts";
import { leases } from "./kinds.ts";
import { type Failure, failureText, type Written } from "./outcome.ts";
import { formatMicroTime } from "./time.ts";
import type { Lease } from "./types.ts";

export interface ElectionOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique for each process: "<hostname>_<uuid>". */
  readonly identity: string;
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
  /** We lead from now on. */
  readonly onLeading: (lease: Lease) => void;
  /** We led, and do not any more: whatever only a leader may do must stop at once. Not called after `release`. */
  readonly onLost: (why: string) => void;
  /** Another process leads; told once for each. */
  readonly onOther?: (identity: string) => void;
  /** A renewal had to read the Lease first, because somebody else had written it. */
  readonly onSlowPath?: () => void;
}

export const electionDefaults = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 } as const;

/** Up to this factor longer between two tries to become leader, so that followers do not all try at once. */
const jitterFactor = 1.2;

export class Election {
  private readonly client: KubeClient;
  private readonly timing: { readonly leaseDurationMs: number; readonly renewDeadlineMs: number; readonly retryPeriodMs: number };
  private readonly ended = new AbortController();
  private running: Promise<void> | undefined;
  private leading = false;
  /** The Lease as last seen or written, and when it last changed by our own clock: the holder's clock may differ. */
  private lease: Lease | undefined;
  private changedMs = 0;
  private otherSeen = "";
  private cancelDeadline: () => void = () => {};

  constructor(
    private readonly env: Env,
    client: KubeClient,
    private readonly options: ElectionOptions,
  ) {
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = { ...electionDefaults, ...definedOf(options) };
    if (leaseDurationMs <= renewDeadlineMs) throw new RangeError("the lease duration must be longer than the renew deadline");
    if (renewDeadlineMs <= retryPeriodMs * jitterFactor) throw new RangeError("the renew deadline must be longer than 1.2 retry periods");
    this.timing = { leaseDurationMs, renewDeadlineMs, retryPeriodMs };
    // A try that hangs leaves time for another one before the deadline.
    this.client = client.with({ urgent: true, deadlineMs: Math.max(1000, renewDeadlineMs / 2) });
  }

  get isLeader(): boolean {
    return this.leading;
  }

  /** Tries to lead until released, lost, or the process stops. A lost election does not start again: the process should end. */
  start(): void {
    this.running ??= this.run();
  }

  /** Gives the lease away, so that a successor need not wait for it to expire. Resolves when that is done or has failed. */
  async release(): Promise<void> {
    this.leading = false;
    this.cancelDeadline();
    this.ended.abort();
    await this.running;
    const { lease } = this;
    if (!lease || lease.spec?.holderIdentity !== this.options.identity) return;
    const now = formatMicroTime(this.env.nowMs());
    const spec = { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
    const written = await this.client.update(leases, { ...lease, spec });
    if (!written.ok) this.env.log.warn({ lease: this.options.name, error: failureText(written) }, "the lease could not be released");
  }

  private async run(): Promise<void> {
    const { retryPeriodMs } = this.timing;
    // A leader goes on renewing while its last work drains, until it is released.
    const end = () => {
      if (!this.leading) this.ended.abort();
    };
    this.env.stopped.addEventListener("abort", end, { once: true });
    if (this.env.stopped.aborted) end();
    while (!this.ended.signal.aborted) {
      const startMs = this.env.monotonicMs();
      const failure = await (this.leading ? this.renew() : this.acquire());
      if (this.ended.signal.aborted) break;
      if (!failure) this.holdFrom(startMs);
      else if (this.leading && this.otherHolder() !== undefined) this.lose(`${this.otherHolder()} has taken the lease`);
      const waitMs = this.leading ? retryPeriodMs : retryPeriodMs * (1 + (jitterFactor - 1) * this.env.random());
      await sleep(this.env, waitMs, this.ended.signal);
    }
    this.env.stopped.removeEventListener("abort", end);
  }

  /** Counted from before the request was sent: the server may have stamped it at any time since. */
  private holdFrom(startMs: number): void {
    this.cancelDeadline();
    const { renewDeadlineMs } = this.timing;
    const leftMs = Math.max(0, renewDeadlineMs - (this.env.monotonicMs() - startMs));
    this.cancelDeadline = this.env.after(leftMs, () => this.lose(`the lease was not renewed within ${renewDeadlineMs / 1000} s`));
    if (this.leading) return;
    this.leading = true;
    this.env.log.info({ lease: this.options.name, identity: this.options.identity }, "became leader");
    if (this.lease) this.options.onLeading(this.lease);
  }

  private lose(why: string): void {
    if (!this.leading) return;
    this.leading = false;
    this.cancelDeadline();
    this.ended.abort();
    this.env.log.error({ lease: this.options.name, why }, "lost the lease");
    this.options.onLost(why);
  }

  /** @returns undefined when the lease is ours now */
  private async acquire(): Promise<Failure | undefined> {
    const { namespace, name, identity } = this.options;
    const found = await this.client.get(leases, { namespace, name });
    if (!found.ok && found.why !== "notFound") return this.logged(found);
    const now = formatMicroTime(this.env.nowMs());
    if (!found.ok) {
      const spec = {
        holderIdentity: identity,
        leaseDurationSeconds: this.seconds(),
        acquireTime: now,
        renewTime: now,
        leaseTransitions: 0,
      };
      return this.took(await this.client.create(leases, { metadata: { name, namespace }, spec }));
    }
    this.see(found.object);
    const held = found.object.spec ?? {};
    const holder = this.otherHolder();
    if (holder !== undefined) {
      const heldForMs = (held.leaseDurationSeconds ?? this.seconds()) * 1000;
      if (this.env.monotonicMs() - this.changedMs < heldForMs) {
        if (holder !== this.otherSeen) {
          this.otherSeen = holder;
          this.options.onOther?.(holder);
        }
        return { ok: false, why: "conflict", message: `${holder} holds the lease` };
      }
    }
    const mine = held.holderIdentity === identity;
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: this.seconds(),
      acquireTime: mine ? (held.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (held.leaseTransitions ?? 0) + (mine ? 0 : 1),
    };
    return this.took(await this.client.update(leases, { ...found.object, spec }));
  }

  /** One request while nobody interferes: the version of our last write is the precondition. */
  private async renew(): Promise<Failure | undefined> {
    const { namespace, name } = this.options;
    const { lease } = this;
    if (!lease) return this.acquire();
    const spec = { ...lease.spec, renewTime: formatMicroTime(this.env.nowMs()) };
    const failure = this.took(await this.client.update(leases, { ...lease, spec }));
    if (failure?.why !== "conflict" && failure?.why !== "notFound") return failure;
    this.options.onSlowPath?.();
    const found = await this.client.get(leases, { namespace, name });
    if (found.ok) this.see(found.object);
    // Somebody deleted it, or changed something else in it: it is still ours to write.
    else if (found.why === "notFound") return this.acquire();
    return found.ok && this.otherHolder() === undefined ? this.took(await this.client.update(leases, { ...found.object, spec })) : failure;
  }

  private took(written: Written<Lease>): Failure | undefined {
    if (!written.ok) return this.logged(written);
    this.see(written.object);
    return undefined;
  }

  private see(lease: Lease): void {
    if (lease.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) this.changedMs = this.env.monotonicMs();
    this.lease = lease;
  }

  /** Undefined when nobody holds the lease, or we do. */
  private otherHolder(): string | undefined {
    const holder = this.lease?.spec?.holderIdentity;
    return holder && holder !== this.options.identity ? holder : undefined;
  }

  private seconds(): number {
    return Math.ceil(this.timing.leaseDurationMs / 1000);
  }

  private logged(failure: Failure): Failure {
    const expected = failure.why === "conflict" || failure.why === "alreadyExists";
    if (!expected) this.env.log.warn({ lease: this.options.name, error: failureText(failure) }, "cannot write the lease");
    return failure;
  }
}

function definedOf(options: ElectionOptions): Partial<Record<keyof typeof electionDefaults, number>> {
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
  return Object.fromEntries(Object.entries({ leaseDurationMs, renewDeadlineMs, retryPeriodMs }).filter(([, value]) => value !== undefined));
}
