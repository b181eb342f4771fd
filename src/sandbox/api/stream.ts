/** The body of an answer that goes on: lines are pushed, the reader takes them as they come. */
const encoder = new TextEncoder();

export const streamLimits = {
  /** Lines that wait for a reader. One that lags this far has lost the thread: its watch ends, and it lists again. */
  linesMax: 100_000,
} as const;

export class LineStream implements AsyncIterable<Uint8Array> {
  #chunks: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  #closed: (() => void) | undefined;

  /** @param closed called once, when the reader leaves or the stream ends */
  constructor(closed: () => void) {
    this.#closed = closed;
  }

  get ended(): boolean {
    return this.#ended;
  }

  push(line: string): void {
    if (this.#ended) return;
    if (this.#chunks.length >= streamLimits.linesMax) this.end();
    else {
      this.#chunks.push(encoder.encode(line));
      this.#wake?.();
    }
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake?.();
    this.#closed?.();
    this.#closed = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        const chunks = this.#chunks;
        if (chunks.length > 0) {
          this.#chunks = [];
          yield chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
        } else if (this.#ended) return;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      this.end();
    }
  }
}
