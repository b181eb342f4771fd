/** CRI v1 of one runtime, call by call, with each call's deadline. Answers are values. */
import type { Called, CallOptions, GrpcChannel } from "./grpc.ts";
import { failure, grpcCode } from "./grpc.ts";
import {
  type AuthConfig,
  containerStatusRequest,
  containerStatusResponse,
  type ExecResult,
  empty,
  execSyncRequest,
  execSyncResponse,
  type FilesystemUsage,
  imageFsInfoResponse,
  imageStatusRequest,
  imageStatusResponse,
  listContainersRequest,
  listContainersResponse,
  listImagesRequest,
  listImagesResponse,
  pullImageRequest,
  pullImageResponse,
  type RuntimeContainer,
  type RuntimeContainerStatus,
  type RuntimeImage,
  stopContainerRequest,
  type VersionInfo,
  versionRequest,
  versionResponse,
} from "./messages.ts";
import type { Draft, Message } from "./proto.ts";

export const criLimits = {
  callMs: 5000,
  imageFsInfoMs: 10_000,
} as const;

export interface PullOrder {
  /** With tag or digest. */
  readonly image: string;
  readonly auth?: AuthConfig;
  readonly sandboxLabels?: Readonly<Record<string, string>>;
  readonly sandboxAnnotations?: Readonly<Record<string, string>>;
}

/** Which containers: of a pod, or one by its id. */
export interface ContainerFilter {
  readonly podUid?: string;
  readonly id?: string;
}

export interface ImageService {
  imageFsInfo(options?: CallOptions): Promise<Called<readonly FilesystemUsage[]>>;
  /** All images, or those of one reference. */
  listImages(options?: CallOptions, image?: string): Promise<Called<readonly RuntimeImage[]>>;
  /** Undefined: there is no such image. */
  imageStatus(image: string, options?: CallOptions): Promise<Called<RuntimeImage | undefined>>;
  /** @returns the reference of the image, as the runtime names it. Aborting `signal` ends the pull. */
  pullImage(order: PullOrder, options?: CallOptions): Promise<Called<string>>;
}

export interface RuntimeService {
  version(options?: CallOptions): Promise<Called<VersionInfo>>;
  listContainers(filter: ContainerFilter, options?: CallOptions): Promise<Called<readonly RuntimeContainer[]>>;
  containerStatus(id: string, options?: CallOptions): Promise<Called<RuntimeContainerStatus>>;
  /** What the runtime itself knows of a container, as JSON texts by name; its shape is the runtime's own. */
  containerInfo(id: string, options?: CallOptions): Promise<Called<Readonly<Record<string, string>>>>;
  /** Resolves when the container has ended. @param graceSeconds until it is killed */
  stopContainer(id: string, graceSeconds: number, options?: CallOptions): Promise<Called<void>>;
  /** A command that ran is an answer, whatever its exit code. @param timeoutSeconds 0: none */
  execSync(id: string, command: readonly string[], timeoutSeconds: number, options?: CallOptions): Promise<Called<ExecResult>>;
}

export const podUidLabel = "io.kubernetes.pod.uid";

export class CriClient implements ImageService, RuntimeService {
  constructor(readonly channel: GrpcChannel) {}

  async version(options?: CallOptions): Promise<Called<VersionInfo>> {
    return this.#runtime("Version", versionRequest, { version: "0.1.0" }, versionResponse, { deadlineMs: criLimits.callMs, ...options });
  }

  async imageFsInfo(options?: CallOptions): Promise<Called<readonly FilesystemUsage[]>> {
    const deadline = { deadlineMs: criLimits.imageFsInfoMs, ...options };
    return mapped(await this.#image("ImageFsInfo", empty, {}, imageFsInfoResponse, deadline), (answer) => answer.imageFilesystems);
  }

  async listImages(options?: CallOptions, image?: string): Promise<Called<readonly RuntimeImage[]>> {
    const request = image === undefined ? {} : { filter: { image: { image } } };
    return mapped(await this.#image("ListImages", listImagesRequest, request, listImagesResponse, options), (answer) => answer.images);
  }

  async imageStatus(image: string, options?: CallOptions): Promise<Called<RuntimeImage | undefined>> {
    const answer = await this.#image("ImageStatus", imageStatusRequest, { image: { image } }, imageStatusResponse, options);
    return mapped(answer, ({ image: found }) => found);
  }

  async pullImage(order: PullOrder, options?: CallOptions): Promise<Called<string>> {
    const { image, auth, sandboxLabels, sandboxAnnotations } = order;
    const sandboxConfig =
      sandboxLabels || sandboxAnnotations ? { labels: { ...sandboxLabels }, annotations: { ...sandboxAnnotations } } : undefined;
    const request = { image: { image }, auth, sandboxConfig };
    return mapped(await this.#image("PullImage", pullImageRequest, request, pullImageResponse, options), (answer) => answer.imageRef);
  }

  async listContainers({ podUid, id }: ContainerFilter, options?: CallOptions): Promise<Called<readonly RuntimeContainer[]>> {
    const filter = { id: id ?? "", labelSelector: podUid === undefined ? {} : { [podUidLabel]: podUid } };
    const deadline = { deadlineMs: criLimits.callMs, ...options };
    const answer = await this.#runtime("ListContainers", listContainersRequest, { filter }, listContainersResponse, deadline);
    return mapped(answer, ({ containers }) => containers);
  }

  async containerStatus(id: string, options?: CallOptions): Promise<Called<RuntimeContainerStatus>> {
    const answer = await this.#status(id, false, options);
    if (!answer.ok) return answer;
    const { status } = answer.value;
    return status === undefined ? failure(grpcCode.internal, "the runtime answered without a status") : { ok: true, value: status };
  }

  async containerInfo(id: string, options?: CallOptions): Promise<Called<Readonly<Record<string, string>>>> {
    return mapped(await this.#status(id, true, options), ({ info }) => info);
  }

  async stopContainer(id: string, graceSeconds: number, options?: CallOptions): Promise<Called<void>> {
    const request = { containerId: id, timeout: graceSeconds };
    const deadline = { deadlineMs: criLimits.callMs + graceSeconds * 1000, ...options };
    return mapped(await this.#runtime("StopContainer", stopContainerRequest, request, empty, deadline), () => undefined);
  }

  execSync(id: string, command: readonly string[], timeoutSeconds: number, options?: CallOptions): Promise<Called<ExecResult>> {
    const request = { containerId: id, cmd: command, timeout: timeoutSeconds };
    const deadline = timeoutSeconds === 0 ? options : { deadlineMs: criLimits.callMs + timeoutSeconds * 1000, ...options };
    return this.#runtime("ExecSync", execSyncRequest, request, execSyncResponse, deadline);
  }

  #status(containerId: string, verbose: boolean, options?: CallOptions) {
    const deadline = { deadlineMs: criLimits.callMs, ...options };
    return this.#runtime("ContainerStatus", containerStatusRequest, { containerId, verbose }, containerStatusResponse, deadline);
  }

  #runtime<Q, A>(call: string, request: Message<Q>, value: Draft<Q>, answer: Message<A>, options?: CallOptions): Promise<Called<A>> {
    return this.#call(`/runtime.v1.RuntimeService/${call}`, request, value, answer, options);
  }

  #image<Q, A>(call: string, request: Message<Q>, value: Draft<Q>, answer: Message<A>, options?: CallOptions): Promise<Called<A>> {
    return this.#call(`/runtime.v1.ImageService/${call}`, request, value, answer, options);
  }

  async #call<Q, A>(method: string, request: Message<Q>, value: Draft<Q>, answer: Message<A>, options?: CallOptions): Promise<Called<A>> {
    const called = await this.channel.call(method, request.encode(value), options);
    if (!called.ok) return called;
    try {
      return { ok: true, value: answer.decode(called.value) };
    } catch (error) {
      return failure(grpcCode.internal, `the runtime's answer to ${method} cannot be read: ${(error as Error).message}`);
    }
  }
}

function mapped<A, B>(called: Called<A>, map: (value: A) => B): Called<B> {
  return called.ok ? { ok: true, value: map(called.value) } : called;
}
