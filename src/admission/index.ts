/**
 * The admission side of the manager, put together. Requests come in at `server.ts`, find their webhook in `handler.ts`, are read and
 * answered by `review.ts` (objects of our kinds in other versions: `convert.ts`); what features say about pods is composed in `pod.ts`.
 * `webhook-controller.ts` keeps the way here open: certificates, webhook configurations, CRD conversion.
 */
import type { KindDefinition } from "../api/definition.ts";
import type { Settings } from "../api/settings.ts";
import type { Env } from "../env/env.ts";
import type { Fetch } from "../env/network.ts";
import type { Steer } from "../env/steering.ts";
import type { Reader, Writer } from "../kube/access.ts";
import { createBreaker } from "./breaker.ts";
import { activePaths } from "./configuration.ts";
import { converterFor } from "./convert.ts";
import { bodyLimits, createHandler } from "./handler.ts";
import type { AdmissionMetrics } from "./metrics.ts";
import { createNarrowing, type NarrowingOptions } from "./narrowing.ts";
import { peerCheck } from "./peer.ts";
import { podWebhooks } from "./pod.ts";
import { announcing, podNarrowing } from "./pod-narrowing.ts";
import { protectionLog, refusalRecorder } from "./protection-log.ts";
import { type Readiness, readinessCheck } from "./readiness.ts";
import { createAdmissionServer, type Serve } from "./server.ts";
import type { AdmissionContext, PodGuard, PodMutation, Webhook } from "./webhook.ts";
import { type Subscribe, webhookController } from "./webhook-controller.ts";
import type { WebhookSettings } from "./webhook-settings.ts";

export interface AdmissionOptions {
  readonly env: Env;
  readonly settings: Settings;
  readonly webhookSettings: WebhookSettings;
  /** Of all features; the pod webhooks are made here. */
  readonly webhooks: readonly Webhook[];
  readonly podMutations: readonly PodMutation[];
  readonly podGuards: readonly PodGuard[];
  readonly kinds: readonly KindDefinition[];
  readonly read: Reader;
  readonly write: Writer;
  readonly subscribe: Subscribe;
  /** See narrowing.ts. */
  readonly narrowing: Pick<NarrowingOptions, "enabled" | "follow" | "known">;
  readonly emit: AdmissionContext["emit"];
  readonly metrics: AdmissionMetrics;
  readonly serve: Serve;
  readonly steer?: Steer;
  readonly fetch: Fetch;
  /** See `HandlerOptions.unready`. */
  readonly unready?: () => Promise<void> | undefined;
  /** Directory of protection.log. */
  readonly protectionLogPath: string;
}

export interface Admission {
  /** Resolves when the certificates, both configurations and the CRDs have been right once. */
  readonly initialized: Promise<void>;
  /** What stands in the way, as one line. */
  readonly lastError: string | undefined;
  /** The port that is listened on, once it is. */
  readonly port: number | undefined;
  /** `webhook-ready`: initialized once, and the own port answers over TLS. */
  ready(): Promise<Readiness>;
  /** Which kinds are served has changed: entries may become active. */
  wake(): void;
  /** After `env.stopped`: answers what is under way, then closes the port. */
  stop(): Promise<void>;
}

export function startAdmission(options: AdmissionOptions): Admission {
  const { env, settings, webhookSettings: at, read, write, emit, metrics } = options;
  const { podMutations: mutations, podGuards: guards } = options;
  const { configurations, sources } = podNarrowing({ mutations, guards }, settings);
  const narrowing = createNarrowing({
    ...options.narrowing,
    env,
    live: read.live,
    write,
    subscribe: options.subscribe,
    serves: (kind) => settings.serves(kind),
    sources,
    configurations,
    metrics,
  });
  const own = options.webhooks.map((webhook) =>
    options.narrowing.enabled ? announcing(webhook, sources, options.kinds, narrowing) : webhook,
  );
  const breaker = createBreaker({ env, emit, metrics });
  const webhooks = [...own, ...podWebhooks({ mutations, guards, installNamespace: at.installNamespace, breaker })];
  const log = env.log.child({ controller: "webhook" });
  const record = protectionLog(options.protectionLogPath, log);
  const context: AdmissionContext = {
    read,
    write,
    settings,
    log,
    nowMs: () => env.nowMs(),
    random: () => env.random(),
    after: (delayMs, run) => env.after(delayMs, run),
    emit,
    refused: refusalRecorder(record, metrics),
  };
  const server = createAdmissionServer({
    env,
    serve: options.serve,
    steer: options.steer,
    port: at.port,
    handler: createHandler({ env, webhooks, converter: converterFor(options.kinds), context, metrics, unready: options.unready }),
    bodyBytesMax: bodyLimits.conversionBytesMax,
  });
  const controller = webhookController({
    env,
    live: read.live,
    write,
    subscribe: options.subscribe,
    settings: at,
    kinds: options.kinds,
    handledPaths: () => activePaths(webhooks, settings),
    install: (certificates) => server.use(certificates),
    emit,
    metrics,
    peerServes: peerCheck(env, options.fetch),
  });
  controller.start();
  void controller.initialized.then(() => narrowing.start());
  let check: (() => Promise<Readiness>) | undefined;
  return {
    initialized: controller.initialized,
    get lastError() {
      return controller.lastError;
    },
    get port() {
      return server.port;
    },
    ready() {
      if (!controller.isInitialized) {
        const message = `the webhook controller has not succeeded yet: ${controller.lastError ?? "under way"}`;
        return Promise.resolve({ ok: false, message });
      }
      check ??= readinessCheck({ env, fetch: options.fetch, port: server.port ?? at.port, certDir: at.certDir, host: at.host });
      return check();
    },
    wake: () => controller.wake(),
    async stop() {
      await server.stop();
      await record.flushed();
    },
  };
}
