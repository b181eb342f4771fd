/** What somebody does first: `./scripts/start`. */
import { expect, test } from "bun:test";

test("scripts/start --once shows an in-place rollout and ends by itself", async () => {
  const child = Bun.spawn([process.execPath, "scripts/start.ts", "--once"], { stdout: "pipe", stderr: "pipe" });
  const [text, problems, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  expect([code, problems]).toEqual([0, ""]);
  expect(text).toContain("held by maxUnavailable: 1 of 1 used");
  expect(text).toMatch(/\[#{30}\] 5\/5\n\nDone: the same pods, restarted with the new image\.\n$/);
  // No sequence for terminals where there is none.
  expect(text).not.toContain("\x1b");
}, 180_000);
