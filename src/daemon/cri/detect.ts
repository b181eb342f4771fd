/** Which container runtimes this node has: the known sockets are tried in order, and what came of each is told. */
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { Env } from "../../env/env.ts";
import { CriClient, criLimits } from "./client.ts";
import { GrpcChannel, grpcCode } from "./grpc.ts";

/**
 * Below the directory that is mounted, in the order of preference. Where that is the host's /var/run a socket is in it or in its runtime's
 * folder; where it is that folder alone (/run/containerd, /run/k3s/containerd), in it.
 */
export const knownSockets = [
  "containerd.sock",
  "containerd/containerd.sock",
  "crio.sock",
  "crio/crio.sock",
  "cri-dockerd.sock",
  "cri-dockerd/cri-dockerd.sock",
] as const;

export interface Runtime {
  /** As in container IDs: `containerd` of "containerd://…". */
  readonly name: string;
  readonly socketPath: string;
  readonly client: CriClient;
}

export interface Tried {
  readonly socketPath: string;
  /** Undefined: it is not there, or it is good. */
  readonly problem?: string;
  readonly result: "good" | "missing" | "broken";
}

export interface Detection {
  /** Good ones, in the order of the sockets: the first one's images are ours. */
  readonly runtimes: readonly Runtime[];
  readonly tried: readonly Tried[];
}

export interface SocketOptions {
  /** Where the host's /var/run, or the runtime's folder in it, is mounted. */
  readonly dir: string;
  /** Only this one: relative to `dir`, or absolute; "" for the known ones. */
  readonly file: string;
}

/**
 * Paths to try, in order. An absolute path may be this process's own, or the host's: as nobody says which of the host's directories is
 * mounted, it is looked for below the mount with fewer and fewer of its leading folders.
 */
export function socketPaths({ dir, file }: SocketOptions, exists: (path: string) => boolean = existsSync): readonly string[] {
  if (file === "") return knownSockets.map((socket) => join(dir, socket));
  if (!isAbsolute(file)) return [join(dir, file)];
  const parts = file.split("/").filter((part) => part !== "");
  const below = parts.map((_, index) => join(dir, ...parts.slice(index)));
  return [[file, ...below].find(exists) ?? join(dir, file)];
}

/** By path: for those who look more than once. The library cannot hang up on somebody who accepts and then says nothing. */
export type Channels = Map<string, GrpcChannel>;

/**
 * Tries all sockets that are there.
 * @param known runtimes that are in use already: their sockets are left alone
 * @param channels to sockets that were no good are kept here, to be used again; absent: they are closed
 */
export async function detect(env: Env, options: SocketOptions, known: readonly Runtime[] = [], channels?: Channels): Promise<Detection> {
  const runtimes: Runtime[] = [];
  const tried: Tried[] = [];
  for (const socketPath of socketPaths(options)) {
    const found = known.find((runtime) => runtime.socketPath === socketPath) ?? (await tryOne(env, socketPath, channels));
    if (found === undefined) tried.push({ socketPath, result: "missing" });
    else if (typeof found === "string") tried.push({ socketPath, result: "broken", problem: found });
    else {
      tried.push({ socketPath, result: "good" });
      // Two sockets of one runtime are common; the first is enough.
      if (!runtimes.some((runtime) => runtime.name === found.name)) runtimes.push(found);
    }
  }
  return { runtimes, tried };
}

async function tryOne(env: Env, socketPath: string, channels: Channels | undefined): Promise<Runtime | string | undefined> {
  if (!existsSync(socketPath)) return undefined;
  const channel = channels?.get(socketPath) ?? new GrpcChannel(env, socketPath);
  channels?.set(socketPath, channel);
  const client = new CriClient(channel);
  const problem = async (): Promise<string | Runtime> => {
    const fsInfo = await client.imageFsInfo();
    if (!fsInfo.ok)
      return fsInfo.code === grpcCode.unimplemented ? "does not speak CRI v1 (runtime.v1.ImageService)" : `ImageFsInfo: ${fsInfo.message}`;
    const images = await client.listImages({ deadlineMs: criLimits.imageFsInfoMs });
    if (!images.ok) return `ListImages: ${images.message}`;
    const version = await client.version();
    if (!version.ok) return `Version: ${version.message}`;
    return { name: version.value.runtimeName, socketPath, client };
  };
  const found = await problem();
  if (typeof found === "string" && channels === undefined) channel.close();
  return found;
}

/** One line: what was looked for, and what came of it. @param problemChars of what is wrong with one socket; absent: all of it */
export function reportText({ tried }: Detection, problemChars = Number.POSITIVE_INFINITY): string {
  const words = tried.map(({ socketPath, result, problem = "" }) => {
    if (result === "missing") return `${socketPath}: not there`;
    if (result === "good") return `${socketPath}: good`;
    return `${socketPath}: ${problem.length > problemChars ? `${problem.slice(0, problemChars - 1)}…` : problem}`;
  });
  return words.join("; ");
}

/** What to do about a node without a usable runtime. */
export function adviceText({ dir, file }: SocketOptions): string {
  return file === ""
    ? `mount the directory of the runtime's socket at ${dir} (chart value daemon.socketLocation), or name the socket with --socket-file`
    : "check --socket-file: no other socket is tried when it is given";
}
