/**
 * The container runtime of a simulated node: its containers are what the simulated kubelet shows of the pods there, and its images come
 * from a registry that asks who one is. It outlives the agent: what was begun goes on, but for pulls, which end with the connection.
 */
import type { ContainerFilter, ImageService, PullOrder, RuntimeService } from "../../src/daemon/cri/client.ts";
import type { Called } from "../../src/daemon/cri/grpc.ts";
import { grpcCode } from "../../src/daemon/cri/grpc.ts";
import { type Container, type ContainerStatus, containerState } from "../../src/daemon/cri/messages.ts";
import { parseTime } from "../../src/kube/time.ts";
import type { Pod } from "../../src/kube/types.ts";
import type { World } from "./world.ts";

interface Kept {
  readonly id: string;
  readonly podUid: string;
  readonly name: string;
  readonly restartCount: number;
  readonly serial: number;
  readonly startedAtMs: number;
  state: number;
}

const probes = "sandbox.kruise.io/probes";
const lookMs = 50;
const hookMs = 2_000;
const pullMs = 2_000;

export class NodeRuntime {
  /** Containers that were asked to stop, in order; one may be asked more than once. */
  readonly stops: string[] = [];
  /** Hooks that were begun. */
  hooks = 0;
  /** Images that came. */
  readonly pulled: string[] = [];
  readonly images = new Set<string>();
  /** Containers that cannot be stopped, by name. */
  readonly unstoppable = new Set<string>();
  /** Whom the registry lets in; undefined: everybody. */
  user: string | undefined;
  readonly #kept = new Map<string, Kept>();
  readonly #stopping = new Set<string>();
  #serial = 0;

  constructor(
    private readonly world: World,
    readonly nodeName: string,
  ) {
    world.sandbox.onWrite(({ resource }) => {
      if (resource.kind.plural === "pods") this.#look();
    });
  }

  /** Its services, as a process sees them. @param alive whether that process is: a pull ends with it */
  client(alive: () => boolean): RuntimeService & ImageService {
    return {
      version: async () => ({
        ok: true,
        value: { runtimeName: "containerd" },
      }),
      imageFsInfo: async () => ({ ok: true, value: [] }),
      listImages: async () => ({ ok: true, value: [] }),
      listContainers: async (filter) => ({ ok: true, value: this.#list(filter) }),
      containerStatus: async (id) => this.#status(id),
      containerInfo: async () => ({ ok: true, value: {} }),
      stopContainer: (id) => this.#stop(id),
      execSync: () => this.#exec(),
      imageStatus: async (image) => ({
        ok: true,
        value: this.images.has(image) ? { id: `sha256:${image}` } : undefined,
      }),
      pullImage: (order) => this.#pull(order, alive),
    };
  }

  #look(): void {
    for (const pod of this.world.list<Pod>("pods")) {
      if (pod.spec.nodeName !== this.nodeName) continue;
      for (const { name, containerID, restartCount, state } of pod.status?.containerStatuses ?? []) {
        const id = containerID?.replace("containerd://", "");
        if (id === undefined) continue;
        if (!this.#kept.has(id)) {
          this.#serial += 1;
          const startedAtMs = parseTime(state?.running?.startedAt) ?? this.world.env.nowMs();
          this.#kept.set(id, {
            id,
            podUid: pod.metadata.uid,
            name,
            restartCount,
            serial: this.#serial,
            startedAtMs,
            state: containerState.running,
          });
        }
        if (state?.terminated !== undefined) (this.#kept.get(id) as Kept).state = containerState.exited;
      }
    }
    for (const kept of this.#kept.values()) {
      const pod = this.world.list<Pod>("pods").find(({ metadata }) => metadata.uid === kept.podUid);
      const current = pod?.status?.containerStatuses?.find(({ name }) => name === kept.name);
      if (current === undefined || current.restartCount > kept.restartCount) kept.state = containerState.exited;
      if (kept.state === containerState.exited && this.#stopping.delete(kept.id) && pod !== undefined) this.#tellKubelet(pod);
    }
  }

  /** What is stopped dies of its probe: the kubelet here knows no runtime. */
  #tellKubelet({ metadata: { namespace, name, uid } }: Pod): void {
    const names = [...this.#stopping].flatMap((id) => (this.#kept.get(id)?.podUid === uid ? [this.#kept.get(id)?.name ?? ""] : []));
    const script = names.length === 0 ? null : names.map((each) => `${each}:dead@0`).join(",");
    void this.world.ask(
      "PATCH",
      `/api/v1/namespaces/${namespace}/pods/${name}`,
      { metadata: { annotations: { [probes]: script } } },
      "merge",
      "runtime",
    );
  }

  #container({ id, podUid, name, serial, state }: Kept): Container {
    const labels = { "io.kubernetes.pod.uid": podUid, "io.kubernetes.container.name": name };
    return { id, state, createdAtMs: serial, labels };
  }

  #list({ podUid, id }: ContainerFilter): readonly Container[] {
    return [...this.#kept.values()]
      .filter((kept) => (podUid === undefined || kept.podUid === podUid) && (id === undefined || id === "" || kept.id === id))
      .map((kept) => this.#container(kept));
  }

  #status(id: string): Called<ContainerStatus> {
    const kept = this.#kept.get(id);
    if (kept === undefined) return { ok: false, code: grpcCode.notFound, message: "not found" };
    const annotations = {
      "io.kubernetes.container.restartCount": String(kept.restartCount),
      "io.kubernetes.container.hash": "1",
    };
    return { ok: true, value: { ...this.#container(kept), startedAtMs: kept.startedAtMs, exitCode: 0, annotations } };
  }

  async #stop(id: string): Promise<Called<void>> {
    const kept = this.#kept.get(id);
    if (kept === undefined) return { ok: false, code: grpcCode.notFound, message: "not found" };
    if (this.unstoppable.has(kept.name))
      return { ok: false, code: grpcCode.internal, message: `cannot kill container ${id}: in uninterruptible sleep` };
    if (kept.state === containerState.running) this.stops.push(id);
    const pod = this.world.list<Pod>("pods").find(({ metadata }) => metadata.uid === kept.podUid);
    if (kept.state === containerState.running && pod !== undefined && !this.#stopping.has(id)) {
      this.#stopping.add(id);
      this.#tellKubelet(pod);
    }
    while (kept.state === containerState.running) await this.#pause(lookMs);
    return { ok: true, value: undefined };
  }

  async #exec(): ReturnType<RuntimeService["execSync"]> {
    this.hooks += 1;
    await this.#pause(hookMs);
    return { ok: true, value: { stdout: new Uint8Array(), stderr: new Uint8Array(), exitCode: 0 } };
  }

  async #pull({ image, auth }: PullOrder, alive: () => boolean): Promise<Called<string>> {
    await this.#pause(pullMs);
    if (!alive()) return { ok: false, code: grpcCode.cancelled, message: "the caller is gone" };
    if (this.user !== undefined && auth?.username !== this.user)
      return { ok: false, code: grpcCode.unknown, message: `${image}: unauthorized` };
    this.images.add(image);
    this.pulled.push(image);
    return { ok: true, value: `sha256:${image}` };
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.world.env.after(ms, resolve));
  }
}
