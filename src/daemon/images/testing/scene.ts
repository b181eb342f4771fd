/** A node agent over a small API server and a runtime in memory, in virtual time. */
import type { NodeImage, NodeImageImage, NodeImageTag, NodeImageTagStatus } from "../../../api/nodeimage.ts";
import { nodeImages } from "../../../api/nodeimage.ts";
import { MemoryMetrics } from "../../../engine/metrics.ts";
import { sleep } from "../../../env/env.ts";
import { FakeEnv } from "../../../env/fake.ts";
import { EventRecorder } from "../../../kube/events.ts";
import { anonymousCredentials, createKube } from "../../../kube/kube.ts";
import { FakeApi } from "../../../kube/testing/fake-api.ts";
import { formatTime } from "../../../kube/time.ts";
import type { ImageService, PullOrder } from "../../cri/client.ts";
import type { Called, CallOptions } from "../../cri/grpc.ts";
import type { Frame } from "../../frame.ts";
import { daemonOptions } from "../../options.ts";
import { DaemonRecord } from "../../record.ts";
import { watchedOn } from "../../watched.ts";
import { Credentials } from "../credentials/index.ts";
import { Keyring } from "../credentials/keyring.ts";
import { Secrets } from "../credentials/secrets.ts";
import { Puller } from "../index.ts";

export const path = "/apis/apps.kruise.io/v1beta1/nodeimages";
export const secretsPath = "/api/v1/secrets";
export const startMs = Date.UTC(2025, 0, 1);
export const config = "kruise-daemon-config";

/** A runtime: what it has, what it was asked, and how it answers. */
export class Runtime implements ImageService {
  readonly has = new Map<string, string>();
  readonly orders: PullOrder[] = [];
  pulling = 0;
  most = 0;
  cancelled = 0;
  isAway = false;
  /** ms, and what goes wrong. */
  answer: (order: PullOrder) => { readonly tookMs: number; readonly problem?: string } = () => ({ tookMs: 1_000 });

  constructor(private readonly env: FakeEnv) {}

  #away(): Called<never> | undefined {
    return this.isAway ? { ok: false, code: 14, message: "cannot connect to the runtime: ENOENT" } : undefined;
  }
  async imageFsInfo(): Promise<Called<[]>> {
    return this.#away() ?? { ok: true, value: [] };
  }
  async listImages(): Promise<Called<[]>> {
    return this.#away() ?? { ok: true, value: [] };
  }
  async imageStatus(image: string): ReturnType<ImageService["imageStatus"]> {
    const id = this.has.get(image);
    return this.#away() ?? { ok: true, value: id === undefined ? undefined : { id } };
  }
  async pullImage(order: PullOrder, { deadlineMs = Number.POSITIVE_INFINITY, signal }: CallOptions = {}): Promise<Called<string>> {
    const away = this.#away();
    if (away !== undefined) return away;
    this.orders.push(order);
    const { tookMs, problem } = this.answer(order);
    this.pulling += 1;
    this.most = Math.max(this.most, this.pulling);
    const over = AbortSignal.any([this.env.stopped, ...(signal ? [signal] : [])]);
    await sleep(this.env, Math.min(tookMs, deadlineMs), over);
    this.pulling -= 1;
    if (over.aborted) {
      this.cancelled += 1;
      return { ok: false, code: 1, message: "the call was cancelled" };
    }
    if (tookMs > deadlineMs) return { ok: false, code: 4, message: "no answer" };
    if (problem !== undefined) return { ok: false, code: 2, message: problem };
    this.has.set(order.image, `sha256:${order.image.length}`);
    return { ok: true, value: "ref" };
  }
}

export interface Scene {
  readonly env: FakeEnv;
  readonly api: FakeApi;
  readonly runtime: Runtime;
  readonly record: DaemonRecord;
  readonly metrics: MemoryMetrics;
  puller: Puller;
  /** Another process over the same server, runtime and record. */
  build(): Puller;
  start(): Promise<void>;
}

export function scene(flags: readonly string[] = [], env = new FakeEnv({ startMs })): Scene {
  const api = new FakeApi(path, secretsPath, "/api/v1/events");
  const runtime = new Runtime(env);
  const record = new DaemonRecord(env);
  const metrics = new MemoryMetrics();
  const parsed = daemonOptions(["--mode=daemon", ...flags], { NODE_NAME: "n1" });
  if (!parsed.ok) throw new Error(parsed.message);
  const build = (): Puller => {
    const kube = createKube(env, anonymousCredentials(), { userAgent: "kruise-daemon", fetch: api.fetch });
    const watched = watchedOn("n1", false).find(({ of }) => of === nodeImages);
    kube.cache.ensure(nodeImages, watched?.scope);
    const client = kube.client.as("kruise-daemon/kruise-daemon-imagepuller");
    const events = EventRecorder.create(env, kube.client, "kruise-daemon", "n1");
    const frame = { env, options: parsed.options, kube, events, metrics, record } as unknown as Frame;
    const credentials = new Credentials({
      secrets: new Secrets(env, client),
      files: { keyring: () => new Keyring() },
      plugins: { lookup: async () => [] },
    });
    return new Puller(frame, client, { images: runtime, credentials, headroom: async () => undefined, qualified: false });
  };
  const self: Scene = {
    env,
    api,
    runtime,
    record,
    metrics,
    puller: build(),
    build,
    async start() {
      self.puller.start();
      await env.advance(1_000);
    },
  };
  return self;
}

/** What the process that comes after a crash is: a new puller over the same record. */
export async function crash(of: Scene): Promise<void> {
  await of.puller.stop();
  of.puller = of.build();
  await of.start();
}

export const task = (tag: string, more: Partial<NodeImageTag> = {}): NodeImageTag => ({
  tag,
  createdAt: formatTime(startMs),
  pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 },
  imagePullPolicy: "IfNotPresent",
  ...more,
});
export function ask({ api }: Scene, images: Record<string, Omit<NodeImageImage, "tags"> & { tags: NodeImageTag[] }>): void {
  const known = api.object(path, "n1") as NodeImage | undefined;
  api.put(path, { ...(known as unknown as Record<string, unknown>), metadata: known?.metadata ?? { name: "n1" }, spec: { images } });
}
export const statusOf = ({ api }: Scene) => (api.object(path, "n1") as NodeImage | undefined)?.status;
export const tagOf = (of: Scene, tag: string, image = "nginx"): NodeImageTagStatus | undefined =>
  statusOf(of)?.imageStatuses?.[image]?.tags.find((each) => each.tag === tag);
export const writes = ({ api }: Scene) =>
  api.requests.filter(({ method, path: to }) => method === "PATCH" && to.startsWith(`${path}/n1/status`));
export const events = ({ api }: Scene) =>
  api.all("/api/v1/events").map(
    (event) =>
      event as unknown as {
        type: string;
        reason: string;
        message: string;
        involvedObject: { kind: string };
        source: { component: string };
      },
  );
