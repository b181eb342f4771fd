import { afterAll, describe, expect, test } from "bun:test";
import { silentLogger } from "../../env/log.ts";
import { httpFetch } from "../../env/network.ts";
import { systemEnv } from "../../env/system.ts";
import type { Handler, HTTPGetAction } from "../../kube/types.ts";
import type { RuntimeService } from "../cri/client.ts";
import { hookUrl, runHook } from "./hook.ts";
import { planKill, stopSeconds, withoutId } from "./killer.ts";
import { newest, podContainer } from "./read.ts";

describe("how a kill goes", () => {
  const preStop = { exec: { command: ["drain"] } };
  const before = { purpose: "u", container: "app" };
  test.each([
    ["no hook", { graceSeconds: 30 }, undefined, { announce: true, hookMsBefore: 0 }],
    [
      "a hook may take all of the grace period",
      { graceSeconds: 30, preStop },
      undefined,
      { announce: true, hookMsMax: 30_000, hookMsBefore: 0 },
    ],
    ["without a grace period no hook", { graceSeconds: 0, preStop }, undefined, { announce: true, hookMsBefore: 0 }],
    [
      "interrupted before the hook ended: it runs again, users know already",
      { graceSeconds: 30, preStop },
      before,
      { announce: false, hookMsMax: 30_000, hookMsBefore: 0 },
    ],
    [
      "interrupted after the hook: it does not run again",
      { graceSeconds: 30, preStop },
      { ...before, hookMs: 4000 },
      { announce: false, hookMsBefore: 4000 },
    ],
  ])("%s", (_, order, done, plan) => expect(planKill(order, done)).toEqual(plan));

  test.each([
    [10, 0, 10],
    [10, 3999, 7],
    [10, 9000, 2],
    [0, 0, 2],
    [1, 500, 2],
  ])("of %i s a hook of %i ms leaves %i s", (grace, hookMs, seconds) => expect(stopSeconds(grace, hookMs)).toBe(seconds));

  test("IDs do not get into messages", () => {
    const order = { containerId: "containerd://abc", runtimeId: "abc", container: "app" };
    expect(withoutId("container containerd://abc: abc is gone", order)).toBe("container app: app is gone");
  });
});

describe("where an HTTP hook goes", () => {
  const ports = [{ name: "http", containerPort: 8080 }];
  test.each<[HTTPGetAction, string | undefined, unknown]>([
    [{ port: 80 }, "10.0.0.1", { scheme: "http", rest: "10.0.0.1:80/" }],
    [{ port: "http", path: "stop?now=1" }, "10.0.0.1", { scheme: "http", rest: "10.0.0.1:8080/stop?now=1" }],
    [{ port: "81", scheme: "HTTPS", host: "example.test" }, undefined, { scheme: "https", rest: "example.test:81/" }],
    [{ port: 80 }, "fd00::1", { scheme: "http", rest: "[fd00::1]:80/" }],
    [{ port: 80 }, undefined, { problem: "the hook names no host, and the pod's IP is not known" }],
    [{ port: "grpc" }, "10.0.0.1", { problem: 'the container has no port "grpc"' }],
  ])("%j in a pod at %p", (action, podIP, expected) => expect(hookUrl(action, { ports, podIP })).toEqual(expected as never));
});

describe("running hooks", () => {
  const seen: { headers: Headers; url: string }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      seen.push({ headers: request.headers, url: request.url });
      return new Response("no", { status: 500 });
    },
  });
  afterAll(() => server.stop(true));
  const env = systemEnv(silentLogger, new AbortController().signal);
  const run = (handler: Handler, limitMs = 2000, exec: Partial<RuntimeService> = {}) =>
    runHook(env, httpFetch, { handler, runtime: exec as RuntimeService, runtimeId: "x", ports: [], podIP: "127.0.0.1" }, limitMs);

  test("whatever a server says, it was told", async () => {
    const httpHeaders = [
      { name: "X-A", value: "1" },
      { name: "x-a", value: "2" },
      { name: "Accept", value: "text/plain" },
    ];
    expect(await run({ httpGet: { port: server.port ?? 0, path: "/stop", httpHeaders } })).toEqual({});
    const { headers, url } = seen.at(-1)!;
    expect(new URL(url).pathname).toBe("/stop");
    expect([headers.get("x-a"), headers.get("accept"), headers.get("user-agent")]).toEqual(["1, 2", "text/plain", "kube-lifecycle/kruise"]);
  });

  test("HTTPS that is answered in plain HTTP is asked again without its secret", async () => {
    const httpHeaders = [
      { name: "Authorization", value: "Bearer secret" },
      { name: "X-A", value: "1" },
    ];
    expect(await run({ httpGet: { port: server.port ?? 0, scheme: "HTTPS", httpHeaders } })).toEqual({ fellBack: true });
    expect([seen.at(-1)?.headers.get("authorization"), seen.at(-1)?.headers.get("x-a")]).toEqual([null, "1"]);
  });

  test.each<[string, Handler, RegExp]>([
    ["nobody listens", { httpGet: { port: 1 } }, /connect/i],
    ["a kind that is not run", { tcpSocket: { port: 80 } }, /of no kind/],
    ["none at all", {}, /of no kind/],
  ])("%s: a problem", async (_, handler, problem) => expect((await run(handler)).problem).toMatch(problem));

  test("a sleep that is cut off by the grace period is no problem, a command is", async () => {
    expect(await run({ sleep: { seconds: 60 } }, 20)).toEqual({});
    const hangs: Partial<RuntimeService> = {
      execSync: (_id, _command, _timeout, options) =>
        new Promise((resolve) => options?.signal?.addEventListener("abort", () => resolve({ ok: false, code: 1, message: "cancelled" }))),
    };
    expect(await run({ exec: { command: ["x"] } }, 20, hangs)).toEqual({ problem: "did not end within 0.02 s" });
  });
});

describe("reading what a kubelet wrote", () => {
  const container = (id: string, name: string | undefined, createdAtMs: number) => ({
    id,
    state: 1,
    createdAtMs,
    labels: (name === undefined ? {} : { "io.kubernetes.container.name": name }) as Record<string, string>,
    annotations: {},
  });
  test("the newest of each name counts, and those of nobody do not", () => {
    expect(
      newest([container("1", "a", 1), container("2", "a", 2), container("3", "b", 1), container("4", undefined, 9)]).map(({ id }) => id),
    ).toEqual(["2", "3"]);
  });
  test.each([
    [{ "io.kubernetes.container.hash": "4b56d8a3", "io.kubernetes.container.restartCount": "3" }, 1263982755, 3],
    [{ "io.kubernetes.container.hash": "xyz", "io.kubernetes.container.restartCount": "many" }, 0, 0],
    [{}, 0, 0],
  ])("%j", (annotations, plainHash, restartCount) => {
    const status = {
      ...container("1", "a", 1),
      startedAtMs: 2,
      exitCode: 0,
      annotations: annotations as Record<string, string>,
    };
    expect(podContainer("containerd", status)).toMatchObject({
      id: "containerd://1",
      plainHash,
      restartCount,
      state: "running",
      startedAtMs: 2,
    });
    expect(podContainer("containerd", { ...status, state: 0 })).not.toHaveProperty("startedAtMs");
  });
});
