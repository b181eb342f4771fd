import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeImages } from "../api/nodeimage.ts";
import { FakeEnv } from "../env/fake.ts";
import { EventRecorder } from "../kube/events.ts";
import { anonymousCredentials, createKube } from "../kube/kube.ts";
import { FakeApi } from "../kube/testing/fake-api.ts";
import { type Detection, detect, knownSockets } from "./cri/detect.ts";
import { findRuntimes, startLimits, tellNoRuntime } from "./start-report.ts";
import { FakeCri, FakeFailure } from "./testing/fake-cri.ts";

const root = mkdtempSync(join(tmpdir(), "run-"));
let count = 0;
const fresh = () => {
  count += 1;
  const dir = join(root, String(count));
  mkdirSync(dir);
  return dir;
};
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Lets virtual time pass in small steps, so that real sockets have their turn in between. */
async function ended<T>(env: FakeEnv, work: Promise<T>): Promise<T> {
  let done = false;
  void work.finally(() => {
    done = true;
  });
  while (!done) {
    await env.advance(50);
    await Bun.sleep(1);
  }
  return work;
}

describe("a runtime is looked for", () => {
  test("for a bounded time, and it is told once that it is waited for", async () => {
    const env = new FakeEnv();
    const detection = await ended(env, findRuntimes(env, { dir: fresh(), file: "" }));
    expect(detection.runtimes).toEqual([]);
    expect(detection.tried.map(({ result }) => result)).toEqual(knownSockets.map(() => "missing"));
    expect(env.monotonicMs()).toBeGreaterThanOrEqual(startLimits.runtimeWaitMs);
    expect(env.monotonicMs() + startLimits.eventMs).toBeLessThanOrEqual(10_100);
    expect(env.lines.filter(({ level }) => level === "warn").length).toBe(1);
  });

  test("that is not there yet", async () => {
    const env = new FakeEnv();
    const dir = fresh();
    const looking = findRuntimes(env, { dir, file: "" });
    await env.advance(3000);
    const cri = await FakeCri.start(join(dir, "containerd.sock"));
    const { runtimes } = await ended(env, looking);
    expect(runtimes.map(({ name }) => name)).toEqual(["containerd"]);
    expect(env.monotonicMs()).toBeLessThan(startLimits.runtimeWaitMs);
    for (const { client } of runtimes) client.channel.close();
    cri.stop();
  });

  test("that is there and not ready yet", async () => {
    const env = new FakeEnv();
    const dir = fresh();
    const cri = await FakeCri.start(join(dir, "containerd.sock"));
    cri.before = () => {
      if (env.monotonicMs() < 3000) throw new FakeFailure(14, "server is not initialized yet");
    };
    const { runtimes } = await ended(env, findRuntimes(env, { dir, file: "" }));
    expect(runtimes.map(({ name }) => name)).toEqual(["containerd"]);
    for (const { client } of runtimes) client.channel.close();
    cri.stop();
  });

  test("until the process is asked to stop", async () => {
    const env = new FakeEnv();
    const looking = findRuntimes(env, { dir: fresh(), file: "" });
    await env.advance(100);
    env.stop();
    await looking;
    expect(env.monotonicMs()).toBe(100);
  });
});

describe("a node without one", () => {
  const eventsPath = "/api/v1/events";
  const path = "/apis/apps.kruise.io/v1beta1/nodeimages";
  async function told(detection: Detection, sockets: { dir: string; file: string }, answers = true) {
    const env = new FakeEnv();
    const api = new FakeApi(path, eventsPath);
    api.put(path, { metadata: { name: "n1", uid: "u1" }, spec: {} });
    const fetch: typeof api.fetch = answers ? api.fetch : () => new Promise(() => {});
    const kube = createKube(env, anonymousCredentials(), { userAgent: "kruise-daemon", fetch });
    const events = EventRecorder.create(env, kube.client, "kruise-daemon", "n1");
    const message = await ended(env, tellNoRuntime(env, kube, events, "n1", sockets, detection));
    return { message, env, event: api.all(eventsPath)[0] as unknown as Record<string, unknown> | undefined };
  }

  test("tells on its NodeImage what was tried and what to do, however much went wrong", async () => {
    const sockets = { dir: "/hostvarrun", file: "" };
    const tried = knownSockets.map((socket) => ({
      socketPath: join("/hostvarrun", socket),
      result: "broken" as const,
      problem: "ImageFsInfo: ".padEnd(400, "x"),
    }));
    const { message, event } = await told({ runtimes: [], tried }, sockets);
    expect(event).toMatchObject({ type: "Warning", reason: "NoContainerRuntime", involvedObject: { kind: nodeImages.kind, name: "n1" } });
    const short = event?.["message"] as string;
    for (const socket of knownSockets) expect(short).toContain(`/hostvarrun/${socket}: ImageFsInfo: x`);
    expect(short).toContain("daemon.socketLocation");
    expect(message).toContain("x".repeat(300));
  });

  test("and with the one socket that was named", async () => {
    const sockets = { dir: fresh(), file: "missing.sock" };
    const { message } = await told(await detect(new FakeEnv(), sockets), sockets);
    expect(message).toContain("missing.sock: not there");
    expect(message).toContain("check --socket-file");
  });

  test("does not wait long for an API server that does not answer", async () => {
    const { env } = await told({ runtimes: [], tried: [] }, { dir: "/hostvarrun", file: "" }, false);
    expect(env.monotonicMs()).toBeLessThanOrEqual(startLimits.eventMs + 100);
  });
});
