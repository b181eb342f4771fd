/**
 * Pulls the images that this node's NodeImage asks for, and tells in its status how far it is.
 *
 * tasks.ts    what is asked for, and on what terms?
 * crew.ts     who works on what?
 * worker.ts   attempts, pauses and the deadline of one task
 * pull.ts     one attempt: is it there, is there room, who are we?
 * credentials/ which credentials fit an image?
 * status.ts   what does the NodeImage say?
 * memory.ts   what survives a restart?
 */
import { type NodeImage, nodeImages } from "../../api/nodeimage.ts";
import { type Worked, WorkQueue } from "../../engine/queue.ts";
import type { KubeClient } from "../../kube/client.ts";
import { TokenBucket } from "../../kube/flow.ts";
import { type Key, refOf } from "../../kube/kind.ts";
import { failureText } from "../../kube/outcome.ts";
import { mergePatchOf } from "../../kube/patch/merge.ts";
import { refOfOwner } from "../../workload/images/tasks.ts";
import type { Frame, Part } from "../frame.ts";
import { daemonMetrics as names } from "../metrics-names.ts";
import { patchStatus } from "../patch-status.ts";
import { Credentials } from "./credentials/index.ts";
import { NodeFiles } from "./credentials/node-files.ts";
import { loadPlugins } from "./credentials/plugins.ts";
import { Secrets } from "./credentials/secrets.ts";
import { Crew } from "./crew.ts";
import { headroomProblem } from "./headroom.ts";
import { recordMemory } from "./memory.ts";
import { Pool } from "./pool.ts";
import { attempt, type PullDeps } from "./pull.ts";
import type { Ended } from "./state.ts";
import { statusFor } from "./status.ts";
import type { Task } from "./tasks.ts";

export const pullerLimits = {
  /** ms; what happens close together is told in one write. */
  gatherMs: 200,
  /** Status writes a second, and at once. */
  writesPerSecond: 0.5,
  writeBurst: 5,
  /** ms until a write that was held back is tried again, spread by as much as `heldSpreadMs`. */
  heldMs: 3_000,
  heldSpreadMs: 2_000,
  backoffMsMin: 500,
  backoffMsMax: 50_000,
  retriesPerSecond: 10,
  retryBurst: 100,
} as const;

const name = "kruise-daemon-imagepuller";

/** Whatever the gate KruiseDaemon says: an agent that was started serves what is asked of it. */
export async function imagesPart(frame: Frame): Promise<Part> {
  const { env, kube, options, runtimes } = frame;
  const { flags } = options;
  const client = kube.client.as(`kruise-daemon/${name}`);
  const credentials = new Credentials({
    secrets: new Secrets(env, client),
    files: new NodeFiles(env, { workingDirectory: process.cwd(), home: process.env["HOME"] }),
    plugins: await loadPlugins(env, flags["plugin-config-file"], flags["plugin-bin-dir"]),
  });
  return new Puller(frame, client, {
    images: runtimes.images,
    credentials,
    headroom: () => headroomProblem(runtimes.images, flags["image-disk-free-percent-min"]),
    // CRI-O looks short names up in its own list of registries.
    qualified: runtimes.names[0] === "cri-o",
  });
}

export class Puller implements Part {
  readonly name = name;
  readonly #frame: Frame;
  readonly #client: KubeClient;
  readonly #key: Key;
  readonly #crew: Crew;
  readonly #queue: WorkQueue;
  readonly #writes: TokenBucket;
  #unsubscribe: () => void = () => {};

  constructor(frame: Frame, client: KubeClient, deps: PullDeps) {
    const { env, options, record, metrics } = frame;
    this.#frame = frame;
    this.#client = client;
    this.#key = { namespace: "", name: options.nodeName };
    this.#crew = new Crew({
      env,
      pool: new Pool(options.flags["max-workers-for-pull-image"]),
      memory: recordMemory(record),
      attempt: (task, limitMs, signal) => attempt(deps, task, limitMs, signal),
      changed: () => this.#queue.addAfter(this.#key, pullerLimits.gatherMs),
      over: (task, ended, how) => this.#tell(task, ended, how),
    });
    this.#queue = new WorkQueue(env, { name: "imagepuller", workers: 1, work: () => this.#work(), backoff: pullerLimits, metrics });
    this.#writes = new TokenBucket(env, { perSecond: pullerLimits.writesPerSecond, burst: pullerLimits.writeBurst });
    metrics.onCollect(() => metrics.set(names.pullsInFlight, {}, this.#crew.pulling));
  }

  start(): void {
    this.#unsubscribe = this.#frame.kube.cache.subscribe(nodeImages, () => this.#queue.add(this.#key));
    this.#queue.add(this.#key);
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    await Promise.all([this.#queue.stop(), this.#crew.stop()]);
  }

  async #work(): Promise<Worked> {
    const { env, kube } = this.#frame;
    // Before the first list nothing is known: what was begun is not to be taken for unwanted.
    if (!kube.cache.synced([nodeImages])) return { next: "done", afterMs: pullerLimits.backoffMsMin };
    const nodeImage = kube.cache.get(nodeImages, this.#key);
    const isThere = nodeImage !== undefined && nodeImage.metadata.deletionTimestamp === undefined;
    this.#crew.follow(isThere ? nodeImage : undefined);
    const afterMs = this.#crew.tellsAfterMs;
    const done: Worked = { next: "done", ...(afterMs === undefined ? {} : { afterMs }) };
    if (!isThere || !this.#isNews(this.#changeOf(nodeImage))) return done;
    if (!this.#writes.tryTake()) return { next: "done", afterMs: pullerLimits.heldMs + env.random() * pullerLimits.heldSpreadMs };
    const failure = await patchStatus(this.#client, kube.cache, nodeImages, nodeImage, (fresh) => this.#changeOf(fresh));
    if (failure === undefined) return done;
    if (failure.why === "conflict") return { next: "soon" };
    env.log.warn({ nodeImage: this.#key.name, problem: failureText(failure) }, "cannot write the status");
    return { next: "backOff" };
  }

  /** Undefined: the status says what is so. */
  #changeOf(nodeImage: Readonly<NodeImage>): object | undefined {
    const wanted = statusFor(nodeImage, (task) => this.#crew.stateOf(task));
    // A NodeImage that was never asked for anything needs no status.
    if (nodeImage.status === undefined && wanted.desired === 0) return undefined;
    return mergePatchOf(nodeImage.status ?? {}, wanted) as object | undefined;
  }

  /** How many tasks there are is told together with how they are. */
  #isNews(change: object | undefined): boolean {
    return change !== undefined && (this.#crew.tellsAfterMs === undefined || "imageStatuses" in change);
  }

  #tell(task: Task, ended: Ended, how: "present" | "pulled" | "failed"): void {
    const { env, events, metrics, kube } = this.#frame;
    const took = (ended.endMs - ended.startMs) / 1000;
    metrics.add(names.pulls, { result: how });
    metrics.observe(names.pullSeconds, { result: how }, took);
    const text = `image ${task.image}:${task.tag}`;
    env.log.info({ image: task.image, tag: task.tag, result: how, seconds: took }, "a pull has ended");
    const nodeImage = kube.cache.get(nodeImages, this.#key);
    const recorder = events.as(name);
    const subject = nodeImage === undefined ? { of: nodeImages, ...this.#key } : refOf(nodeImages, nodeImage as NodeImage);
    if (ended.phase === "Succeeded") {
      const message = how === "present" ? `${text} is on the node already` : `${text} pulled in ${took.toFixed(1)}s`;
      recorder.record(subject, { type: "Normal", reason: "PullImageSucceed", message });
      return;
    }
    const warning = { type: "Warning", reason: "PullImageFailed", message: `${text} on node ${this.#key.name}: ${ended.message}` } as const;
    for (const owner of task.spec.ownerReferences ?? []) recorder.record(refOfOwner(owner), warning);
    recorder.record(subject, warning);
  }
}
