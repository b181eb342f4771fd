import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { FakeEnv } from "./fake.ts";
import { keepProgramSmall, unchangedMappings } from "./program-memory.ts";

const smaps = `00200000-01a39000 r--p 00000000 fe:00 10019417                           /usr/local/bin/kruise
Rss:                7652 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
01a40000-0684a000 r-xp 01838000 fe:00 10019417                           /usr/local/bin/kruise
Rss:               38632 kB
Anonymous:             0 kB
0684a000-0685f000 rw-p 06641000 fe:00 10019417                           /usr/local/bin/kruise
Anonymous:             0 kB
0685f000-06867000 r--p 06656000 fe:00 10019417                           /usr/local/bin/kruise
Anonymous:            12 kB
7fcfcb951000-7fcfcb9a4000 r--p 0017c000 fe:00 326269                     /usr/lib/x86_64-linux-gnu/libc.so.6
Anonymous:             0 kB
7fcfcb9c8000-7fcfcb9ca000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
7fcfcb9d0000-7fcfcb9d1000 r--p 00000000 00:00 0
Anonymous:             0 kB
`;

test("only what the file still says: not what is writable, was changed by the loader, or belongs to another file", () => {
  expect(unchangedMappings(smaps, "/usr/local/bin/kruise")).toEqual([
    { from: 0x200000n, bytes: 0x1839000n },
    { from: 0x1a40000n, bytes: 0x4e0a000n },
  ]);
  expect(unchangedMappings(smaps, "/elsewhere/kruise")).toEqual([]);
  expect(unchangedMappings("", "/usr/local/bin/kruise")).toEqual([]);
});

test.if(process.platform === "linux")("the program goes on, and takes less; it is done again until the process stops", async () => {
  const fileKiB = () => Number(/RssFile:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const env = new FakeEnv();
  const before = fileKiB();
  const giveBack = keepProgramSmall(env, 1);
  giveBack();
  expect(fileKiB()).toBeLessThan(before);
  await env.advance(100_000);
  expect([3, 1, 2].toSorted()).toEqual([1, 2, 3]);
  env.stop();
  await env.advance(100_000);
});
