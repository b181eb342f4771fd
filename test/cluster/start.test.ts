/** The first command of the README, as a newcomer types it. */
import { expect, test } from "bun:test";
import { join } from "node:path";

test("scripts/start --once shows an in-place rollout and ends with 0", async () => {
  const child = Bun.spawn([join(import.meta.dir, "../../scripts/start"), "--once"], { stdout: "pipe", stderr: "pipe" });
  const [code, text] = [await child.exited, await new Response(child.stdout).text()];
  expect(text).toContain("Done: the same pods, restarted with the new image.");
  expect(text).toContain("nginx:1.28");
  expect(code).toBe(0);
}, 600_000);
