/**
 * Keeps the way from the API server to this manager open: certificates, both webhook configurations, the conversion of our CRDs.
 * Runs in every replica. What it found right it does not read again until something happens to it.
 */
import type { KindDefinition } from "../api/definition.ts";
import { type Cancel, type Env, sleep } from "../env/env.ts";
import type { LiveReader, Writer } from "../kube/access.ts";
import { type Key, type Kind, type Ref, resourceName } from "../kube/kind.ts";
import { secrets } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/types.ts";
import { type Certificates, endsOf, readBundle, unfit } from "./certificates.ts";
import {
  mutatingConfigurationName,
  mutatingConfigurations,
  validatingConfigurationName,
  validatingConfigurations,
  type WebhookConfiguration,
} from "./configuration.ts";
import { conversionCarriesCa, convertsByWebhook, customResourceDefinitions, healConversion } from "./crd-conversion.ts";
import { obtainExternally } from "./external.ts";
import { obtainFromFiles, writeCertificateFiles } from "./file-writer.ts";
import { Healing, healingLimits, type Problem } from "./healing.ts";
import { entriesWithoutCa, heal } from "./live-configuration.ts";
import type { AdmissionMetrics } from "./metrics.ts";
import { originOf, type Peer, peerIn } from "./peer.ts";
import { type Issue, type Obtained, obtainFromSecret } from "./secret-writer.ts";
import type { WebhookSettings } from "./webhook-settings.ts";

/**
 * Calls `changed` after each change of a matching object, also after those it may have missed, with the new resourceVersion (absent:
 * the object is gone). Metadata is all it needs to carry.
 */
export type Subscribe = (target: WatchTarget, changed: (key: Key, resourceVersion: string | undefined) => void) => Cancel;
export interface WatchTarget {
  readonly of: Kind;
  readonly namespace?: string;
  /** Only this object (field selector metadata.name). */
  readonly name?: string;
}

export interface WebhookControllerOptions {
  readonly env: Env;
  readonly live: LiveReader;
  readonly write: Writer;
  readonly subscribe: Subscribe;
  readonly settings: WebhookSettings;
  /** Our own kinds: their CRDs convert through this manager. */
  readonly kinds: readonly KindDefinition[];
  /** The paths and aliases of the webhooks that are active now. */
  handledPaths(): ReadonlySet<string>;
  /** Serves with these certificates; returns when the port answers with them. Rejects when it cannot. */
  install(certificates: Certificates): Promise<void> | void;
  /** Default: makes them. */
  readonly issue?: Issue;
  emit(on: Ref, type: "Normal" | "Warning", reason: string, message: string): void;
  readonly metrics: AdmissionMetrics;
  /** With URLs in the configurations: whether the replica that they lead to serves. Absent: this one takes them over in any case. */
  readonly peerServes?: (peer: Peer) => Promise<boolean>;
}

export interface WebhookController {
  /** Resolves after the first time that everything was right. */
  readonly initialized: Promise<void>;
  readonly isInitialized: boolean;
  /** What went wrong last, as one line; undefined after a success. */
  readonly lastError: string | undefined;
  /** Nothing is under way: it waits for a change, or for its next look. */
  readonly isResting: boolean;
  /** Runs until `env.stopped`. */
  start(): void;
  /** Looks again soon: the set of handled paths may have changed. */
  wake(): void;
}

export const syncLimits = {
  backoffMsMin: 5,
  backoffMsMax: 1_000_000,
  repeatMs: 60_000,
  /** While another replica is the one that is called. */
  peerLookMs: 1_000,
  /** API servers trust the old authority and the new one for this long, while other replicas still serve the old certificate. */
  overlapMs: 20_000,
  /** From writing a CA into a configuration until every API server has seen it. */
  propagationMs: 1_000,
} as const;

const configurations = [
  { of: mutatingConfigurations, name: mutatingConfigurationName },
  { of: validatingConfigurations, name: validatingConfigurationName },
] as const;
const ownGroups: ReadonlySet<string> = new Set(["apps.kruise.io", "policy.kruise.io"]);

export function webhookController(options: WebhookControllerOptions): WebhookController {
  return new Controller(options);
}

class Controller implements WebhookController {
  readonly initialized: Promise<void>;
  isInitialized = false;
  isResting = true;
  lastError: string | undefined;
  private resolveInitialized: () => void = () => {};
  private readonly healing: Healing;
  private readonly definitions: readonly KindDefinition[];
  private readonly watchedNames: ReadonlySet<string>;
  private installed: Certificates | undefined;
  /** The Secret as last read or written; undefined: look. */
  private secretVersion: string | undefined;
  private secretLookedMs = 0;
  private prefetched = false;
  /** Another replica is called at its URL, and everything is left to it. */
  private isLeftToPeer = false;
  /** A former authority that API servers still have to trust. */
  private retiring: { readonly ca: string; readonly untilMs: number } | undefined;
  /** By configuration: the template as applied last, and as it is being applied. */
  private readonly appliedTemplates = new Map<string, string>();
  private readonly pendingTemplates = new Map<string, string>();
  /** By configuration: the entries left out, as reported. */
  private readonly reported = new Map<string, string>();
  private woken = false;
  private wakeUp: () => void = () => {};

  constructor(private readonly options: WebhookControllerOptions) {
    this.healing = new Healing(options.env, options.live, options.write);
    this.definitions = options.kinds.filter(({ kind }) => ownGroups.has(kind.group));
    this.watchedNames = new Set([...configurations.map(({ name }) => name), ...this.definitions.map(({ kind }) => resourceName(kind))]);
    this.initialized = new Promise((resolve) => {
      this.resolveInitialized = resolve;
    });
  }

  start(): void {
    const { env, subscribe, settings } = this.options;
    const cancels = [
      ...configurations.map(({ of, name }) => subscribe({ of, name }, (key, version) => this.noticed(of, key, version))),
      // One watch of all CRDs, by their metadata, costs less than one for each of ours.
      subscribe({ of: customResourceDefinitions }, (key, version) => this.noticed(customResourceDefinitions, key, version)),
    ];
    if (settings.writer !== "fs") {
      const target = { of: secrets, namespace: settings.installNamespace, name: settings.secretName };
      cancels.push(subscribe(target, (_, version) => this.noticedSecret(version)));
    }
    env.stopped.addEventListener("abort", () => {
      for (const cancel of cancels) cancel();
    });
    void this.run();
  }

  wake(): void {
    this.woken = true;
    this.wakeUp();
  }

  private noticed(of: Kind, key: Key, version: string | undefined): void {
    if (this.watchedNames.has(key.name) && this.healing.noticed(of, key, version)) this.wake();
  }

  private noticedSecret(version: string | undefined): void {
    if (version !== undefined && version === this.secretVersion) return;
    this.secretVersion = undefined;
    this.wake();
  }

  private async run(): Promise<void> {
    const { env } = this.options;
    let failures = 0;
    while (!env.stopped.aborted) {
      this.woken = false;
      this.isResting = false;
      const problem = await this.sync().catch(
        (thrown: unknown): Problem => ({
          message: thrown instanceof Error ? thrown.message : String(thrown),
        }),
      );
      if (env.stopped.aborted) return;
      this.lastError = problem?.message;
      if (problem === undefined) {
        failures = 0;
        if (!this.isInitialized) {
          this.isInitialized = true;
          this.resolveInitialized();
          env.log.info({}, "webhook controller: initialized");
        }
      } else {
        env.log.warn({ error: problem.message, failures }, "webhook controller: not right yet, trying again");
      }
      await this.pause(problem === undefined ? this.repeatMs() : (problem.retryAfterMs ?? backoffMs(failures)));
      if (problem !== undefined) failures += 1;
    }
  }

  private repeatMs(): number {
    if (this.isLeftToPeer) return syncLimits.peerLookMs;
    if (!this.retiring) return syncLimits.repeatMs;
    return Math.min(syncLimits.repeatMs, Math.max(0, this.retiring.untilMs - this.options.env.monotonicMs()));
  }

  private async pause(ms: number): Promise<void> {
    if (this.woken) return;
    this.isResting = true;
    const woken = new AbortController();
    this.wakeUp = () => woken.abort();
    const stop = () => woken.abort();
    this.options.env.stopped.addEventListener("abort", stop);
    await sleep(this.options.env, ms, woken.signal);
    this.options.env.stopped.removeEventListener("abort", stop);
    this.wakeUp = () => {};
  }

  /** @returns what is wrong, or undefined. */
  private async sync(): Promise<Problem | undefined> {
    const external = this.options.settings.writer === "external";
    if (!this.prefetched) this.prefetch();
    const obtained = await this.obtain();
    if (!obtained.ok) return { message: obtained.message };
    const { certificates } = obtained;
    this.noteRetirement(obtained);
    const first = this.installed === undefined;
    let announced: Problem | undefined;
    if (!first && this.retiring && !external && certificates.caCertificate !== this.installed?.caCertificate) {
      // First the API servers learn to trust the new authority, then they meet it.
      announced = await this.healAll(certificates);
      await sleep(this.options.env, syncLimits.propagationMs);
    }
    await this.install(certificates, obtained.renewed);
    if (await this.leaveToPeer()) return undefined;
    return external ? await this.verifyAll(certificates) : (announced ?? (await this.healAll(certificates)));
  }

  /** Two replicas at two addresses would write over each other's for ever. */
  private async leaveToPeer(): Promise<boolean> {
    const { live, settings, peerServes, env } = this.options;
    if (settings.address.by !== "url" || settings.writer === "external" || peerServes === undefined) return false;
    const found = await live.get(mutatingConfigurations, { namespace: "", name: mutatingConfigurationName });
    const peer = found.ok ? peerIn(found.object, originOf(settings.address)) : undefined;
    const serves = peer !== undefined && (await peerServes(peer));
    if (serves !== this.isLeftToPeer)
      env.log.info(
        { at: peer?.origin },
        serves ? "webhook controller: another replica is called, and serves" : "webhook controller: taking over from the other replica",
      );
    this.isLeftToPeer = serves;
    return serves;
  }

  /** Everything that is going to be looked at is asked for at once: a start waits for one round trip, not for three. */
  private prefetch(): void {
    this.prefetched = true;
    for (const { of, name } of configurations) this.healing.prefetch(of, name);
    for (const name of this.crdNames()) this.healing.prefetch(customResourceDefinitions, name);
  }

  private async obtain(): Promise<Obtained> {
    const { env, live, write, settings } = this.options;
    const issue = this.options.issue ?? (async (...of: Parameters<Issue>) => (await import("./issue.ts")).issueCertificates(...of));
    const expected = { host: settings.host, nowMs: env.nowMs(), renewBeforeMs: settings.renewBeforeMs };
    const place = { live, write, namespace: settings.installNamespace, name: settings.secretName };
    if (settings.writer === "fs") return obtainFromFiles(settings.certDir, expected, issue, env.uuid());
    const unchanged = this.secretVersion !== undefined && env.monotonicMs() - this.secretLookedMs < healingLimits.lookEveryMs;
    if (unchanged && this.installed && (settings.writer === "external" || unfit(this.installed, expected) === undefined)) {
      return { ok: true, certificates: this.installed };
    }
    const external = settings.writer === "external" ? await obtainExternally(place, expected) : undefined;
    if (external?.warning) env.log.warn({ warning: external.warning }, "webhook controller: external certificates");
    const obtained = external ?? (await obtainFromSecret(place, expected, issue));
    if (obtained.ok) {
      this.secretVersion = obtained.resourceVersion;
      this.secretLookedMs = env.monotonicMs();
    }
    return obtained;
  }

  private noteRetirement(obtained: Obtained & { ok: true }): void {
    const nowMs = this.options.env.monotonicMs();
    if (this.retiring && nowMs >= this.retiring.untilMs) this.retiring = undefined;
    const ca = obtained.certificates.caCertificate;
    const former = this.installed ? this.installed.caCertificate : obtained.previousCa;
    if (former === undefined || former === ca || !readBundle(former)) return;
    this.retiring = { ca: former, untilMs: nowMs + syncLimits.overlapMs };
  }

  private async install(certificates: Certificates, renewed: string | undefined): Promise<void> {
    const { env, settings, metrics } = this.options;
    if (renewed !== undefined) env.log.info({ why: renewed }, "webhook controller: new certificates");
    const changed = this.installed?.certificate !== certificates.certificate || this.installed.key !== certificates.key;
    if (settings.writer !== "fs") await writeCertificateFiles(settings.certDir, certificates, env.uuid());
    await this.options.install(certificates);
    if (changed) metrics.certificateRead(endsOf(certificates));
    this.installed = certificates;
  }

  private async healAll(certificates: Certificates): Promise<Problem | undefined> {
    const { settings } = this.options;
    const handled = this.options.handledPaths();
    const exact = base64(certificates.caCertificate);
    const both = this.retiring ? base64(`${certificates.caCertificate.trim()}\n${this.retiring.ca.trim()}\n`) : exact;
    // Another replica may have ended the overlap already: then it has ended.
    const bundleFor = (live: readonly (string | undefined)[]) =>
      live.length > 0 && live.every((bundle) => bundle === exact) ? exact : both;
    const inputs = `${exact} ${both} ${[...handled].sort().join(" ")}`;
    const { address } = settings;
    const problems = await Promise.all([
      ...configurations.map(({ of, name }) =>
        this.healing.heal({ of, name, inputs, heal: (live) => this.healConfiguration(of, live, handled, bundleFor) }).then((problem) => {
          // Only what arrived counts as applied.
          const template = this.pendingTemplates.get(name);
          if (problem === undefined && template !== undefined) this.appliedTemplates.set(name, template);
          this.pendingTemplates.delete(name);
          return problem;
        }),
      ),
      ...this.crdNames().map((name) =>
        this.healing.heal({
          of: customResourceDefinitions,
          name,
          inputs: `${exact} ${both}`,
          optional: true,
          heal: (live) => healConversion(live, { address, caBundle: bundleFor([live.spec?.conversion?.webhook?.clientConfig?.caBundle]) }),
        }),
      ),
    ]);
    return join(problems);
  }

  private healConfiguration(
    of: Kind,
    live: WebhookConfiguration,
    handled: ReadonlySet<string>,
    bundleFor: (live: readonly (string | undefined)[]) => string,
  ): WebhookConfiguration | string {
    const { name } = live.metadata;
    const healed = heal(live, {
      caBundle: bundleFor((live.webhooks ?? []).map((entry) => entry.clientConfig?.caBundle)),
      address: this.options.settings.address,
      handles: (path) => handled.has(path),
      appliedTemplate: this.appliedTemplates.get(name),
    });
    if (!healed.ok) return healed.message;
    const dropped = healed.dropped.map((entry) => `${entry.name} (${entry.path})`).join(", ");
    if (this.reported.get(name) !== dropped) this.reportDropped(of, live, dropped, healed.dropped.length);
    this.reported.set(name, dropped);
    this.pendingTemplates.set(name, healed.template);
    return healed.object;
  }

  /** An entry that vanishes means no admission for its kind: nobody should have to find that out. */
  private reportDropped(of: Kind, live: WebhookConfiguration, dropped: string, count: number): void {
    const { env, emit, metrics } = this.options;
    const { name, uid } = live.metadata;
    metrics.droppedWebhooks(name, count);
    if (count === 0) return;
    env.log.warn({ configuration: name, dropped }, "webhook controller: entries left out, nobody handles their paths");
    const message = `Not active, because this manager does not handle their paths now (feature gates, missing CRDs, or another release): ${dropped}`;
    emit({ of, namespace: "", name, uid }, "Warning", "WebhooksLeftOut", message);
  }

  /** CRDs that convert through us. Those whose versions have one shape can wait until everything else works. */
  private crdNames(): readonly string[] {
    const wanted = this.isInitialized ? this.definitions : this.definitions.filter(({ conversion }) => conversion !== undefined);
    return wanted.map(({ kind }) => resourceName(kind));
  }

  /** External mode: an injector has to have put the CA everywhere; this only looks. */
  private async verifyAll({ caCertificate }: Certificates): Promise<Problem | undefined> {
    const handled = this.options.handledPaths();
    const inputs = `${caCertificate} ${[...handled].sort().join(" ")}`;
    const injected = "does not carry the CA of the Secret (gate EnableExternalCerts: the injector has to put it there)";
    const missing = (live: KubeObject, parts: readonly string[]) =>
      parts.length === 0 ? live : `${live.metadata.name}: ${parts.join(", ")} ${injected}`;
    const problems = await Promise.all([
      ...configurations.map(({ of, name }) =>
        this.healing.heal({
          of,
          name,
          inputs,
          heal: (live) =>
            missing(
              live,
              entriesWithoutCa(live, caCertificate, (path) => handled.has(path)),
            ) as WebhookConfiguration | string,
        }),
      ),
      ...this.crdNames().map((name) =>
        this.healing.heal({
          of: customResourceDefinitions,
          name,
          inputs,
          optional: true,
          heal: (live) =>
            missing(live, convertsByWebhook(live) && !conversionCarriesCa(live, caCertificate) ? ["spec.conversion"] : []) as
              | typeof live
              | string,
        }),
      ),
    ]);
    return join(problems);
  }
}

function backoffMs(failures: number): number {
  return Math.min(syncLimits.backoffMsMax, syncLimits.backoffMsMin * 2 ** Math.min(failures, 30));
}

/** One line for all; to be tried again when the first of them may have changed. */
function join(problems: readonly (Problem | undefined)[]): Problem | undefined {
  const found = problems.filter((problem): problem is Problem => problem !== undefined);
  if (found.length === 0) return undefined;
  const waits = found.map(({ retryAfterMs }) => retryAfterMs);
  const retryAfterMs = waits.some((wait) => wait === undefined) ? undefined : Math.min(...(waits as number[]));
  return { message: found.map(({ message }) => message).join("; "), retryAfterMs };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
