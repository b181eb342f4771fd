/**
 * Reports the containers of pods of our workloads, so that the manager can tell when an in-place update is done, and restarts those
 * whose environment comes from labels and annotations that have changed since.
 *
 * select.ts      which pods, and when?
 * environment.ts what does a container run with?
 * report.ts      what is to be said and done?
 * restarter.ts   stopping containers that are out of date
 */
import { annotation } from "../../api/names.ts";
import { type Worked, WorkQueue } from "../../engine/queue.ts";
import { type Key, keyOf, keyText, refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { failureText } from "../../kube/outcome.ts";
import { isTerminating } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { containersOfPod } from "../containers/read.ts";
import type { RuntimeService } from "../cri/client.ts";
import { splitContainerId } from "../cri/runtimes.ts";
import type { Frame, Part } from "../frame.ts";
import { daemonMetrics } from "../metrics-names.ts";
import { type ContainerMeta, metaText } from "./annotation.ts";
import { type Environment, environmentOf } from "./environment.ts";
import { environmentsNeeded, type Observed, reportOf } from "./report.ts";
import { Restarter } from "./restarter.ts";
import { wakes } from "./select.ts";

export const metaLimits = {
  workers: 5,
  /** The runtime and the kubelet's status come close together: one look serves both. */
  delayMs: 1000,
  backoffMsMin: 500,
  backoffMsMax: 50_000,
  retriesPerSecond: 10,
  retryBurst: 100,
} as const;

const name = "kruise-daemon-containermeta";

/** Undefined without the gate DaemonWatchingPod. */
export function metaPart(frame: Frame): Part | undefined {
  const { env, kube, options } = frame;
  if (!options.gates.enabled("DaemonWatchingPod")) return undefined;
  const withEnv = options.gates.enabled("InPlaceUpdateEnvFromMetadata");
  const restarter = new Restarter(frame);
  const reporter = new Reporter(frame, restarter, withEnv);
  const queue = new WorkQueue(env, {
    name: "runtime_container_meta",
    workers: metaLimits.workers,
    work: (key) => reporter.work(key),
    backoff: metaLimits,
    metrics: frame.metrics,
  });
  const seen = (before: Readonly<Pod> | undefined, after: Readonly<Pod> | undefined) => {
    if (after !== undefined && wakes(before, after, withEnv)) queue.addAfter(keyOf(after), metaLimits.delayMs);
  };
  return {
    name,
    start: () => {
      kube.cache.subscribe(pods, seen);
      for (const pod of kube.cache.list(pods)) seen(undefined, pod);
    },
    stop: async () => {
      await Promise.all([queue.stop(), restarter.stop()]);
    },
  };
}

class Reporter {
  readonly #frame: Frame;
  readonly #restarter: Restarter;
  readonly #withEnv: boolean;
  readonly #client;

  constructor(frame: Frame, restarter: Restarter, withEnv: boolean) {
    this.#frame = frame;
    this.#restarter = restarter;
    this.#withEnv = withEnv;
    this.#client = frame.kube.client.as(`kruise-daemon/${name}`);
  }

  async work(key: Key): Promise<Worked> {
    const { env, kube, runtimes } = this.#frame;
    const pod = kube.cache.get(pods, key);
    const firstId = pod?.status?.containerStatuses?.find(({ containerID }) => containerID)?.containerID;
    const runtimeName = splitContainerId(firstId)?.type;
    if (pod === undefined || isTerminating(pod) || runtimeName === undefined) return { next: "gone" };
    const runtime = await runtimes.named(runtimeName);
    if (runtime === undefined) {
      env.log.warn({ pod: keyText(key), runtimeName, has: runtimes.names }, "a pod's containers are in a runtime that is not known here");
      return { next: "gone" };
    }
    const read = await containersOfPod(runtime, runtimeName, pod.metadata.uid);
    if (!read.ok) {
      env.log.warn({ pod: keyText(key), problem: read.message }, "cannot read the pod's containers");
      return { next: "backOff" };
    }
    return this.#report(key, runtime, { pod, containers: read.value, withEnv: this.#withEnv });
  }

  async #report(key: Key, runtime: RuntimeService, observed: Observed): Promise<Worked> {
    const report = reportOf(observed, await this.#environments(key, runtime, observed));
    for (const container of report.restart) this.#restarter.restart(container.id);
    if (report.write !== undefined) {
      const written = await this.#write(observed.pod, report.write);
      if (written !== undefined) return written;
    }
    // What could not be read now may be later: the container may have been about to start.
    return { next: report.unknownEnv.length > 0 ? "backOff" : "done" };
  }

  async #environments(key: Key, runtime: RuntimeService, observed: Observed): Promise<ReadonlyMap<string, Environment>> {
    const environments = new Map<string, Environment>();
    for (const container of environmentsNeeded(observed)) {
      const read = await environmentOf(runtime, container.runtimeId);
      if (read.ok) environments.set(container.name, read.value);
      else this.#frame.env.log.warn({ pod: keyText(key), container: container.name, problem: read.message }, "cannot read the environment");
    }
    return environments;
  }

  /** @returns undefined when it is written, or the pod is gone */
  async #write(pod: Readonly<Pod>, containers: readonly ContainerMeta[]): Promise<Worked | undefined> {
    const { metrics, env } = this.#frame;
    const body = { metadata: { uid: pod.metadata.uid, annotations: { [annotation.runtimeContainersMeta]: metaText(containers) } } };
    const written = await this.#client.patch(refOf(pods, pod as Pod), "strategic", body, { subresource: "status" });
    metrics.add(daemonMetrics.metaReports, { result: written.ok ? "written" : written.why });
    if (written.ok || written.why === "notFound") return undefined;
    if (written.why === "conflict") return { next: "soon" };
    env.log.warn({ pod: pod.metadata.name, problem: failureText(written) }, "cannot report the pod's containers");
    return { next: "backOff" };
  }
}
