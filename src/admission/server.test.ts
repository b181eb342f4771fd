import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import type { Env } from "../env/env.ts";
import { silentLogger } from "../env/log.ts";
import { httpFetch, serve } from "../env/network.ts";
import { steerConnections } from "../env/steering.ts";
import { systemEnv } from "../env/system.ts";
import type { Certificates } from "./certificates.ts";
import { writeCertificateFiles } from "./file-writer.ts";
import { bodyLimits, createHandler } from "./handler.ts";
import { silentMetrics } from "./metrics.ts";
import { podWebhooks } from "./pod.ts";
import { readinessCheck } from "./readiness.ts";
import { type AdmissionServer, type AdmissionServerOptions, createAdmissionServer, type Serve } from "./server.ts";
import { certificatesMade, contextWith, host, podRequest, reviewText, until } from "./testing/fixtures.ts";

let first: Certificates;
let second: Certificates;
let env: Env;
const running: AdmissionServer[] = [];

beforeAll(async () => {
  env = systemEnv(silentLogger, new AbortController().signal);
  const hourAgoMs = Math.floor(env.nowMs() / 3_600_000) * 3_600_000;
  [first, second] = await Promise.all([certificatesMade("a", hourAgoMs), certificatesMade("b", hourAgoMs)]);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
});

function server(changes: Partial<AdmissionServerOptions> = {}): AdmissionServer {
  const webhooks = podWebhooks({ mutations: [], guards: [], installNamespace: "kruise-system" });
  const converter = () => ({ ok: false, message: "no kinds" }) as const;
  const handler = createHandler({ env, webhooks, converter, context: contextWith(), metrics: silentMetrics });
  const made = createAdmissionServer({
    env,
    serve: serve as Serve,
    steer: steerConnections,
    port: 0,
    handler,
    bodyBytesMax: bodyLimits.conversionBytesMax,
    ...changes,
  });
  running.push(made);
  return made;
}

const pod = { metadata: { name: "web-0", namespace: "shop" }, spec: { containers: [{ name: "main", image: "nginx" }] } };
const body = reviewText(podRequest({ object: pod as never }));
const wire = `POST /mutate-pod?timeout=10s HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** A connection as an API server holds it: kept until told otherwise, and nothing is ever tried again. */
class Connection {
  private received = "";
  private waiting: { resolve: (answer: string) => void; reject: (error: Error) => void } | undefined;
  closing = false;
  private broken: Error | undefined;

  private constructor(private readonly socket: ReturnType<typeof connect>) {
    socket.on("data", (data) => this.take(data.toString("latin1")));
    socket.on("close", () => this.fail(new Error("closed during a request")));
    socket.on("error", (error) => this.fail(error));
  }
  static open(port: number, ca: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "localhost", port, ca, servername: host }, () => resolve(new Connection(socket)));
      socket.once("error", reject);
    });
  }
  get certificateSubject(): string {
    return this.socket.getPeerX509Certificate()?.fingerprint256 ?? "";
  }
  ask(): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.broken) return reject(this.broken);
      this.waiting = { resolve, reject };
      this.socket.write(wire);
    });
  }
  end(): void {
    this.socket.removeAllListeners("close");
    this.socket.destroy();
  }
  private take(text: string): void {
    this.received += text;
    const headEnd = this.received.indexOf("\r\n\r\n");
    const length = /content-length: (\d+)/i.exec(this.received)?.[1];
    if (headEnd < 0 || length === undefined || this.received.length < headEnd + 4 + Number(length)) return;
    const answer = this.received;
    this.received = "";
    if (/connection: close/i.test(answer)) this.closing = true;
    this.waiting?.resolve(answer);
    this.waiting = undefined;
  }
  private fail(error: Error): void {
    this.broken = error;
    this.waiting?.reject(error);
    this.waiting = undefined;
  }
}

describe("the webhook port", () => {
  test("answers over TLS 1.2 and later, on IPv4 and IPv6", async () => {
    const made = server();
    made.use(first);
    for (const address of ["127.0.0.1", "[::1]"]) {
      const response = await httpFetch(`https://${address}:${made.port}/mutate-pod`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        tls: { ca: first.caCertificate, serverName: host },
      });
      expect(response.status).toBe(200);
      expect(JSON.parse(await response.text()).response).toEqual({ uid: podRequest().uid, allowed: true });
    }
    const refused = await new Promise<boolean>((resolve) => {
      const socket = connect(
        { host: "localhost", port: made.port, rejectUnauthorized: false, maxVersion: "TLSv1.1", minVersion: "TLSv1" },
        () => resolve(false),
      );
      socket.on("error", () => resolve(true));
    });
    expect(refused).toBe(true);
  });

  test("that is taken is said with what to do, and is not shared", () => {
    const other = Bun.serve({ hostname: "::", port: 0, reusePort: true, fetch: () => new Response("other") });
    try {
      expect(() => server({ port: other.port }).use(first)).toThrow(`port ${other.port} is in use: set WEBHOOK_PORT`);
    } finally {
      other.stop(true);
    }
  });

  test("falls back to IPv4 where there is nothing else", async () => {
    const asked: string[] = [];
    const onlyFour: Serve = (options) => {
      asked.push(options.hostname);
      if (options.hostname === "::") throw Object.assign(new Error("no IPv6"), { code: "EAFNOSUPPORT" });
      return (serve as Serve)(options);
    };
    const made = server({ serve: onlyFour });
    made.use(first);
    made.use(second);
    expect(asked).toEqual(["::", "0.0.0.0", "0.0.0.0"]);
    const connection = await Connection.open(made.port ?? 0, second.caCertificate);
    expect(await connection.ask()).toContain('"allowed":true');
    connection.end();
  });

  test("the same certificate again changes nothing", () => {
    let opened = 0;
    const counting: Serve = (options) => {
      opened += 1;
      return (serve as Serve)(options);
    };
    const made = server({ serve: counting });
    made.use(first);
    made.use({ ...first });
    expect(opened).toBe(1);
  });
});

describe("rotation", () => {
  test("new connections meet the new certificate, old ones are asked to come back", async () => {
    const made = server();
    made.use(first);
    const port = made.port ?? 0;
    const old = await Connection.open(port, first.caCertificate);
    await old.ask();
    expect(old.closing).toBe(false);
    made.use(second);
    for (let index = 0; index < 20; index += 1) {
      const fresh = await Connection.open(port, second.caCertificate);
      expect(await fresh.ask()).toContain('"allowed":true');
      fresh.end();
    }
    expect(await old.ask()).toContain('"allowed":true');
    expect(old.closing).toBe(true);
    old.end();
  });

  test("under load, no request is lost", async () => {
    const made = server({ drainMs: 150 });
    made.use(first);
    const port = made.port ?? 0;
    const ca = first.caCertificate + second.caCertificate;
    const failures: string[] = [];
    let answered = 0;
    let rotations = 0;
    let stopping = false;
    const client = async (requestsMax: number) => {
      while (!stopping) {
        try {
          const connection = await Connection.open(port, ca);
          for (let index = 0; index < requestsMax && !connection.closing && !stopping; index += 1) {
            if (!(await connection.ask()).startsWith("HTTP/1.1 200")) failures.push("another status");
            answered += 1;
          }
          connection.end();
        } catch (error) {
          failures.push(String(error));
        }
      }
    };
    const clients = [1, 1, 1, 5, 1_000, 1_000].map(client);
    for (; rotations < 12; rotations += 1) {
      const before = answered;
      made.use(rotations % 2 === 0 ? second : first);
      // Some come while the one before is still draining.
      await until(() => answered > before + (rotations % 3 === 0 ? 20 : 150), "requests go on");
    }
    stopping = true;
    await Promise.all(clients);
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(1_000);
  }, 30_000);

  test("stopping answers what is under way", async () => {
    let release: (response: Response) => void = () => {};
    let entered = false;
    const handler = () => {
      entered = true;
      return new Promise<Response>((resolve) => {
        release = resolve;
      });
    };
    const made = server({ handler });
    made.use(first);
    const connection = await Connection.open(made.port ?? 0, first.caCertificate);
    const answer = connection.ask();
    await until(() => entered, "the request is under way");
    const stopped = made.stop();
    release(new Response("late"));
    expect(await answer).toContain("late");
    await stopped;
    connection.end();
  });
});

describe("readiness", () => {
  test("asks the own port with the CA of the cert dir, read again when it changes", async () => {
    const directory = mkdtempSync(join(tmpdir(), "kruiser-ready-"));
    try {
      const made = server();
      made.use(first);
      const check = readinessCheck({ env, fetch: httpFetch, port: made.port ?? 0, certDir: directory, host });
      expect(await check()).toMatchObject({ ok: false, message: expect.stringContaining("ca-cert.pem") });
      await writeCertificateFiles(directory, first, "one");
      expect(await check()).toEqual({ ok: true });
      await writeCertificateFiles(directory, second, "two");
      expect((await check()).ok).toBe(false);
      made.use(second);
      await until(async () => (await check()).ok, "ready with the new certificate");
      rmSync(join(directory, "ca-cert.pem"));
      writeFileSync(join(directory, "ca-cert.pem"), "garbage");
      expect((await check()).ok).toBe(false);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test("a port that nobody answers is not ready", async () => {
    const directory = mkdtempSync(join(tmpdir(), "kruiser-ready-"));
    await writeCertificateFiles(directory, first, "one");
    const made = server();
    made.use(first);
    const { port = 0 } = made;
    await made.stop();
    const check = readinessCheck({ env, fetch: httpFetch, port, certDir: directory, host });
    expect((await check()).ok).toBe(false);
    rmSync(directory, { recursive: true, force: true });
  });
});
