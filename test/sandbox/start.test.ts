/** What somebody does first: `./scripts/start`. */
import { expect, test } from "bun:test";

const start = (...flags: string[]) => Bun.spawn([process.execPath, "scripts/start.ts", ...flags], { stdout: "pipe", stderr: "pipe" });

test("scripts/start --once shows an in-place rollout and ends by itself", async () => {
  const child = start("--once");
  const [text, problems, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  expect([code, problems]).toEqual([0, ""]);
  expect(text).toContain("held by maxUnavailable: 1 of 1 used");
  expect(text).toMatch(/\[#{30}\] 5\/5\n\nDone: the same pods, restarted with the new image\.\n$/);
  // No sequence for terminals where there is none.
  expect(text).not.toContain("\x1b");
}, 180_000);

test("without --once it says what to try next and stays up until it is asked to end", async () => {
  const child = start();
  let text = "";
  const decoder = new TextDecoder();
  let kubeconfig = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    kubeconfig = /^ {2}export KUBECONFIG=(.+)\n(?: {2}\S.*\n){3}/m.exec(text)?.[1] ?? "";
    if (kubeconfig !== "") break;
  }
  expect(text).toContain("kubectl patch cloneset web");
  const config = (await Bun.file(kubeconfig).json()) as { clusters: [{ cluster: { server: string } }] };
  const ready = await fetch(`${config.clusters[0].cluster.server}/readyz`, { tls: { rejectUnauthorized: false } });
  expect(await ready.text()).toBe("ok");
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  expect(await Bun.file(kubeconfig).exists()).toBe(false);
}, 180_000);

test("what it does not know it says", async () => {
  const child = start("--twice");
  expect([await child.exited, await new Response(child.stderr).text()]).toEqual([
    2,
    'unknown argument "--twice": expected --once or nothing\n',
  ]);
});
