/** The fidelity cases against the sandbox in this process. The same cases hold for the real API server: test/cluster/fidelity.test.ts. */
import { afterAll, describe, test } from "bun:test";
import { silentLogger } from "../../src/env/log.ts";
import { systemEnv } from "../../src/env/system.ts";
import { createSandbox } from "../../src/sandbox/index.ts";
import { Bench } from "./bench.ts";
import { groups } from "./index.ts";

const stop = new AbortController();
const sandbox = createSandbox(systemEnv(silentLogger, stop.signal));
await sandbox.start();
afterAll(() => stop.abort());
const server = { fetch: sandbox.fetch, url: "http://in-process" };

for (const [group, cases] of Object.entries(groups))
  describe(group, () => {
    for (const { name, run, differs } of cases)
      test.skipIf(differs !== undefined)(differs === undefined ? name : `${name} (differs: ${differs})`, async () =>
        run(await Bench.create(server)),
      );
  });
