/**
 * One node agent: the real parts that recreate containers and pull images, the real client, watch cache and record, over the simulated
 * network and the runtime of its node. What a process does around these (flags, ports, detection of runtimes) is left out.
 */

import { Killer } from "../../src/daemon/containers/killer.ts";
import type { ImageService, RuntimeService } from "../../src/daemon/cri/client.ts";
import type { Runtimes } from "../../src/daemon/cri/runtimes.ts";
import type { Frame, Part } from "../../src/daemon/frame.ts";
import { Credentials } from "../../src/daemon/images/credentials/index.ts";
import { Keyring } from "../../src/daemon/images/credentials/keyring.ts";
import { Secrets } from "../../src/daemon/images/credentials/secrets.ts";
import { Puller } from "../../src/daemon/images/index.ts";
import { daemonOptions } from "../../src/daemon/options.ts";
import type { DaemonRecord } from "../../src/daemon/record.ts";
import { recreatePart } from "../../src/daemon/recreate/index.ts";
import { watchedOn } from "../../src/daemon/watched.ts";
import { MemoryMetrics } from "../../src/engine/metrics.ts";
import { EventRecorder } from "../../src/kube/events.ts";
import { pods } from "../../src/kube/kinds.ts";
import { anonymousCredentials, createKube, type Kube } from "../../src/kube/kube.ts";
import type { Peer } from "./faults.ts";
import { ProcessEnv } from "./process-env.ts";
import type { World } from "./world.ts";

export interface AgentParts {
  readonly nodeName: string;
  readonly runtime: RuntimeService & ImageService;
  /** What an earlier process left. */
  readonly record: DaemonRecord;
}

export class NodeAgent implements Peer {
  readonly env: ProcessEnv;
  readonly #kube: Kube;
  readonly #parts: readonly Part[];

  constructor(
    private readonly world: World,
    readonly name: string,
    runtimeOf: (agent: NodeAgent) => AgentParts,
  ) {
    this.env = new ProcessEnv(
      world.env,
      () => 0,
      world.options.seed,
      name,
      (message, fields) => void (this.env.alive && world.violate("no errors", `${name}: ${message}: ${JSON.stringify(fields)}`)),
    );
    const { env } = this;
    const { nodeName, runtime, record } = runtimeOf(this);
    const parsed = daemonOptions(["--mode=daemon"], { NODE_NAME: nodeName });
    if (!parsed.ok) throw new Error(parsed.message);
    const kube = createKube(env, anonymousCredentials(), { userAgent: "kruise-daemon", fetch: world.network.fetchOf(this) });
    this.#kube = kube;
    for (const { of, scope } of watchedOn(nodeName, true)) kube.cache.ensure(of, scope);
    const events = EventRecorder.create(env, kube.client, "kruise-daemon", nodeName);
    const metrics = new MemoryMetrics();
    const fetch = () => Promise.reject(new Error("no hooks over HTTP here"));
    const killer = new Killer({ env, fetch, events, metrics, record });
    const runtimes = {
      images: runtime,
      names: ["containerd"],
      named: async (type: string) => (type === "containerd" ? runtime : undefined),
    };
    const frame: Frame = {
      env,
      machineNowMs: () => env.nowMs(),
      options: parsed.options,
      kube,
      runtimes: runtimes as unknown as Runtimes,
      events,
      metrics,
      record,
      killer,
    };
    const client = kube.client.as("kruise-daemon/kruise-daemon-imagepuller");
    const credentials = new Credentials({
      secrets: new Secrets(env, client),
      files: { keyring: () => new Keyring() },
      plugins: { lookup: async () => [] },
    });
    const puller = new Puller(frame, client, { images: runtime, credentials, headroom: async () => undefined, qualified: false });
    this.#parts = [recreatePart(frame), puller];
  }

  async start(): Promise<void> {
    await this.#kube.cache.whenSettled([pods], 60_000);
    for (const part of this.#parts) await part.start();
  }

  /** SIGKILL. */
  kill(): void {
    this.world.trace.note(this.name, "killed", "");
    this.env.kill();
    this.world.network.cut(this);
  }
}
