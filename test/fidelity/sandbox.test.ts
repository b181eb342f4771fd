/** The fidelity cases against the sandbox in this process. */
import { afterAll, describe, test } from "bun:test";
import { silentLogger } from "../../src/env/log.ts";
import { httpFetch } from "../../src/env/network.ts";
import { systemEnv } from "../../src/env/system.ts";
import { createSandbox } from "../../src/sandbox/index.ts";
import { Bench } from "./bench.ts";
import { groups } from "./index.ts";

/** A busy machine is slow; nothing here waits for longer than a moment by itself. */
const timeoutMs = 30_000;
const stop = new AbortController();
const sandbox = createSandbox(systemEnv(silentLogger, stop.signal), { fetch: httpFetch });
await sandbox.start();
afterAll(() => stop.abort());
const server = { fetch: sandbox.fetch, url: "http://in-process" };

for (const [group, cases] of Object.entries(groups))
  describe(group, () => {
    for (const { name, run } of cases) test.concurrent(name, async () => run(await Bench.create(server)), timeoutMs);
  });
