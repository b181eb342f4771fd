/**
 * Stands between the node agent and its container runtime, and understands nothing but which call begins and which has been answered:
 * so that the agent can be killed right before the runtime hears of a call, or when it has carried it out and nobody knows.
 */
import { Client, credentials, type handleUnaryCall, Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import { imageService, runtimeService } from "../../src/daemon/cri/messages.ts";

export interface CriBlow {
  /** "StopContainer" */
  readonly call: string;
  /** Which of these calls, from `arm` on; the first is 1. */
  readonly nth: number;
  readonly when: "before" | "after";
  /** Kills the agent, at once. */
  readonly strike: () => void;
}

const anySize = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
const asIs = (bytes: Buffer) => bytes;

export class CriProxy {
  /** By name, in the order of their beginning, since `arm`. */
  calls: string[] = [];
  readonly #server = new Server(anySize);
  readonly #runtime: Client;
  #blow: CriBlow | undefined;

  private constructor(
    readonly socketPath: string,
    runtimePath: string,
  ) {
    this.#runtime = new Client(`unix://${runtimePath}`, credentials.createInsecure(), anySize);
    for (const { path } of [...Object.values(imageService), ...Object.values(runtimeService)]) this.#register(path);
  }

  static async start(socketPath: string, runtimePath: string): Promise<CriProxy> {
    const proxy = new CriProxy(socketPath, runtimePath);
    await new Promise<void>((resolve, reject) =>
      proxy.#server.bindAsync(`unix://${socketPath}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())),
    );
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
    this.#server.forceShutdown();
    this.#runtime.close();
  }

  #register(path: string): void {
    const call = path.slice(path.lastIndexOf("/") + 1);
    const method = {
      path,
      requestStream: false as const,
      responseStream: false as const,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    this.#server.addService({ [call]: method }, { [call]: this.#handler(call, path) });
  }

  /** A call whose agent was struck is never answered: its connection ends with the agent. */
  #handler(call: string, path: string): handleUnaryCall<Buffer, Buffer> {
    return (asked, answer) => {
      const blow = this.#begins(call);
      if (blow?.when === "before") return this.#strike(blow);
      const deadline = { deadline: asked.getDeadline() };
      const forwarded = this.#runtime.makeUnaryRequest(path, asIs, asIs, asked.request, new Metadata(), deadline, (error, value) => {
        if (blow !== undefined) this.#strike(blow);
        else if (error === null) answer(null, value);
        else answer(error);
      });
      asked.on("cancelled", () => forwarded.cancel());
    };
  }

  #strike(blow: CriBlow): void {
    this.#blow = undefined;
    blow.strike();
  }

  /** @returns the blow that falls on this call */
  #begins(call: string): CriBlow | undefined {
    this.calls.push(call);
    const blow = this.#blow;
    return blow?.call === call && this.calls.filter((each) => each === call).length === blow.nth ? blow : undefined;
  }
}
