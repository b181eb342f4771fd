/** A container runtime for tests: CRI v1 over a unix socket, by an independent gRPC implementation, over containers and images in memory. */
import { rmSync } from "node:fs";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import { containerState, imageService, runtimeService } from "../cri/messages.ts";
import type { Draft, UnaryCall } from "../cri/proto.ts";

export interface FakeContainer {
  id: string;
  name: string;
  podUid: string;
  state: number;
  createdAtMs: number;
  startedAtMs: number;
  restartCount: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Of the verbose status, as JSON texts. */
  info: Record<string, string>;
  env: Record<string, string>;
}

export interface FakeCall {
  /** "StopContainer" */
  readonly call: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly atMs: number;
  /** Until when the other end waits, as it says; absent: for good. */
  readonly deadlineMs?: number;
}

/** Thrown by a handler: the call ends with this gRPC status. */
export class FakeFailure extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export interface FakeCriOptions {
  readonly runtimeName?: string;
  /** "v1alpha2": a runtime too old for us. */
  readonly api?: "v1" | "v1alpha2";
}

export class FakeCri {
  readonly containers = new Map<string, FakeContainer>();
  /** References. */
  readonly images = new Set<string>();
  readonly calls: FakeCall[] = [];
  /** Calls that the other end gave up, in order. */
  readonly cancelled: string[] = [];
  /** Asked before each call is carried out; may throw a FakeFailure, or wait. */
  before: (call: string, request: Readonly<Record<string, unknown>>) => void | Promise<void> = () => {};
  /** Told of the ids of containers that were stopped: where a kubelet would start the next one. */
  stopped: (container: FakeContainer) => void = () => {};
  /** What a command prints. */
  exec: (container: FakeContainer, command: readonly string[]) => { stdout?: string; stderr?: string; exitCode?: number } = () => ({});
  #server: Server | undefined;

  constructor(
    readonly socketPath: string,
    private readonly options: FakeCriOptions = {},
  ) {}

  static async start(socketPath: string, options?: FakeCriOptions): Promise<FakeCri> {
    const fake = new FakeCri(socketPath, options);
    await fake.listen();
    return fake;
  }

  async listen(): Promise<void> {
    const server = new Server({ "grpc.max_send_message_length": -1, "grpc.max_receive_message_length": -1 });
    this.#serve(server, runtimeService.version, () => ({ runtimeName: this.options.runtimeName ?? "containerd" }));
    this.#serve(server, runtimeService.listContainers, ({ filter }) => ({
      containers: [...this.containers.values()]
        .filter((each) => filter?.id === undefined || filter.id === "" || each.id === filter.id)
        .filter((each) => Object.entries(filter?.labelSelector ?? {}).every(([key, value]) => each.labels[key] === value))
        .map(({ id, state, createdAtMs, labels }) => ({ id, state, createdAtMs, labels })),
    }));
    this.#serve(server, runtimeService.containerStatus, ({ containerId, verbose }) => {
      const { id, state, createdAtMs, startedAtMs, labels, annotations, info } = this.#container(containerId);
      return { status: { id, state, createdAtMs, startedAtMs, labels, annotations }, info: verbose ? info : {} };
    });
    this.#serve(server, runtimeService.stopContainer, ({ containerId }) => {
      const container = this.#container(containerId);
      if (container.state === containerState.running) {
        container.state = containerState.exited;
        this.stopped(container);
      }
      return {};
    });
    this.#serve(server, runtimeService.execSync, ({ containerId, cmd }) => {
      const { stdout = "", stderr = "", exitCode = 0 } = this.exec(this.#container(containerId), cmd);
      return { stdout: new TextEncoder().encode(stdout), stderr: new TextEncoder().encode(stderr), exitCode };
    });
    this.#serve(server, imageService.imageFsInfo, () => ({ imageFilesystems: [{ fsId: { mountpoint: "/" }, usedBytes: { value: 1 } }] }));
    this.#serve(server, imageService.listImages, () => ({ images: [...this.images].map((reference) => ({ id: `sha256:${reference}` })) }));
    this.#serve(server, imageService.imageStatus, ({ image: asked }) => {
      const reference = asked?.image ?? "";
      return { image: this.images.has(reference) ? { id: `sha256:${reference}` } : undefined };
    });
    this.#serve(server, imageService.pullImage, ({ image: asked }) => {
      const reference = asked?.image ?? "";
      this.images.add(reference);
      return { imageRef: `sha256:${reference}` };
    });
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`unix://${this.socketPath}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())),
    );
    this.#server = server;
  }

  /** Ends all connections; the socket is gone, as when the runtime is stopped. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    rmSync(this.socketPath, { force: true });
  }

  /** A running container as a kubelet makes it. */
  run(of: {
    id: string;
    name: string;
    podUid: string;
    podName?: string;
    namespace?: string;
    restartCount?: number;
    startedAtMs?: number;
    hash?: number;
    env?: Record<string, string>;
    annotations?: Record<string, string>;
    info?: Record<string, string>;
  }): FakeContainer {
    const atMs = of.startedAtMs ?? Date.now();
    const container: FakeContainer = {
      id: of.id,
      name: of.name,
      podUid: of.podUid,
      state: containerState.running,
      createdAtMs: atMs,
      startedAtMs: atMs,
      restartCount: of.restartCount ?? 0,
      labels: {
        "io.kubernetes.pod.uid": of.podUid,
        "io.kubernetes.pod.name": of.podName ?? "p",
        "io.kubernetes.pod.namespace": of.namespace ?? "default",
        "io.kubernetes.container.name": of.name,
      },
      annotations: {
        "io.kubernetes.container.restartCount": String(of.restartCount ?? 0),
        "io.kubernetes.container.hash": (of.hash ?? 1).toString(16),
        ...of.annotations,
      },
      env: of.env ?? {},
      info: of.info ?? {
        info: JSON.stringify({
          runtimeSpec: { process: { env: Object.entries(of.env ?? {}).map(([name, value]) => `${name}=${value}`) } },
        }),
      },
    };
    this.containers.set(of.id, container);
    return container;
  }

  callsOf(call: string): readonly FakeCall[] {
    return this.calls.filter((each) => each.call === call);
  }

  #container(id: string): FakeContainer {
    const container = this.containers.get(id);
    if (container === undefined) throw new FakeFailure(5, `container "${id}" not found`);
    return container;
  }

  #serve<Q extends object, A extends object>(
    server: Server,
    { path, request, answer }: UnaryCall<Q, A>,
    carryOut: (request: Q) => Draft<A>,
  ): void {
    const call = path.slice(path.lastIndexOf("/") + 1);
    const handle: handleUnaryCall<Uint8Array, Uint8Array> = (unary, respond) => {
      const asked = request.decode(unary.request);
      const atMs = Date.now();
      const deadline = unary.getDeadline();
      this.calls.push({
        call,
        request: asked as Record<string, unknown>,
        atMs,
        ...(deadline === Number.POSITIVE_INFINITY ? {} : { deadlineMs: Number(deadline) - atMs }),
      });
      unary.on("cancelled", () => this.cancelled.push(call));
      const work = async () => {
        await this.before(call, asked as Record<string, unknown>);
        return answer.encode(carryOut(asked));
      };
      work().then(
        (bytes) => respond(null, bytes),
        (error) =>
          respond({
            code: error instanceof FakeFailure ? error.code : 2,
            message: error.message,
            details: error.message,
            name: "",
            metadata: undefined,
          }),
      );
    };
    const raw = (value: Uint8Array) => Buffer.from(value);
    const definition = {
      path: path.replace("/runtime.v1.", `/runtime.${this.options.api ?? "v1"}.`),
      requestStream: false,
      responseStream: false,
      requestSerialize: raw,
      requestDeserialize: (bytes: Buffer) => new Uint8Array(bytes),
      responseSerialize: raw,
      responseDeserialize: (bytes: Buffer) => new Uint8Array(bytes),
    } as const;
    server.addService({ [call]: definition }, { [call]: handle });
  }
}
