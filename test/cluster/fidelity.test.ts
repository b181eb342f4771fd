/** The fidelity cases against a real kube-apiserver: what they expect is what Kubernetes does. */
import { beforeAll, describe, test } from "bun:test";
import { httpFetch } from "../../src/env/network.ts";
import { Bench, type Server, serverOf } from "../fidelity/bench.ts";
import { groups } from "../fidelity/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let server: Server;

beforeAll(async () => {
  const { rig } = await cluster();
  server = serverOf(rig.kubeconfigPath, httpFetch);
}, startTimeoutMs);

for (const [group, cases] of Object.entries(groups))
  describe(group, () => {
    for (const { name, run } of cases) test.concurrent(name, async () => run(await Bench.create(server)), 60_000);
  });
