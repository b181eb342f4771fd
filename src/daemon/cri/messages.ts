/** The part of CRI v1 (package runtime.v1) that the daemon speaks: field numbers as in Kubernetes' api.proto, names as here. */
import { boolean, bytes, integer, listOf, message, nanoseconds, text, textMap, texts } from "./proto.ts";

export const containerState = { created: 0, running: 1, exited: 2, unknown: 3 } as const;

const imageSpec = message({ image: [1, text], annotations: [2, textMap] });
const uint64Value = message({ value: [1, integer] });
const containerMetadata = message({ name: [1, text], attempt: [2, integer] });

export const empty = message({});

export const versionRequest = message({ version: [1, text] });
export const versionResponse = message({
  version: [1, text],
  runtimeName: [2, text],
  runtimeVersion: [3, text],
  runtimeApiVersion: [4, text],
});

const filesystemUsage = message({
  timestamp: [1, nanoseconds],
  fsId: [2, message({ mountpoint: [1, text] }).type],
  usedBytes: [3, uint64Value.type],
  inodesUsed: [4, uint64Value.type],
});
export const imageFsInfoResponse = message({ imageFilesystems: [1, listOf(filesystemUsage)] });

const image = message({
  id: [1, text],
  repoTags: [2, texts],
  repoDigests: [3, texts],
  /** Bytes. */
  size: [4, integer],
  pinned: [8, boolean],
});
const imageFilter = message({ image: [1, imageSpec.type] });
export const listImagesRequest = message({ filter: [1, imageFilter.type] });
export const listImagesResponse = message({ images: [1, listOf(image)] });
export const imageStatusRequest = message({ image: [1, imageSpec.type] });
export const imageStatusResponse = message({ image: [1, image.type] });

const authConfig = message({
  username: [1, text],
  password: [2, text],
  auth: [3, text],
  serverAddress: [4, text],
  identityToken: [5, text],
  registryToken: [6, text],
});
const podSandboxConfig = message({ labels: [6, textMap], annotations: [7, textMap] });
export const pullImageRequest = message({
  image: [1, imageSpec.type],
  auth: [2, authConfig.type],
  sandboxConfig: [3, podSandboxConfig.type],
});
export const pullImageResponse = message({ imageRef: [1, text] });

const containerFilter = message({ id: [1, text], labelSelector: [4, textMap] });
const container = message({
  id: [1, text],
  podSandboxId: [2, text],
  metadata: [3, containerMetadata.type],
  state: [6, integer],
  createdAtMs: [7, nanoseconds],
  labels: [8, textMap],
  annotations: [9, textMap],
});
export const listContainersRequest = message({ filter: [1, containerFilter.type] });
export const listContainersResponse = message({ containers: [1, listOf(container)] });

const containerStatus = message({
  id: [1, text],
  metadata: [2, containerMetadata.type],
  /** See `containerState`. */
  state: [3, integer],
  createdAtMs: [4, nanoseconds],
  startedAtMs: [5, nanoseconds],
  finishedAtMs: [6, nanoseconds],
  exitCode: [7, integer],
  image: [8, imageSpec.type],
  imageRef: [9, text],
  reason: [10, text],
  message: [11, text],
  labels: [12, textMap],
  annotations: [13, textMap],
});
export const containerStatusRequest = message({ containerId: [1, text], verbose: [2, boolean] });
export const containerStatusResponse = message({ status: [1, containerStatus.type], info: [2, textMap] });

/** `timeout` in seconds. */
export const stopContainerRequest = message({ containerId: [1, text], timeout: [2, integer] });
/** `timeout` in seconds; 0: none. */
export const execSyncRequest = message({ containerId: [1, text], cmd: [2, texts], timeout: [3, integer] });
export const execSyncResponse = message({ stdout: [1, bytes], stderr: [2, bytes], exitCode: [3, integer] });

type Decoded<M> = M extends { decode(bytes: Uint8Array): infer T } ? T : never;
export type VersionInfo = Decoded<typeof versionResponse>;
export type FilesystemUsage = Decoded<typeof filesystemUsage>;
export type RuntimeImage = Decoded<typeof image>;
export type RuntimeContainer = Decoded<typeof container>;
export type RuntimeContainerStatus = Decoded<typeof containerStatus>;
export type AuthConfig = Partial<Decoded<typeof authConfig>>;
export type ExecResult = Decoded<typeof execSyncResponse>;
