/**
 * One manager process, put together: the API server's side, the webhook port, the controllers. The order of the start is the order of
 * who needs whom; what does not depend on each other happens at once.
 */
import { hostname } from "node:os";
import { type Admission, startAdmission } from "../admission/index.ts";
import type { Serve } from "../admission/server.ts";
import type { Settings } from "../api/settings.ts";
import { eventPort } from "../engine/kube-ports.ts";
import { metrics as metricNames } from "../engine/metrics-names.ts";
import { Runner } from "../engine/runner.ts";
import { type Env, sleep } from "../env/env.ts";
import { type Fetch, httpFetch, serve } from "../env/network.ts";
import { keepProgramSmall } from "../env/program-memory.ts";
import { type Steer, steerConnections } from "../env/steering.ts";
import { features } from "../features/index.ts";
import { type CredentialsResult, loadCredentials } from "../kube/credentials.ts";
import { discover, serverInfo } from "../kube/discovery.ts";
import { EventRecorder } from "../kube/events.ts";
import { type Kind, refOf, resourceName } from "../kube/kind.ts";
import { leases } from "../kube/kinds.ts";
import { createKube, type Kube } from "../kube/kube.ts";
import { Election } from "../kube/lease.ts";
import { failureText } from "../kube/outcome.ts";
import { atLeast, type ServerVersion } from "../kube/version.ts";
import { parseAddress } from "../process/address.ts";
import { type Check, type Listener, listen } from "../process/endpoints.ts";
import { ProcessMetrics } from "../process/metrics.ts";
import { versionInfo } from "../process/version.ts";
import { collectWatches } from "../process/watch-metrics.ts";
import { openRecord } from "../record/index.ts";
import { Caches } from "./caches.ts";
import { metadataWatches } from "./metadata-watches.ts";
import type { ManagerOptions } from "./options.ts";
import { ServedKinds } from "./served.ts";
import { recordPath } from "./state-dir.ts";

const controllersDrainMsMax = 30_000;
/** Where other replicas may be: until the API server asks one of those, which a Service or another replica takes a moment to see to. */
const webhooksLingerMs = 1_500;
/** For how long webhooks and conversions may keep the caches of admission from being filled. */
const definitionsFirstMsMax = 2_000;

/** Why the process ends with code 1: said to the user, not thrown around. */
class Fatal extends Error {}

/** @returns the exit code, after everything has ended */
export async function runManager(env: Env, options: ManagerOptions, stop: () => void): Promise<number> {
  const { log } = env;
  const giveBackProgram = keepProgramSmall(env, 32);
  let code = 0;
  const fatal = (message: string) => {
    if (code === 0) log.error({}, message);
    code = 1;
    stop();
  };
  try {
    const manager = await startManager(env, options, fatal);
    giveBackProgram();
    await new Promise<void>((resolve) => {
      if (env.stopped.aborted) resolve();
      else env.stopped.addEventListener("abort", () => resolve(), { once: true });
    });
    await manager.stop();
  } catch (error) {
    if (!(error instanceof Fatal)) log.error({ error }, "the manager failed");
    else log.error({}, error.message);
    return 1;
  }
  log.info({ code }, "stopped");
  return code;
}

export interface Running {
  stop(): Promise<void>;
}

/** The manager's doors to the outside: the network, or a cluster in the same process. */
export interface Outside {
  readonly fetch: Fetch;
  /** Listens for the webhooks. */
  readonly serve: Serve;
  readonly steer?: Steer;
  credentials(env: Env, options: ManagerOptions): Promise<CredentialsResult>;
}

const network: Outside = {
  fetch: httpFetch,
  serve,
  steer: steerConnections,
  credentials: (env, { flags }) => loadCredentials(env, { kubeconfig: flags.kubeconfig || undefined }),
};

/** Resolves when the webhooks are in place and the controllers start, or the election does. @throws Error when it cannot be */
export async function startManager(
  env: Env,
  options: ManagerOptions,
  fatal: (message: string) => void,
  outside: Outside = network,
): Promise<Running> {
  const { flags } = options;
  const metrics = new ProcessMetrics(env);
  const kube = await connect(env, options, metrics, outside);
  const { client } = kube;
  collectWatches(metrics, kube.cache);
  const record = openRecord(env, recordPath(flags["record-path"], process.env), {
    arrived: (how, tookMs) => {
      if (how === "inPlace") metrics.observe(metricNames.inPlaceUpdateSeconds, {}, tookMs / 1000);
    },
  });
  const caches = new Caches(env, kube.cache, record, client, `${flags.namespace} ${versionInfo.version}`);
  const [served, settings, version] = await learnServer(env, kube, options);
  const narrows = flags["narrow-pod-webhooks"] && atLeast(version, 1, 28);
  if (flags["narrow-pod-webhooks"] && !narrows)
    env.log.warn({}, "--narrow-pod-webhooks has no effect: this API server knows no match conditions (Kubernetes 1.28)");
  const events = EventRecorder.create(env, client, "kruise-manager", hostname());

  const reads = features.flatMap((feature) => feature.reads ?? []);
  const admission = serveAdmission(env, options, { kube, caches, settings, served, metrics, events, reads, outside, narrows });
  const listeners = openEndpoints(options, metrics, async () => {
    const ready = await admission.ready();
    return ready.ok ? undefined : ready.message;
  });

  const timeoutMs = flags["webhook-initialize-timeout"];
  const initialized = await Promise.race([admission.initialized.then(() => true), sleep(env, timeoutMs).then(() => false)]);
  if (!initialized && !env.stopped.aborted)
    throw new Fatal(`webhooks were not set up within ${timeoutMs / 1000} s: ${admission.lastError ?? "no attempt has ended"}`);

  const runner = new Runner(
    env,
    {
      read: kube.read,
      write: client,
      writerOf: (controller) => client.as(`kruise-manager/${controller.name}`),
      cache: caches,
      events: eventPort(events),
      served,
      history: record.history,
    },
    {
      settings,
      metrics,
      workers: (flag) => (flags as Readonly<Record<string, unknown>>)[flag] as number | undefined,
      backoff: {
        backoffMsMin: flags["rate-limiter-base-delay"],
        backoffMsMax: flags["rate-limiter-max-delay"],
        retriesPerSecond: flags["rate-limiter-qps"],
        retryBurst: flags["rate-limiter-bucket-size"],
      },
      cacheSyncTimeoutMs: flags["controller-cache-sync-timeout"],
      syncPeriodMs: options.resyncMs ?? 0,
      fatal: (error) => fatal(error.message),
    },
  );
  const lead = () => {
    metrics.set(metricNames.managerIsLeader, {}, 1);
    const controllers = features.flatMap((feature) => feature.controllers ?? []);
    runner.start(controllers).catch((error) => fatal(`controllers could not start: ${String(error)}`));
  };
  const election = flags["enable-leader-election"] ? elect(env, options, kube, { events, metrics, lead, fatal }) : undefined;
  if (!election) lead();

  return {
    async stop() {
      const replaced = election && new Promise<void>((resolve) => env.after(webhooksLingerMs, resolve));
      if (!(await runner.stop(controllersDrainMsMax)))
        env.log.warn({ limitMs: controllersDrainMsMax }, "work in progress did not end in time");
      await election?.release();
      await replaced;
      await Promise.all([admission.stop(), events.flush(), record.close(), ...listeners.map((listener) => listener.stop())]);
    },
  };
}

async function connect(env: Env, options: ManagerOptions, metrics: ProcessMetrics, outside: Outside): Promise<Kube> {
  const found = await outside.credentials(env, options);
  if (!found.ok) throw new Fatal(found.message);
  const host = new URL(found.credentials.server).host;
  return createKube(env, found.credentials, {
    userAgent: "kruise-manager",
    fetch: outside.fetch,
    namespace: options.flags.namespace || undefined,
    rateLimit: options.rateLimit,
    meter: (code, method) => metrics.add(metricNames.restClientRequestsTotal, { code, method, host }),
  });
}

async function learnServer(
  env: Env,
  kube: Kube,
  options: ManagerOptions,
): Promise<readonly [ServedKinds, Settings, ServerVersion | undefined]> {
  const [discovery, server] = await Promise.all([discover(kube.client), serverInfo(kube.client)]);
  if (!discovery.ok)
    throw new Fatal(`the API server at ${kube.transport.server} cannot be asked what it serves: ${failureText(discovery)}`);
  if (!server.ok) throw new Fatal(`the API server at ${kube.transport.server} does not tell its version: ${failureText(server)}`);
  const served = new ServedKinds(env, kube.client, discovery.object);
  const { flags } = options;
  return [
    served,
    {
      gates: options.gates,
      installNamespace: options.installNamespace,
      daemonConfigNamespace: options.daemonConfigNamespace,
      expectationTimeoutMs: flags["expectation-timeout"],
      allowPrivileged: flags["allow-privileged"],
      cloneSetExcludePreparingDelete: flags["cloneset-scaling-exclude-preparing-delete"],
      alwaysPullTtlSeconds: flags["default-ttlseconds-for-always-nodeimage"],
      nodeImageCreationDelayMs: flags["nodeimage-creation-delay"],
      resizeSubresource: atLeast(server.object.version, 1, 32),
      serves: (kind) => served.serves(kind),
    },
    server.object.version,
  ];
}

interface AdmissionParts {
  readonly kube: Kube;
  readonly caches: Caches;
  readonly settings: Settings;
  readonly served: ServedKinds;
  readonly metrics: ProcessMetrics;
  readonly events: EventRecorder;
  readonly reads: readonly Kind[];
  readonly outside: Outside;
  /** Keeps the API server from asking about pods that nothing concerns. */
  readonly narrows: boolean;
}

/** The webhook port of this replica, and what keeps the way to it open. */
function serveAdmission(env: Env, options: ManagerOptions, parts: AdmissionParts): Admission {
  const { kube, caches, settings, served, metrics, events, reads, outside, narrows } = parts;
  const ensure = (kinds: readonly Kind[] = reads) => {
    for (const kind of kinds) if (served.serves(kind)) caches.ensure(kind);
  };
  const voices = eventPort(events);
  let filling: Promise<void> | undefined;
  const defined: ReadonlySet<string> = new Set(features.flatMap((feature) => feature.kinds ?? []).map(({ kind }) => resourceName(kind)));
  const fill = async () => {
    ensure(reads.filter((kind) => !defined.has(resourceName(kind))));
    // A definition that changes sends away whoever reads its kind just then: the first way to this manager is laid before.
    await Promise.race([admission.initialized, sleep(env, definitionsFirstMsMax)]);
    ensure();
    await caches.settled(
      reads.filter((kind) => served.serves(kind)),
      options.flags["controller-cache-sync-timeout"],
    );
    filling = undefined;
  };
  const admission = startAdmission({
    env,
    settings,
    webhookSettings: options.webhook,
    webhooks: features.flatMap((feature) => feature.webhooks ?? []),
    podMutations: features.flatMap((feature) => feature.podMutations ?? []),
    podGuards: features.flatMap((feature) => feature.podGuards ?? []),
    kinds: features.flatMap((feature) => feature.kinds ?? []),
    read: kube.read,
    write: kube.client.as("kruise-manager/webhook-controller"),
    subscribe: metadataWatches(env, kube.transport.as("kruise-manager/webhook-controller"), (kind) => {
      if (kind.plural === "customresourcedefinitions") served.refresh();
    }),
    narrowing: {
      enabled: narrows,
      follow: (kind, changed) => kube.cache.subscribe(kind, changed),
      known: (kind) => (kube.cache.has(kind) ? kube.read.list(kind) : []),
    },
    emit: (on, type, reason, message, component = "kruise-manager") => voices.emit(on, { type, reason, message, component }),
    metrics,
    serve: outside.serve,
    ...(outside.steer === undefined ? {} : { steer: outside.steer }),
    fetch: outside.fetch,
    unready: () => filling,
    protectionLogPath: options.flags["protection-log-path"],
  });
  filling = fill();
  // A kind that appears or goes may open or close a path.
  served.changed(() => {
    ensure();
    admission.wake();
  });
  return admission;
}

function openEndpoints(options: ManagerOptions, metrics: ProcessMetrics, webhookReady: Check): Listener[] {
  const health = parseAddress(options.flags["health-probe-addr"]);
  const metricsAddress = parseAddress(options.flags["metrics-addr"]);
  for (const [flag, address] of [
    ["health-probe-addr", health],
    ["metrics-addr", metricsAddress],
  ] as const)
    if (typeof address === "string") throw new Fatal(`--${flag}: ${address}`);
  const listeners: Listener[] = [];
  try {
    if (typeof health === "object")
      listeners.push(listen(health, { health: { live: { ping: () => undefined }, ready: { "webhook-ready": webhookReady } } }));
    if (typeof metricsAddress === "object") listeners.push(listen(metricsAddress, { metrics }));
  } catch (error) {
    throw new Fatal(error instanceof Error ? error.message : String(error));
  }
  return listeners;
}

interface ElectionParts {
  readonly events: EventRecorder;
  readonly metrics: ProcessMetrics;
  lead(): void;
  fatal(message: string): void;
}

function elect(env: Env, options: ManagerOptions, kube: Kube, { events, metrics, lead, fatal }: ElectionParts): Election {
  const { flags } = options;
  const name = flags["leader-election-id"];
  const identity = `${hostname()}_${env.uuid()}`;
  metrics.set(metricNames.managerIsLeader, {}, 0);
  metrics.set(metricNames.leaderElectionMasterStatus, { name }, 0);
  const election = new Election(env, kube.client, {
    namespace: flags["leader-election-namespace"] || options.installNamespace,
    name,
    identity,
    leaseDurationMs: flags["leader-election-lease-duration"],
    renewDeadlineMs: flags["leader-election-renew-deadline"],
    retryPeriodMs: flags["leader-election-retry-period"],
    onLeading: (lease) => {
      metrics.set(metricNames.leaderElectionMasterStatus, { name }, 1);
      events.record(refOf(leases, lease), { type: "Normal", reason: "LeaderElection", message: `${identity} became leader` });
      lead();
    },
    onLost: (why) => {
      metrics.set(metricNames.managerIsLeader, {}, 0);
      fatal(`lost the lease: ${why}`);
    },
    onSlowPath: () => metrics.add(metricNames.leaderElectionSlowpathTotal, { name }),
    onOther: (other) => env.log.info({ leader: other }, "another manager leads"),
  });
  election.start();
  return election;
}
