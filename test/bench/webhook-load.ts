/** Load on a webhook port, written on bare sockets: the client must not be the bottleneck. */

export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
  readonly caPem: string;
}

/** One run of requests that were all answered. */
export interface Asked {
  readonly waitsMs: readonly number[];
  readonly seconds: number;
}

export interface Load {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What several runs were together. */
export function loadOf(runs: readonly Asked[]): Load {
  const waitsMs = runs.flatMap((run) => run.waitsMs).sort((a, b) => a - b);
  const at = (share: number) => waitsMs[Math.floor(waitsMs.length * share)] ?? 0;
  const seconds = runs.reduce((sum, run) => sum + run.seconds, 0);
  return { count: waitsMs.length, perSecond: waitsMs.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

const requestTimeoutMs = 10_000;

/** One kept connection, one request at a time. */
class Line {
  private received = "";
  /** What the socket has not taken yet. */
  private unsent: Uint8Array = new Uint8Array(0);
  private answered: (() => void) | undefined;
  private failed: ((error: Error) => void) | undefined;

  private constructor(private readonly socket: { write(bytes: Uint8Array): number; end(): unknown }) {}

  static open({ hostname, port, caPem }: Endpoint): Promise<Line> {
    const { promise, resolve, reject } = Promise.withResolvers<Line>();
    let line: Line | undefined;
    const fail = (error: Error) => {
      reject(error);
      line?.failed?.(error);
    };
    Bun.connect({
      hostname,
      port,
      tls: { ca: caPem, serverName: hostname },
      socket: {
        open() {},
        handshake(socket, success, error) {
          if (!success) return fail(error ?? new Error("the TLS handshake failed"));
          line = new Line(socket);
          resolve(line);
        },
        data(_, bytes) {
          line?.take(bytes);
        },
        drain() {
          line?.flush();
        },
        close: () => fail(new Error("the server closed the connection")),
        error: (_, error) => fail(error),
      },
    }).catch(reject);
    return promise;
  }

  /** Resolves when an allowing answer is there. @throws Error with the answer when it is another one */
  ask(wire: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer within ${requestTimeoutMs} ms`)), requestTimeoutMs);
      this.answered = () => {
        clearTimeout(timer);
        const text = this.received;
        this.received = "";
        if (text.includes('"allowed":true')) resolve();
        else reject(new Error(text));
      };
      this.failed = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      this.unsent = Buffer.from(wire);
      this.flush();
    });
  }

  /** The rest follows when there is room again. */
  private flush(): void {
    if (this.unsent.length === 0) return;
    this.unsent = this.unsent.subarray(Math.max(0, this.socket.write(this.unsent)));
  }

  close(): void {
    this.failed = undefined;
    this.socket.end();
  }

  private take(bytes: Buffer): void {
    this.received += bytes.toString("latin1");
    const headEnd = this.received.indexOf("\r\n\r\n");
    const length = Number(/content-length: (\d+)/i.exec(this.received)?.[1] ?? Number.NaN);
    if (headEnd >= 0 && this.received.length >= headEnd + 4 + length) this.answered?.();
  }
}

/** A request as kube-apiserver writes it. */
export function wireOf({ hostname, port }: Endpoint, path: string, review: string): string {
  return `POST ${path}?timeout=10s HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUser-Agent: kube-apiserver-admission\r\nContent-Length: ${Buffer.byteLength(review)}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n${review}`;
}

/** Closed loop: `connections` ask again as soon as they are answered, `wires` in turn. */
export async function askInTurn(endpoint: Endpoint, wires: readonly string[], connections: number, count: number): Promise<Asked> {
  const lines = await Promise.all(Array.from({ length: connections }, () => Line.open(endpoint)));
  const waitsMs: number[] = [];
  const startedMs = performance.now();
  let sent = 0;
  await Promise.all(
    lines.map(async (line) => {
      while (sent < count) {
        const wire = wires[sent % wires.length] as string;
        sent += 1;
        const askedMs = performance.now();
        await line.ask(wire);
        waitsMs.push(performance.now() - askedMs);
      }
    }),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  for (const line of lines) line.close();
  return { waitsMs, seconds };
}

/** Open loop: `perSecond` requests a second whatever the answers do, on as many connections as that needs. */
export async function askAtRate(endpoint: Endpoint, wire: string, perSecond: number, seconds: number): Promise<Asked> {
  const idle = await Promise.all(Array.from({ length: 4 }, () => Line.open(endpoint)));
  const waitsMs: number[] = [];
  const count = perSecond * seconds;
  const startedMs = performance.now();
  const asks: Promise<void>[] = [];
  const askOne = async (dueMs: number) => {
    const line = idle.pop() ?? (await Line.open(endpoint));
    await line.ask(wire);
    waitsMs.push(performance.now() - dueMs);
    idle.push(line);
  };
  for (let sent = 0; sent < count; ) {
    const nowMs = performance.now();
    // Counted from when it was due, unless that is our own timer's fault.
    while (sent < count && startedMs + (sent * 1000) / perSecond <= nowMs) {
      asks.push(askOne(nowMs));
      sent += 1;
    }
    await Bun.sleep(Math.max(0, startedMs + (sent * 1000) / perSecond - performance.now()));
  }
  await Promise.all(asks);
  const took = (performance.now() - startedMs) / 1000;
  for (const line of idle) line.close();
  return { waitsMs, seconds: took };
}
