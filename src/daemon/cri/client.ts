/** CRI v1 of one runtime, call by call, with each call's deadline. Answers are values. */
import type { Called, CallOptions, GrpcChannel } from "./grpc.ts";
import { failure, grpcCode } from "./grpc.ts";
import {
  type AuthConfig,
  type Container,
  type ContainerStatus,
  type ExecSyncResponse,
  type FilesystemUsage,
  type Image,
  imageService,
  runtimeService,
  type VersionResponse,
} from "./messages.ts";
import type { Draft, UnaryCall } from "./proto.ts";

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
  listImages(options?: CallOptions): Promise<Called<readonly Image[]>>;
  /** Undefined: there is no such image. */
  imageStatus(image: string, options?: CallOptions): Promise<Called<Image | undefined>>;
  /** @returns the reference of the image, as the runtime names it. Aborting `signal` ends the pull. */
  pullImage(order: PullOrder, options?: CallOptions): Promise<Called<string>>;
}

export interface RuntimeService {
  version(options?: CallOptions): Promise<Called<VersionResponse>>;
  listContainers(filter: ContainerFilter, options?: CallOptions): Promise<Called<readonly Container[]>>;
  containerStatus(id: string, options?: CallOptions): Promise<Called<ContainerStatus>>;
  /** What the runtime itself knows of a container, as JSON texts by name; its shape is the runtime's own. */
  containerInfo(id: string, options?: CallOptions): Promise<Called<Readonly<Record<string, string>>>>;
  /** Resolves when the container has ended. @param graceSeconds until it is killed */
  stopContainer(id: string, graceSeconds: number, options?: CallOptions): Promise<Called<void>>;
  /** A command that ran is an answer, whatever its exit code. @param timeoutSeconds 0: none */
  execSync(id: string, command: readonly string[], timeoutSeconds: number, options?: CallOptions): Promise<Called<ExecSyncResponse>>;
}

export const podUidLabel = "io.kubernetes.pod.uid";

export class CriClient implements ImageService, RuntimeService {
  constructor(readonly channel: GrpcChannel) {}

  async version(options?: CallOptions): Promise<Called<VersionResponse>> {
    return this.#call(runtimeService.version, { version: "0.1.0" }, { deadlineMs: criLimits.callMs, ...options });
  }

  async imageFsInfo(options?: CallOptions): Promise<Called<readonly FilesystemUsage[]>> {
    const deadline = { deadlineMs: criLimits.imageFsInfoMs, ...options };
    return mapped(await this.#call(imageService.imageFsInfo, {}, deadline), (answer) => answer.imageFilesystems);
  }

  async listImages(options?: CallOptions): Promise<Called<readonly Image[]>> {
    return mapped(await this.#call(imageService.listImages, {}, options), (answer) => answer.images);
  }

  async imageStatus(image: string, options?: CallOptions): Promise<Called<Image | undefined>> {
    return mapped(await this.#call(imageService.imageStatus, { image: { image } }, options), ({ image: found }) => found);
  }

  async pullImage(order: PullOrder, options?: CallOptions): Promise<Called<string>> {
    const { image, auth, sandboxLabels, sandboxAnnotations } = order;
    const sandboxConfig =
      sandboxLabels || sandboxAnnotations ? { labels: { ...sandboxLabels }, annotations: { ...sandboxAnnotations } } : undefined;
    return mapped(
      await this.#call(imageService.pullImage, { image: { image }, auth, sandboxConfig }, options),
      (answer) => answer.imageRef,
    );
  }

  async listContainers({ podUid, id }: ContainerFilter, options?: CallOptions): Promise<Called<readonly Container[]>> {
    const filter = { id: id ?? "", labelSelector: podUid === undefined ? {} : { [podUidLabel]: podUid } };
    const deadline = { deadlineMs: criLimits.callMs, ...options };
    return mapped(await this.#call(runtimeService.listContainers, { filter }, deadline), ({ containers }) => containers);
  }

  async containerStatus(id: string, options?: CallOptions): Promise<Called<ContainerStatus>> {
    const answer = await this.#status(id, false, options);
    if (!answer.ok) return answer;
    const { status } = answer.value;
    return status === undefined ? failure(grpcCode.internal, "the runtime answered without a status") : { ok: true, value: status };
  }

  async containerInfo(id: string, options?: CallOptions): Promise<Called<Readonly<Record<string, string>>>> {
    return mapped(await this.#status(id, true, options), ({ info }) => info);
  }

  async stopContainer(id: string, graceSeconds: number, options?: CallOptions): Promise<Called<void>> {
    const deadline = { deadlineMs: criLimits.callMs + graceSeconds * 1000, ...options };
    return mapped(await this.#call(runtimeService.stopContainer, { containerId: id, timeout: graceSeconds }, deadline), () => undefined);
  }

  execSync(id: string, command: readonly string[], timeoutSeconds: number, options?: CallOptions): Promise<Called<ExecSyncResponse>> {
    const request = { containerId: id, cmd: command, timeout: timeoutSeconds };
    const deadline = timeoutSeconds === 0 ? options : { deadlineMs: criLimits.callMs + timeoutSeconds * 1000, ...options };
    return this.#call(runtimeService.execSync, request, deadline);
  }

  #status(containerId: string, verbose: boolean, options?: CallOptions) {
    return this.#call(runtimeService.containerStatus, { containerId, verbose }, { deadlineMs: criLimits.callMs, ...options });
  }

  async #call<Q, A>({ path, request, answer }: UnaryCall<Q, A>, value: Draft<Q>, options?: CallOptions): Promise<Called<A>> {
    const called = await this.channel.call(path, request.encode(value), options);
    if (!called.ok) return called;
    try {
      return { ok: true, value: answer.decode(called.value) };
    } catch (error) {
      return failure(grpcCode.internal, `the runtime's answer to ${path} cannot be read: ${(error as Error).message}`);
    }
  }
}

function mapped<A, B>(called: Called<A>, map: (value: A) => B): Called<B> {
  return called.ok ? { ok: true, value: map(called.value) } : called;
}
