/** The small rules of the puller, each alone. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sleep } from "../../env/env.ts";
import { FakeEnv } from "../../env/fake.ts";
import type { ImageService } from "../cri/client.ts";
import { FakeNode } from "../testing/fake-node.ts";
import { type Disk, headroomProblem, statDisk } from "./headroom.ts";
import { imagesPart } from "./index.ts";
import { Pool } from "./pool.ts";
import { redacted } from "./redact.ts";
import { pauseMs, termsOf } from "./tasks.ts";

test("an agent that was started pulls, whatever the gate KruiseDaemon says", async () => {
  const node = await FakeNode.start({ parts: [], gates: { KruiseDaemon: false } });
  expect((await imagesPart(node.frame)).name).toBe("kruise-daemon-imagepuller");
  await node.stop();
});

test("pauses: 1, 2, 4, 8, 16, 30, 30 seconds", () => {
  expect([1, 2, 3, 4, 5, 6, 7, 100].map(pauseMs)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test.each<[Parameters<typeof termsOf>[0], ReturnType<typeof termsOf>]>([
  [undefined, { timeoutMs: 600_000, attemptsMax: 4, deadlineMs: undefined }],
  [
    { timeoutSeconds: 1, backoffLimit: 0 },
    { timeoutMs: 1_000, attemptsMax: 1, deadlineMs: undefined },
  ],
  [
    { backoffLimit: -1, activeDeadlineSeconds: 60 },
    { timeoutMs: 600_000, attemptsMax: 4, deadlineMs: 60_000 },
  ],
])("terms of %p", (policy, expected) => {
  expect(termsOf(policy)).toEqual(expected);
});

describe("what is shown of a failure", () => {
  const me = { username: "me", password: "hunter22" };
  test.each<[string, string]>([
    ["failed to resolve reference: 401 Unauthorized", "failed to resolve reference: 401 Unauthorized"],
    ['Get "https://me:hunter22@r.test/v2/": EOF', 'Get "https://r.test/v2/": EOF'],
    ["GET https://s3.test/blob?X-Amz-Signature=abc&x=y: 403", "GET https://s3.test/blob?… 403"],
    ["sent Authorization: Basic bWU6aHVudGVyMjI= to r.test", "sent Authorization: Basic … to r.test"],
    ["bearer eyJhbGciOi.abc.def was refused", "bearer … was refused"],
    ['login as "hunter22" failed', 'login as "…" failed'],
    [`auth bWU6aHVudGVyMjI=`, "auth …"],
  ])("%s", (message, expected) => {
    expect(redacted(message, [me])).toBe(expected);
  });
  test("never a password, wherever it stands, and never too long", () => {
    fc.assert(
      fc.property(fc.string(), fc.stringMatching(/^[A-Za-z0-9!#%&]{6,20}$/), fc.string(), (before, password, after) => {
        const shown = redacted(`${before}${password}${after}`, [{ username: "u", password }]);
        expect(shown).not.toContain(password);
        expect(shown.length).toBeLessThanOrEqual(1024);
      }),
    );
  });
});

describe("room on the disk", () => {
  const images = (mountpoint: string, usedBytes = 1): ImageService =>
    ({
      imageFsInfo: async () => ({
        ok: true,
        value: [{ fsId: { mountpoint }, usedBytes: { value: usedBytes } }],
      }),
    }) as unknown as ImageService;
  const stat = (disks: Record<string, Disk>) => (path: string) => disks[path];
  const full: Disk = { freeBytes: 3 * 1024 ** 3, totalBytes: 100 * 1024 ** 3 };
  const free: Disk = { freeBytes: 50 * 1024 ** 3, totalBytes: 100 * 1024 ** 3 };

  test("a full disk says so", async () => {
    expect(await headroomProblem(images("/images"), 5, stat({ "/images": full, "/": free }))).toBe(
      "not enough room on the image disk /images: 3.0 GiB of 100.0 GiB are free (3.0%), 5% must be (--image-disk-free-percent-min)",
    );
  });
  test("in a container: its own root tells", async () => {
    expect(await headroomProblem(images("/images"), 5, stat({ "/": full }))).toContain("3.0%");
  });
  test.each<[string, Promise<string | undefined>]>([
    ["enough", headroomProblem(images("/images"), 5, stat({ "/images": free }))],
    ["switched off", headroomProblem(images("/images"), 0, stat({ "/images": full }))],
    ["nobody knows", headroomProblem(images("/images"), 5, stat({}))],
    ["another disk than the images'", headroomProblem(images("/images", 200 * 1024 ** 3), 5, stat({ "/": full }))],
    [
      "a runtime that does not say",
      headroomProblem(
        { imageFsInfo: async () => ({ ok: false, code: 12, message: "" }) } as unknown as ImageService,
        5,
        stat({ "/": full }),
      ),
    ],
  ])("%s: it is tried", async (_, problem) => {
    expect(await problem).toBeUndefined();
  });
  test("this machine has a disk", () => {
    expect(statDisk("/")!.totalBytes).toBeGreaterThan(0);
    expect(statDisk("/no/such/path")).toBeUndefined();
  });
});

describe("the pool", () => {
  test("never more than its limit, everybody has a turn in order, and who gave up has none", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: -1, max: 4 }),
        fc.array(fc.tuple(fc.nat(50), fc.option(fc.nat(80))), { maxLength: 12 }),
        async (max, jobs) => {
          const env = new FakeEnv();
          const pool = new Pool(max);
          let inside = 0;
          let most = 0;
          const began: number[] = [];
          const runs = jobs.map(([tookMs, giveUpAfterMs], index) => {
            const abort = new AbortController();
            if (giveUpAfterMs !== null) env.after(giveUpAfterMs, () => abort.abort());
            return pool.run(abort.signal, async () => {
              began.push(index);
              inside += 1;
              most = Math.max(most, inside);
              await sleep(env, tookMs, abort.signal);
              inside -= 1;
            });
          });
          await env.runUntilIdle();
          await Promise.all(runs);
          expect(most).toBeLessThanOrEqual(max > 0 ? max : Number.POSITIVE_INFINITY);
          expect(began).toEqual([...began].sort((a, b) => a - b));
          for (const [index, [, giveUp]] of jobs.entries()) if (giveUp === null) expect(began).toContain(index);
          expect(pool.taken).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
