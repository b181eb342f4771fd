import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { silentLogger } from "../../env/log.ts";
import { systemEnv } from "../../env/system.ts";
import { FakeCri, type FakeCriOptions, FakeFailure } from "../testing/fake-cri.ts";
import { detect, reportText, socketPaths } from "./detect.ts";
import { Runtimes, splitContainerId } from "./runtimes.ts";

const root = mkdtempSync(join(tmpdir(), "run-"));
const running: FakeCri[] = [];
const env = systemEnv(silentLogger, new AbortController().signal);
let count = 0;
const fresh = () => {
  count += 1;
  return join(root, String(count));
};
const runtimeAt = async (dir: string, socket: string, options?: FakeCriOptions) => {
  mkdirSync(dirname(join(dir, socket)), { recursive: true });
  const fake = await FakeCri.start(join(dir, socket), options);
  running.push(fake);
  return fake;
};
afterEach(() => {
  for (const fake of running.splice(0)) fake.stop();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("which sockets are tried", () => {
  test.each([
    [
      "",
      [
        "/run/containerd.sock",
        "/run/containerd/containerd.sock",
        "/run/crio.sock",
        "/run/crio/crio.sock",
        "/run/cri-dockerd.sock",
        "/run/cri-dockerd/cri-dockerd.sock",
      ],
    ],
    ["k3s/containerd/containerd.sock", ["/run/k3s/containerd/containerd.sock"]],
    ["/there.sock", ["/there.sock"]],
    ["/missing.sock", ["/run/missing.sock"]],
    ["/run/containerd/containerd.sock", ["/run/containerd.sock"]],
    ["/var/run/k3s/containerd/containerd.sock", ["/run/containerd.sock"]],
    ["containerd/containerd.sock", ["/run/containerd/containerd.sock"]],
  ])("--socket-file=%s", (file, paths) =>
    expect(socketPaths({ dir: "/run", file }, (path) => path === "/there.sock" || path === "/run/containerd.sock")).toEqual(paths),
  );
});

test("2: none is there", async () => {
  const dir = fresh();
  const detection = await detect(env, { dir, file: "" });
  expect(detection.runtimes).toEqual([]);
  expect(reportText(detection)).toContain(`${dir}/crio/crio.sock: not there`);
  await runtimeAt(dir, "containerd.sock");
  expect((await detect(env, { dir, file: "missing.sock" })).runtimes).toEqual([]);
});

describe("3: those that are there", () => {
  test.each<[string, [string, string][], string[]]>([
    ["only the one in its folder", [["containerd/containerd.sock", "containerd"]], ["containerd"]],
    [
      "two: the images are containerd's",
      [
        ["crio.sock", "cri-o"],
        ["containerd.sock", "containerd"],
      ],
      ["containerd", "cri-o"],
    ],
    ["only its folder is mounted", [["containerd.sock", "containerd"]], ["containerd"]],
    ["only CRI-O's folder is mounted", [["crio.sock", "cri-o"]], ["cri-o"]],
    ["Docker through its shim", [["cri-dockerd/cri-dockerd.sock", "docker"]], ["docker"]],
    [
      "one runtime at two sockets",
      [
        ["containerd.sock", "containerd"],
        ["containerd/containerd.sock", "containerd"],
      ],
      ["containerd"],
    ],
  ])("%s", async (_, sockets, names) => {
    const dir = fresh();
    for (const [socket, runtimeName] of sockets) await runtimeAt(dir, socket, { runtimeName });
    expect((await detect(env, { dir, file: "" })).runtimes.map(({ name }) => name)).toEqual(names);
  });
});

describe("4: those that are no good", () => {
  test("a runtime that only speaks the old CRI", async () => {
    const dir = fresh();
    await runtimeAt(dir, "containerd.sock", { api: "v1alpha2" });
    const detection = await detect(env, { dir, file: "" });
    expect(detection.runtimes).toEqual([]);
    expect(reportText(detection)).toContain("containerd.sock: does not speak CRI v1");
  });
  test("a broken one and a good one", async () => {
    const dir = fresh();
    const broken = await runtimeAt(dir, "containerd.sock");
    broken.before = () => {
      throw new FakeFailure(13, "disk full");
    };
    await runtimeAt(dir, "crio/crio.sock", { runtimeName: "cri-o" });
    const detection = await detect(env, { dir, file: "" });
    expect(detection.runtimes.map(({ name }) => name)).toEqual(["cri-o"]);
    expect(reportText(detection)).toContain("containerd.sock: ImageFsInfo: disk full");
  });
});

test("19: a runtime that was restarted answers again; one that comes later is found when it is asked for", async () => {
  const dir = fresh();
  const containerd = await runtimeAt(dir, "containerd.sock");
  const detection = await detect(env, { dir, file: "" });
  let laterMs = 0;
  const runtimes = new Runtimes(
    { ...env, monotonicMs: () => env.monotonicMs() + laterMs },
    { dir, file: "" },
    {
      ...detection,
      runtimes: [detection.runtimes[0]!],
    },
  );
  containerd.stop();
  expect(await runtimes.images.listImages()).toMatchObject({ ok: false });
  await containerd.listen();
  expect(await runtimes.images.listImages()).toMatchObject({ ok: true });
  await runtimeAt(dir, "crio.sock", { runtimeName: "cri-o" });
  expect(await runtimes.named("cri-o")).toBeUndefined();
  laterMs = 60_000;
  expect(await runtimes.named("cri-o")).toBeDefined();
  expect(runtimes.names).toEqual(["containerd", "cri-o"]);
  runtimes.close();
});

test("a runtime that accepts and says nothing is looked for again over the same connection", async () => {
  const dir = fresh();
  await runtimeAt(dir, "containerd.sock");
  const detection = await detect(env, { dir, file: "" });
  const accepts: number[] = [];
  const silent = Bun.listen({ unix: join(dir, "crio.sock"), socket: { open: () => void accepts.push(1), data: () => {} } });
  let laterMs = 0;
  const hasty = {
    ...env,
    monotonicMs: () => env.monotonicMs() + laterMs,
    after: (ms: number, run: () => void) => env.after(ms / 200, run),
  };
  const runtimes = new Runtimes(hasty, { dir, file: "" }, { ...detection, runtimes: [detection.runtimes[0]!] });
  for (let times = 1; times <= 3; times += 1) {
    laterMs += 60_000;
    expect(await runtimes.named("cri-o")).toBeUndefined();
  }
  expect(accepts).toHaveLength(1);
  runtimes.close();
  silent.stop(true);
});

test.each([
  ["containerd://abc", { type: "containerd", id: "abc" }],
  ["cri-o://a://b", { type: "cri-o", id: "a://b" }],
  ["abc", undefined],
  ["://abc", undefined],
  ["containerd://", undefined],
  ["", undefined],
  [undefined, undefined],
])("container ID %p", (text, split) => expect(splitContainerId(text)).toEqual(split as never));
