/** The runtimes in use: images go to the first one, containers to the one their ID names. */
import type { Env } from "../../env/env.ts";
import type { ImageService, RuntimeService } from "./client.ts";
import { type Channels, type Detection, detect, type Runtime, reportText, type SocketOptions } from "./detect.ts";

/** A runtime that came after us is looked for when a container names it, but not more often than this. */
const detectAgainMs = 30_000;

/** "containerd" and "abc" of "containerd://abc"; undefined when the text is not of that form. */
export function splitContainerId(text: string | undefined): { readonly type: string; readonly id: string } | undefined {
  const at = text?.indexOf("://") ?? -1;
  if (text === undefined || at <= 0 || at + 3 >= text.length) return undefined;
  return { type: text.slice(0, at), id: text.slice(at + 3) };
}

export class Runtimes {
  readonly #env: Env;
  readonly #options: SocketOptions;
  readonly #first: Runtime;
  readonly #channels: Channels = new Map();
  #runtimes: readonly Runtime[];
  #detectedMs: number;
  #detecting: Promise<void> | undefined;

  constructor(env: Env, options: SocketOptions, detection: Detection & { readonly runtimes: readonly [Runtime, ...Runtime[]] }) {
    this.#env = env;
    this.#options = options;
    this.#runtimes = detection.runtimes;
    this.#first = detection.runtimes[0];
    this.#detectedMs = env.monotonicMs();
  }

  get images(): ImageService {
    return this.#first.client;
  }

  get names(): readonly string[] {
    return this.#runtimes.map((runtime) => runtime.name);
  }

  /** Undefined: this node has no runtime of that name. */
  async named(name: string): Promise<RuntimeService | undefined> {
    const known = this.#find(name);
    if (known !== undefined || this.#env.monotonicMs() - this.#detectedMs < detectAgainMs) return known;
    this.#detecting ??= this.#detectAgain();
    await this.#detecting;
    return this.#find(name);
  }

  close(): void {
    for (const channel of [...this.#runtimes.map(({ client }) => client.channel), ...this.#channels.values()]) channel.close();
  }

  #find(name: string): RuntimeService | undefined {
    return this.#runtimes.find((runtime) => runtime.name === name)?.client;
  }

  async #detectAgain(): Promise<void> {
    const detection = await detect(this.#env, this.#options, this.#runtimes, this.#channels);
    this.#detectedMs = this.#env.monotonicMs();
    this.#detecting = undefined;
    const fresh = detection.runtimes.filter(({ name }) => this.#find(name) === undefined);
    this.#runtimes = [...this.#runtimes, ...fresh];
    if (fresh.length > 0) this.#env.log.info({ tried: reportText(detection) }, "another container runtime appeared");
  }
}
