/** A container runtime for tests: CRI v1 over a unix socket, by an independent gRPC implementation, over containers and images in memory. */
import { rmSync } from "node:fs";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import {
  containerState,
  containerStatusRequest,
  containerStatusResponse,
  empty,
  execSyncRequest,
  execSyncResponse,
  imageFsInfoResponse,
  imageStatusRequest,
  imageStatusResponse,
  listContainersRequest,
  listContainersResponse,
  listImagesRequest,
  listImagesResponse,
  pullImageRequest,
  pullImageResponse,
  stopContainerRequest,
  versionRequest,
  versionResponse,
} from "../cri/messages.ts";
import type { Draft, Message } from "../cri/proto.ts";

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
  /** Reference → size in bytes. */
  readonly images = new Map<string, number>();
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
    this.#register(server, "RuntimeService", {
      Version: this.#handler("Version", versionRequest, versionResponse, () => ({
        version: "0.1.0",
        runtimeName: this.options.runtimeName ?? "containerd",
        runtimeVersion: "1.0",
        runtimeApiVersion: "v1",
      })),
      ListContainers: this.#handler("ListContainers", listContainersRequest, listContainersResponse, ({ filter }) => ({
        containers: [...this.containers.values()]
          .filter((each) => filter?.id === undefined || filter.id === "" || each.id === filter.id)
          .filter((each) => Object.entries(filter?.labelSelector ?? {}).every(([key, value]) => each.labels[key] === value))
          .map(({ id, name, state, createdAtMs, labels, annotations }) => ({
            id,
            state,
            createdAtMs,
            labels,
            annotations,
            metadata: { name, attempt: 0 },
          })),
      })),
      ContainerStatus: this.#handler("ContainerStatus", containerStatusRequest, containerStatusResponse, ({ containerId, verbose }) => {
        const { id, name, state, createdAtMs, startedAtMs, labels, annotations, info } = this.#container(containerId);
        const status = { id, state, createdAtMs, startedAtMs, labels, annotations, metadata: { name, attempt: 0 } };
        return { status, info: verbose ? info : {} };
      }),
      StopContainer: this.#handler("StopContainer", stopContainerRequest, empty, ({ containerId }) => {
        const container = this.#container(containerId);
        if (container.state === containerState.running) {
          container.state = containerState.exited;
          this.stopped(container);
        }
        return {};
      }),
      ExecSync: this.#handler("ExecSync", execSyncRequest, execSyncResponse, ({ containerId, cmd }) => {
        const { stdout = "", stderr = "", exitCode = 0 } = this.exec(this.#container(containerId), cmd);
        return { stdout: new TextEncoder().encode(stdout), stderr: new TextEncoder().encode(stderr), exitCode };
      }),
    });
    this.#register(server, "ImageService", {
      ImageFsInfo: this.#handler("ImageFsInfo", empty, imageFsInfoResponse, () => ({
        imageFilesystems: [{ timestamp: 1, fsId: { mountpoint: "/" }, usedBytes: { value: 1 } }],
      })),
      ListImages: this.#handler("ListImages", listImagesRequest, listImagesResponse, () => ({
        images: [...this.images].map(([reference, size]) => ({ id: `sha256:${reference}`, repoTags: [reference], repoDigests: [], size })),
      })),
      ImageStatus: this.#handler("ImageStatus", imageStatusRequest, imageStatusResponse, ({ image }) => {
        const size = this.images.get(image?.image ?? "");
        return { image: size === undefined ? undefined : { id: `sha256:${image?.image}`, repoTags: [image?.image ?? ""], size } };
      }),
      PullImage: this.#handler("PullImage", pullImageRequest, pullImageResponse, ({ image }) => {
        this.images.set(image?.image ?? "", 1);
        return { imageRef: `sha256:${image?.image}` };
      }),
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

  #register(server: Server, service: string, handlers: Record<string, Handler>): void {
    const raw = (value: Uint8Array) => Buffer.from(value);
    const definition = Object.fromEntries(
      Object.keys(handlers).map((name) => [
        name,
        {
          path: `/runtime.${this.options.api ?? "v1"}.${service}/${name}`,
          requestStream: false,
          responseStream: false,
          requestSerialize: raw,
          requestDeserialize: (bytes: Buffer) => new Uint8Array(bytes),
          responseSerialize: raw,
          responseDeserialize: (bytes: Buffer) => new Uint8Array(bytes),
        } as const,
      ]),
    );
    server.addService(definition, handlers);
  }

  #handler<Q extends object, A extends object>(
    call: string,
    request: Message<Q>,
    answer: Message<A>,
    carryOut: (request: Q) => Draft<A>,
  ): Handler {
    return (unary, respond) => {
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
  }
}

type Handler = (call: ServerUnaryCall<Uint8Array, Uint8Array>, respond: sendUnaryData<Uint8Array>) => void;
