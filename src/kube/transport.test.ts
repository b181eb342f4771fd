import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { sleep } from "../env/env.ts";
import { FakeEnv } from "../env/fake.ts";
import { silentLogger } from "../env/log.ts";
import { type Fetch, httpFetch } from "../env/network.ts";
import { systemEnv } from "../env/system.ts";
import type { Auth, Credentials } from "./credentials.ts";
import { anonymousCredentials } from "./kube.ts";
import { json, status } from "./testing/fake-api.ts";
import { type ApiRequest, Transport } from "./transport.ts";

interface Call {
  readonly path: string;
  readonly atMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A transport over `answer`, in a world whose time stands still. */
function setUp(
  answer: Fetch,
  options: { inFlightMax?: number; rateLimit?: { perSecond: number; burst: number }; credentials?: Credentials } = {},
) {
  const env = new FakeEnv();
  const calls: Call[] = [];
  const meter: string[] = [];
  const transport = Transport.create(env, {
    credentials: anonymousCredentials("http://api"),
    userAgent: "kruise-manager",
    meter: (code, method) => meter.push(`${method} ${code}`),
    ...options,
    fetch: (url, request) => {
      calls.push({ path: url.replace("http://api", ""), atMs: env.monotonicMs(), headers: request.headers });
      return answer(url, request);
    },
  });
  return { env, calls, meter, transport };
}

const never: Fetch = (_, { signal }) => new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
const ok: Fetch = async () => json(200, {});
const get = (path = "/a"): ApiRequest => ({ method: "GET", path });
const post = (path = "/a"): ApiRequest => ({ method: "POST", path, body: "{}" });

test.each([
  // answers in turn, request, requests sent, last status
  [[429, 429, 200], post(), 3, 200, "nothing happened: a write may be tried again"],
  [[429, 429, 429, 429, 429, 200], post(), 5, 429, "but not for ever"],
  [[503, 200], post(), 1, 503, "a write that may have happened is for the caller"],
  [[503, 200], get(), 2, 200, "a read may be repeated when the server says when"],
  [[500], get(), 1, 500, "an error without a wish to wait stands"],
  [[404], get(), 1, 404, "an answer is an answer"],
  [[409], post(), 1, 409, "a conflict too"],
])("%j to a %j: %i requests, ends with %i: %s", async (statuses, request, sent, last) => {
  const left = [...statuses];
  const { env, calls, transport } = setUp(async () => {
    const code = left.shift() ?? 200;
    return status(code, "", "", code === 429 || code === 503 ? { "retry-after": "2" } : {});
  });
  const [answer] = await Promise.all([transport.request(request as ApiRequest), env.runUntilIdle()]);
  expect(calls).toHaveLength(sent);
  expect(answer.status).toBe(last);
  for (let index = 1; index < calls.length; index += 1) expect(calls[index]!.atMs - calls[index - 1]!.atMs).toBeGreaterThanOrEqual(2000);
});

test("a request has a deadline, and after it the server may still have done it", async () => {
  const { env, meter, transport } = setUp(never);
  const [answer] = await Promise.all([transport.request({ ...post(), deadlineMs: 5000 }), env.runUntilIdle()]);
  expect(answer).toMatchObject({ status: 0, sent: true, text: "no answer within 5 s" });
  expect(env.monotonicMs()).toBe(5000);
  expect(meter).toEqual(["POST <error>"]);
});

test("so many at once, in order; urgent ones pass", async () => {
  const open = new Map<string, () => void>();
  const hold: Fetch = (url) => new Promise((resolve) => open.set(url.replace("http://api", ""), () => resolve(json(200, {}))));
  const { env, calls, transport } = setUp(hold, { inFlightMax: 2 });
  const done: string[] = [];
  for (const name of ["a", "b", "c", "d"]) void transport.request(get(`/${name}`)).then(() => done.push(name));
  void transport.request({ ...get("/lease"), urgent: true });
  await env.advance(0);
  expect(calls.map(({ path }) => path).sort()).toEqual(["/a", "/b", "/lease"]);
  open.get("/lease")!();
  await env.advance(0);
  expect(calls).toHaveLength(3);
  for (const path of ["/a", "/b", "/c", "/d"]) {
    open.get(path)!();
    await env.advance(0);
  }
  expect(calls.slice(-2).map(({ path }) => path)).toEqual(["/c", "/d"]);
  expect(done).toEqual(["a", "b", "c", "d"]);
});

test("a server that throttles gets fewer at once, and all of them again when it has recovered", async () => {
  let busy = true;
  let most = 0;
  let open = 0;
  const { env, transport } = setUp(
    async () => {
      open += 1;
      most = Math.max(most, open);
      await new Promise<void>((resolve) => env.after(10, resolve));
      open -= 1;
      return busy ? status(429, "TooManyRequests", "", { "retry-after": "1" }) : json(200, {});
    },
    { inFlightMax: 16 },
  );
  const rush = (count: number) => Array.from({ length: count }, () => transport.request({ ...get(), retriesMax: 1 }));
  await Promise.all([...rush(100), env.runUntilIdle()]);
  most = 0;
  busy = false;
  await Promise.all([...rush(50), env.runUntilIdle()]);
  expect(most).toBeLessThanOrEqual(12);
  await Promise.all([...rush(500), env.runUntilIdle()]);
  expect(most).toBe(16);
});

test("the user's own limit is kept, for each user agent", async () => {
  const { env, calls, transport } = setUp(ok, { rateLimit: { perSecond: 10, burst: 5 } });
  const other = transport.as("kruise-manager/other");
  await Promise.all([...Array.from({ length: 25 }, () => transport.request(get("/one"))), other.request(get("/two")), env.runUntilIdle()]);
  const times = calls.filter(({ path }) => path === "/one").map(({ atMs }) => atMs);
  expect(times.filter((atMs) => atMs === 0)).toHaveLength(5);
  expect(times.at(-1)).toBeCloseTo(2000, -1);
  expect(calls.find(({ path }) => path === "/two")).toMatchObject({ atMs: 0, headers: { "user-agent": "kruise-manager/other" } });
});

test("a token that the server refuses is read again, once", async () => {
  let token = "old";
  let auth: Auth = { headers: { authorization: token } };
  const credentials: Credentials = {
    ...anonymousCredentials("http://api"),
    auth: () => auth,
    renew: () => {
      auth = { headers: { authorization: token } };
    },
  };
  const { calls, transport } = setUp(async (_, { headers }) => json(headers.authorization === "new" ? 200 : 401, {}), { credentials });
  expect((await transport.request(post())).status).toBe(401);
  expect(calls).toHaveLength(2);
  token = "new";
  expect((await transport.request(post())).status).toBe(200);
  expect(calls.at(-1)!.headers).toMatchObject({ authorization: "new", "content-type": "application/json", accept: "application/json" });
});

test("credentials that fail are an answer too, and nothing was sent", async () => {
  const credentials: Credentials = { ...anonymousCredentials("http://api"), auth: () => Promise.reject(new Error("exec: no such plugin")) };
  const { transport } = setUp(ok, { credentials });
  expect(await transport.request(post())).toMatchObject({ status: 0, sent: false, text: "exec: no such plugin" });
  expect(transport.inFlight).toBe(0);
});

test("whoever wants to know what time it is at the server is told so with each answer", async () => {
  const env = new FakeEnv();
  const said: (readonly [number, number])[] = [];
  const dates = ["Wed, 01 Jan 2025 01:00:00 GMT", "soon", undefined];
  const transport = Transport.create(
    Object.assign(env, { serverSaid: (serverMs: number, roundTripMs: number) => void said.push([serverMs, roundTripMs]) }),
    {
      credentials: anonymousCredentials("http://api"),
      userAgent: "kruise-manager",
      fetch: async () => {
        await sleep(env, 40);
        const date = dates.shift();
        return json(200, {}, date === undefined ? {} : { date });
      },
    },
  );
  for (let count = 0; count < 3; count += 1) await Promise.all([transport.request(get()), env.runUntilIdle()]);
  expect(said).toEqual([[Date.UTC(2025, 0, 1, 1), 40]]);
  dates.push("Wed, 01 Jan 2025 02:00:00 GMT");
  await Promise.all([transport.stream({ path: "/a?watch=1", counted: false, idleMs: () => 60_000 }), env.runUntilIdle()]);
  expect(said.at(-1)).toEqual([Date.UTC(2025, 0, 1, 2), 40]);
});

describe("over real sockets", () => {
  const env = systemEnv(silentLogger, new AbortController().signal);
  let certificate: { cert: string; key: string };
  let tls: ReturnType<typeof Bun.serve>;
  let rude: Server;
  let rudeUrl = "";
  let connections = 0;

  beforeAll(async () => {
    certificate = await selfSigned();
    tls = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: certificate,
      fetch: async (request) =>
        Response.json({ agent: request.headers.get("user-agent"), type: request.headers.get("content-type"), body: await request.text() }),
    });
    rude = createServer((socket) => {
      connections += 1;
      socket.on("error", () => {});
      socket.on("data", () => socket.destroy());
    });
    await new Promise<void>((resolve) => rude.listen(0, "127.0.0.1", () => resolve()));
    rudeUrl = `http://127.0.0.1:${(rude.address() as { port: number }).port}`;
  });
  afterAll(async () => {
    await tls.stop(true);
    rude.close();
  });

  const transportTo = (server: string, auth: Auth = { headers: {} }) =>
    Transport.create(env, {
      fetch: httpFetch,
      credentials: { ...anonymousCredentials(server), auth: () => auth },
      userAgent: "kruise-manager",
    });
  const tlsUrl = () => `https://127.0.0.1:${tls.port}`;

  test("TLS with a private authority", async () => {
    const answer = await transportTo(tlsUrl(), { headers: {}, tls: { ca: certificate.cert } }).request({
      method: "PATCH",
      path: "/x",
      body: '{"a":1}',
      contentType: "application/merge-patch+json",
    });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ agent: "kruise-manager", type: "application/merge-patch+json", body: '{"a":1}' });
  });

  test("a server whose certificate is not trusted gets nothing", async () => {
    expect(await transportTo(tlsUrl()).request(post())).toMatchObject({ status: 0, sent: false });
  });

  test("refused: nothing happened; cut off: who knows", async () => {
    expect(await transportTo("http://127.0.0.1:1").request(post())).toMatchObject({ status: 0, sent: false });
    expect(await transportTo(rudeUrl).request(post())).toMatchObject({ status: 0, sent: true });
  });

  test("a read that was cut off is tried again, a few times", async () => {
    connections = 0;
    expect(await transportTo(rudeUrl).request(get())).toMatchObject({ status: 0, sent: true });
    expect(connections).toBeGreaterThanOrEqual(3);
  });

  test("a stream is read as it comes, and closed when it is", async () => {
    const closed = Promise.withResolvers<void>();
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        request.signal.addEventListener("abort", () => closed.resolve());
        return new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(new TextEncoder().encode("first\n")),
          }),
        );
      },
    });
    const opened = await transportTo(`http://127.0.0.1:${server.port}`).stream({ path: "/", counted: false, idleMs: () => 60_000 });
    if (!opened.ok) throw new Error("no stream");
    expect(new TextDecoder().decode(await opened.stream.read())).toBe("first\n");
    const pending = opened.stream.read();
    opened.stream.close();
    expect(await pending).toBeUndefined();
    expect(opened.stream.ended).toEqual({ why: "closed" });
    await closed.promise;
    await server.stop(true);
  });
});

/** A certificate for 127.0.0.1, its own authority. */
async function selfSigned(): Promise<{ cert: string; key: string }> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=test",
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true), new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return {
    cert: cert.toString("pem"),
    key: `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)?.join("\n")}\n-----END PRIVATE KEY-----\n`,
  };
}
