/** `kruise sandbox` as a process: its flags, what it keeps, whom it lets in, and how it ends. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { dirname, join } from "node:path";

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind
type Json = any;

const dir = mkdtempSync(join(tmpdir(), "sandbox-command-"));
const left = new Set<Running>();
afterAll(async () => {
  await Promise.all([...left].map((sandbox) => sandbox.end("SIGKILL")));
  rmSync(dir, { recursive: true, force: true });
});

const waitMsMax = 30_000;

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const endMs = performance.now() + waitMsMax;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > endMs) throw new Error(`it did not happen within ${waitMsMax / 1000} s`);
    await Bun.sleep(25);
  }
}

class Running {
  constructor(
    private readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">,
    readonly kubeconfigPath: string,
    readonly url: string,
    readonly ca: string,
    readonly token: string,
  ) {
    left.add(this);
  }

  static async start(...flags: string[]): Promise<Running> {
    const child = Bun.spawn([process.execPath, "src/main.ts", "sandbox", "--speed=10", ...flags], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const path = /^export KUBECONFIG=(.+)$/m.exec(text)?.[1];
      if (path === undefined) continue;
      const config = JSON.parse(readFileSync(path, "utf8"));
      const { server, "certificate-authority-data": ca } = config.clusters[0].cluster;
      return new Running(child, path, server, Buffer.from(ca, "base64").toString(), config.users[0].user.token);
    }
    throw new Error(`it did not start: ${await new Response(child.stderr).text()}`);
  }

  async ask(method: string, path: string, body?: unknown, type = "application/json"): Promise<Json> {
    const answer = await fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.token}`, "content-type": type },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: { ca: this.ca },
    });
    const json = await answer.json();
    if (!answer.ok) throw new Error(json.message);
    return json;
  }

  async end(signal: NodeJS.Signals): Promise<{ readonly code: number; readonly problems: string }> {
    left.delete(this);
    this.child.kill(signal);
    const code = await this.child.exited;
    return { code, problems: await new Response(this.child.stderr).text() };
  }
}

const cloneSet = (image: string) => ({
  apiVersion: "apps.kruise.io/v1beta1",
  kind: "CloneSet",
  metadata: { name: "web" },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image }] } },
  },
});
const sets = "/apis/apps.kruise.io/v1beta1/namespaces/default/clonesets";
const rolledOut = (sandbox: Running, image: string) =>
  until(async () => {
    const { items } = await sandbox.ask("GET", "/api/v1/namespaces/default/pods");
    const done = items.filter((pod: Json) => pod.spec.containers[0].image === image && pod.status.containerStatuses?.[0].ready === true);
    return done.length === 3 && items.length === 3 ? (items as Json[]) : undefined;
  });
const identityOf = (pods: readonly Json[]) => pods.map(({ metadata, status }) => `${metadata.name} ${metadata.uid} ${status.podIP}`).sort();

test("with --data-dir it is taken up where it was left: port, kubeconfig, objects, and the work goes on", async () => {
  const dataDir = join(dir, "kept");
  const first = await Running.start(`--data-dir=${dataDir}`, "--nodes=2");
  await first.ask("POST", sets, cloneSet("nginx:1"));
  const before = await rolledOut(first, "nginx:1");
  expect((await first.ask("GET", "/api/v1/nodes")).items).toHaveLength(2);
  const config = readFileSync(first.kubeconfigPath, "utf8");
  expect(await first.end("SIGTERM")).toEqual({ code: 0, problems: "" });

  const second = await Running.start(`--data-dir=${dataDir}`);
  expect([second.url, readFileSync(second.kubeconfigPath, "utf8")]).toEqual([first.url, config]);
  const after = await rolledOut(second, "nginx:1");
  expect(identityOf(after)).toEqual(identityOf(before));
  expect(after.map((pod) => pod.status.containerStatuses[0].restartCount)).toEqual([0, 0, 0]);
  await second.ask("PATCH", `${sets}/web`, { spec: { template: cloneSet("nginx:2").spec.template } }, "application/merge-patch+json");
  expect(identityOf(await rolledOut(second, "nginx:2"))).toEqual(identityOf(before));
  await second.ask("PATCH", `${sets}/web`, { spec: { replicas: 4 } }, "application/merge-patch+json");
  const addresses = await until(async () => {
    const { items } = await second.ask("GET", "/api/v1/namespaces/default/pods");
    const found = items.map((pod: Json) => pod.status.podIP).filter((ip: unknown) => ip !== undefined);
    return found.length === 4 ? (found as string[]) : undefined;
  });
  expect(new Set(addresses).size).toBe(4);
  expect(await second.end("SIGINT")).toEqual({ code: 0, problems: "" });

  // Killed, it is there again as well.
  const third = await Running.start(`--data-dir=${dataDir}`);
  await third.end("SIGKILL");
  const fourth = await Running.start(`--data-dir=${dataDir}`);
  expect((await fourth.ask("GET", `${sets}/web`)).spec.replicas).toBe(4);
  expect((await fourth.end("SIGTERM")).code).toBe(0);
}, 90_000);

test("without it nothing stays; only loopback, and only with the token", async () => {
  const sandbox = await Running.start("--image=nginx:3=broken,registry.example.com/*=bad", "--nodes=1");
  const url = new URL(sandbox.url);
  expect(url.hostname).toBe("127.0.0.1");
  for (const address of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
    if (!address.internal && address.family === "IPv4")
      await expect(fetch(`https://${address.address}:${url.port}/readyz`, { tls: { rejectUnauthorized: false } })).rejects.toThrow();
  const anonymous = await fetch(`${sandbox.url}/api/v1/pods`, { tls: { ca: sandbox.ca } });
  expect([anonymous.status, (await anonymous.json()) as Json]).toEqual([401, expect.objectContaining({ reason: "Unauthorized" })]);
  expect(await (await fetch(`${sandbox.url}/readyz`, { tls: { ca: sandbox.ca } })).text()).toBe("ok");
  // Of images that shall fare badly.
  for (const [name, image] of [
    ["a", "nginx:3"],
    ["b", "registry.example.com/x:1"],
  ] as const)
    await sandbox.ask("POST", "/api/v1/namespaces/default/pods", { metadata: { name }, spec: { containers: [{ name: "main", image }] } });
  const waits = (name: string, reason: string) =>
    until(async () => {
      const pod = await sandbox.ask("GET", `/api/v1/namespaces/default/pods/${name}`);
      return pod.status.containerStatuses?.[0].state.waiting?.reason === reason ? true : undefined;
    });
  await waits("a", "CrashLoopBackOff");
  await waits("b", "ImagePullBackOff");
  expect(await sandbox.end("SIGTERM")).toEqual({ code: 0, problems: "" });
  expect(existsSync(dirname(sandbox.kubeconfigPath))).toBe(false);
}, 90_000);

test("it ends with an open watch", async () => {
  const sandbox = await Running.start();
  const watch = await fetch(`${sandbox.url}/api/v1/pods?watch=true`, {
    headers: { authorization: `Bearer ${sandbox.token}` },
    tls: { ca: sandbox.ca },
  });
  expect(watch.status).toBe(200);
  expect((await sandbox.end("SIGTERM")).code).toBe(0);
  await watch.body?.cancel().catch(() => {});
}, 60_000);

async function refused(...flags: string[]): Promise<readonly [number, string]> {
  const child = Bun.spawn([process.execPath, "src/main.ts", "sandbox", ...flags], { stdout: "ignore", stderr: "pipe" });
  return [await child.exited, await new Response(child.stderr).text()];
}

test("what it cannot do it says at once", async () => {
  expect(await refused("--nodes=-1")).toEqual([2, "error: --nodes=-1: expected 0 to 1000; see --help\n"]);
  expect(await refused("--port=70000")).toEqual([2, "error: --port=70000: expected 0 to 65535; see --help\n"]);
  expect(await refused("--speed=0")).toEqual([2, "error: --speed=0: expected a number above 0; see --help\n"]);
  expect(await refused("--image=nginx")).toEqual([
    2,
    "error: --image=nginx: expected <image>=<fault> with one of bad, broken, slow; see --help\n",
  ]);
  expect(await refused("more")).toEqual([2, 'error: unexpected argument "more"; see --help\n']);
  const taken = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("") });
  const port = String(taken.port);
  const [code, problem] = await refused(`--port=${port}`);
  await taken.stop(true);
  expect([code, problem]).toEqual([1, expect.stringContaining(port)]);
  const dataDir = join(dir, "shared");
  const owner = await Running.start(`--data-dir=${dataDir}`);
  expect(await refused(`--data-dir=${dataDir}`)).toEqual([1, `error: ${dataDir} is in use by another sandbox\n`]);
  await owner.end("SIGTERM");
}, 60_000);
