/**
 * Stands between the node agent and its container runtime, and understands nothing but which call begins and which has been answered:
 * so that the agent can be killed right before the runtime hears of a call, or when it has carried it out and nobody knows.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { encodeFrame, type Frame, FrameReader, flag, frameType, preface } from "../../src/daemon/cri/http2/frames.ts";
import { HeaderDecoder } from "../../src/daemon/cri/http2/hpack.ts";

export interface CriBlow {
  /** "StopContainer" */
  readonly call: string;
  /** Which of these calls, from `arm` on; the first is 1. */
  readonly nth: number;
  readonly when: "before" | "after";
  /** Kills the agent, at once. */
  readonly strike: () => void;
}

export class CriProxy {
  /** By name, in the order of their beginning, since `arm`. */
  calls: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #blow: CriBlow | undefined;

  private constructor(
    readonly socketPath: string,
    private readonly runtimePath: string,
  ) {
    this.#server = createServer((agent) => this.#connected(agent));
  }

  static async start(socketPath: string, runtimePath: string): Promise<CriProxy> {
    const proxy = new CriProxy(socketPath, runtimePath);
    const { promise, resolve } = Promise.withResolvers<void>();
    proxy.#server.listen(socketPath, resolve);
    await promise;
    return proxy;
  }

  /** Counts anew. */
  arm(blow?: CriBlow): void {
    this.calls = [];
    this.#blow = blow;
  }

  /** Whether the blow has not come yet. */
  get isArmed(): boolean {
    return this.#blow !== undefined;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connected(agent: Socket): void {
    const runtime = createConnection(this.runtimePath);
    const end = () => {
      agent.destroy();
      runtime.destroy();
      this.#sockets.delete(agent);
    };
    this.#sockets.add(agent);
    for (const socket of [agent, runtime]) socket.on("error", end).on("close", end);
    /** The stream of the call whose answer must not arrive. */
    let lastStream: number | undefined;
    const strike = () => {
      const blow = this.#blow;
      this.#blow = undefined;
      blow?.strike();
      end();
    };
    const began = new HeaderDecoder();
    let opening = preface.length;
    const asked = frames((frame) => {
      const blow = this.#begins(frame, began);
      if (blow?.when === "before") return strike();
      if (blow !== undefined) lastStream = frame.stream;
      runtime.write(bytesOf(frame));
    });
    agent.on("data", (bytes: Buffer) => {
      const head = bytes.subarray(0, opening);
      opening -= head.length;
      if (head.length > 0) runtime.write(head);
      asked(bytes.subarray(head.length));
    });
    const answered = frames((frame) => {
      if (lastStream !== undefined && frame.stream === lastStream && frame.type === frameType.headers && frame.flags & flag.endStream)
        return strike();
      agent.write(bytesOf(frame));
    });
    runtime.on("data", answered);
  }

  /** @returns the blow that falls on the call which begins with this frame */
  #begins(frame: Frame, decoder: HeaderDecoder): CriBlow | undefined {
    if (frame.type !== frameType.headers) return undefined;
    const path = decoder.decode(frame.body).find(([name]) => name === ":path")?.[1];
    if (path === undefined) return undefined;
    const call = path.split("/").at(-1) as string;
    this.calls.push(call);
    const blow = this.#blow;
    return blow?.call === call && this.calls.filter((each) => each === call).length === blow.nth ? blow : undefined;
  }
}

function frames(take: (frame: Frame) => void): (bytes: Uint8Array) => void {
  const reader = new FrameReader();
  return (bytes) => {
    // The buffer is used again, and what is not a whole frame yet is kept.
    for (const frame of reader.push(new Uint8Array(bytes))) take(frame);
  };
}

const bytesOf = ({ type, flags, stream, body }: Frame) => encodeFrame(type, flags, stream, body);
