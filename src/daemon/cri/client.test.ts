import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../env/log.ts";
import { systemEnv } from "../../env/system.ts";
import { FakeCri, FakeFailure } from "../testing/fake-cri.ts";
import { CriClient } from "./client.ts";
import { GrpcChannel, grpcCode } from "./grpc.ts";

const dir = mkdtempSync(join(tmpdir(), "cri-"));
let fake: FakeCri;
let stop: AbortController;
let cri: CriClient;
let count = 0;

beforeEach(async () => {
  count += 1;
  fake = await FakeCri.start(join(dir, `${count}.sock`));
  stop = new AbortController();
  cri = new CriClient(new GrpcChannel(systemEnv(silentLogger, stop.signal), fake.socketPath));
});
afterEach(() => {
  cri.channel.close();
  fake.stop();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const given = <T>(called: { ok: true; value: T } | { ok: false; message: string }): T => {
  if (!called.ok) throw new Error(called.message);
  return called.value;
};

const until = async (isSo: () => boolean) => {
  for (const startMs = Date.now(); !isSo(); await Bun.sleep(5)) if (Date.now() - startMs > 5000) throw new Error("it never came to be so");
};
/** Both ends, as the runtime is in this process. */
const sockets = () => readdirSync("/proc/self/fd").length;

test("calls of every kind, several at once, over one connection", async () => {
  fake.run({ id: "c1", name: "app", podUid: "u1", restartCount: 2, env: { A: "b" } });
  fake.run({ id: "c2", name: "app", podUid: "u2" });
  fake.exec = (_, command) => ({ stdout: command.join(" "), exitCode: 3 });
  const [version, containers, status, info, executed, missing] = await Promise.all([
    cri.version(),
    cri.listContainers({ podUid: "u1" }),
    cri.containerStatus("c1"),
    cri.containerInfo("c1"),
    cri.execSync("c1", ["echo", "ä"], 3),
    cri.containerStatus("none"),
  ]);
  expect(given(version).runtimeName).toBe("containerd");
  expect(given(containers).map((container) => container.id)).toEqual(["c1"]);
  expect(given(status).annotations["io.kubernetes.container.restartCount"]).toBe("2");
  expect(given(info)["info"]).toContain("A=b");
  expect(new TextDecoder().decode(given(executed).stdout)).toBe("echo ä");
  expect(given(executed).exitCode).toBe(3);
  expect(missing).toEqual({ ok: false, code: grpcCode.notFound, message: 'container "none" not found' });
});

test("answers larger than the windows, up to 16 MiB and not beyond", async () => {
  const fill = (count: number) => {
    for (let index = 0; index < count; index += 1) fake.images.add(`registry.test/${"x".repeat(40_000)}:${index}`);
  };
  fill(300);
  expect(given(await cri.listImages())).toHaveLength(300);
  fill(500);
  expect(await cri.listImages()).toMatchObject({ ok: false, code: grpcCode.resourceExhausted });
  expect((await cri.version()).ok).toBe(true);
}, 30_000);

test("requests larger than the server's window", async () => {
  const labels = { big: "x".repeat(300_000) };
  given(await cri.pullImage({ image: "a:b", auth: { username: "u", password: "p" }, sandboxLabels: labels }));
  expect(fake.callsOf("PullImage")[0]?.request).toMatchObject({ auth: { username: "u", password: "p" }, sandboxConfig: { labels } });
});

test("a failure of the runtime is an answer with its code and words", async () => {
  fake.before = () => {
    throw new FakeFailure(9, "100% wrong: ü");
  };
  expect(await cri.version()).toEqual({ ok: false, code: 9, message: "100% wrong: ü" });
});

test("the runtime's words come as they were said", async () => {
  for (const words of ["a/b?c#d %2F %zz 😀", "tab\tnew\nline", "x".repeat(3000), ""]) {
    fake.before = () => {
      throw new FakeFailure(2, words);
    };
    expect(await cri.version()).toEqual({ ok: false, code: grpcCode.unknown, message: words });
  }
});

test("a call that takes too long ends with its deadline, one that is not wanted any more at once", async () => {
  fake.before = () => new Promise(() => {});
  expect(await cri.version({ deadlineMs: 50 })).toMatchObject({ ok: false, code: grpcCode.deadlineExceeded });
  const abort = new AbortController();
  const pulling = cri.pullImage({ image: "a:b" }, { signal: abort.signal });
  abort.abort();
  expect(await pulling).toMatchObject({ ok: false, code: grpcCode.cancelled });
  const other = cri.pullImage({ image: "a:b" });
  stop.abort();
  expect(await other).toMatchObject({ ok: false, code: grpcCode.cancelled });
});

test("the runtime is told how long a call may take, and when nobody waits for it any more", async () => {
  fake.before = () => new Promise(() => {});
  const abort = new AbortController();
  const pulling = cri.pullImage({ image: "a:b" }, { signal: abort.signal });
  const late = cri.stopContainer("c1", 1, { deadlineMs: 300 });
  await until(() => fake.calls.length === 2);
  expect(fake.callsOf("PullImage")[0]?.deadlineMs).toBeUndefined();
  expect(fake.callsOf("StopContainer")[0]?.deadlineMs).toBeWithin(1, 301);
  expect(fake.cancelled).toEqual([]);
  abort.abort();
  await until(() => fake.cancelled.includes("PullImage"));
  await Promise.all([pulling, late]);
  await until(() => fake.cancelled.includes("StopContainer"));
});

test("a long pull goes on while the runtime refuses other calls as unavailable", async () => {
  let finish = () => {};
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  fake.before = async (call) => {
    if (call === "PullImage") await held;
    else throw new FakeFailure(14, "not now");
  };
  const pulling = cri.pullImage({ image: "a:b" });
  await until(() => fake.callsOf("PullImage").length === 1);
  expect(await cri.version()).toEqual({ ok: false, code: grpcCode.unavailable, message: "not now" });
  expect(await cri.version()).toEqual({ ok: false, code: grpcCode.unavailable, message: "not now" });
  finish();
  given(await pulling);
});

test("restarts, with calls while it is down: the first call after each is answered, and no connection stays behind", async () => {
  given(await cri.version());
  const before = sockets();
  for (let round = 0; round < 20; round += 1) {
    fake.stop();
    for (let calls = 0; calls < round % 4; calls += 1) expect(await cri.version()).toMatchObject({ ok: false, code: grpcCode.unavailable });
    // What restarts is away for longer than the millisecond after which the library tries once more.
    await Bun.sleep(20);
    await fake.listen();
    const answers = await Promise.all(Array.from({ length: 5 }, () => cri.version()));
    expect(answers.filter(({ ok }) => !ok)).toEqual([]);
  }
  await until(() => sockets() <= before);
  cri.channel.close();
  await until(() => sockets() < before);
}, 30_000);

test("somebody who accepts and says nothing: the deadline holds, over one connection", async () => {
  const path = join(dir, "silent.sock");
  const accepts: number[] = [];
  const silent = Bun.listen({ unix: path, socket: { open: () => void accepts.push(1), data: () => {} } });
  const waiting = new CriClient(new GrpcChannel(systemEnv(silentLogger, stop.signal), path));
  for (let calls = 0; calls < 3; calls += 1)
    expect(await waiting.version({ deadlineMs: 50 })).toMatchObject({ ok: false, code: grpcCode.deadlineExceeded });
  expect(accepts).toHaveLength(1);

  waiting.channel.close();
  silent.stop(true);
});

test("a runtime that was restarted is found again without a new client", async () => {
  given(await cri.version());
  fake.stop();
  expect(await cri.version()).toMatchObject({ ok: false, code: grpcCode.unavailable });
  await fake.listen();
  expect((await cri.listImages()).ok).toBe(true);
});

test("a runtime that ends in the middle of a call: the call ends too", async () => {
  fake.before = () => new Promise(() => {});
  const call = cri.stopContainer("c1", 30);
  while (fake.callsOf("StopContainer").length === 0) await Bun.sleep(5);
  fake.stop();
  expect(await call).toMatchObject({ ok: false, code: grpcCode.unavailable });
});

test("nobody listens, or somebody who speaks something else", async () => {
  const env = systemEnv(silentLogger, stop.signal);
  const missing = new CriClient(new GrpcChannel(env, join(dir, "missing.sock")));
  expect(await missing.version()).toMatchObject({
    ok: false,
    code: grpcCode.unavailable,
    message: `cannot connect to ${join(dir, "missing.sock")}: ENOENT`,
  });
  const path = join(dir, "other.sock");
  const other = Bun.listen({ unix: path, socket: { data: (socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n") } });
  expect(await new CriClient(new GrpcChannel(env, path)).version()).toMatchObject({ ok: false, code: grpcCode.unavailable });
  other.stop(true);
});
