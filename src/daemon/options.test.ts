import { expect, test } from "bun:test";
import { daemonOptions } from "./options.ts";

const node = { NODE_NAME: "node.one" };
const options = (args: string[], environment: Record<string, string> = node) => {
  const result = daemonOptions(args, environment);
  if (!result.ok) throw new Error(result.message);
  return result.options;
};

test("without flags everything has OpenKruise's default", () => {
  const { flags, nodeName, address, rateLimit, daemonConfigNamespace, gates } = options(["--mode=daemon"]);
  expect([nodeName, daemonConfigNamespace]).toEqual(["node.one", "kruise-daemon-config"]);
  expect(address).toEqual({ host: undefined, port: 10221 });
  expect(flags["max-workers-for-pull-image"]).toBe(-1);
  expect(flags["plugin-config-file"]).toBe("/kruise/CredentialProviderPlugin.yaml");
  expect(rateLimit).toBeUndefined();
  expect(gates.enabled("DaemonWatchingPod")).toBe(true);
});

test("what manifests in the field pass is accepted", () => {
  const args =
    "--logtostderr=true --v=4 -v=5 --addr=:10221 --feature-gates=PodProbeMarkerGate=false --socket-file=k3s/containerd/containerd.sock --enable-pprof=false --pprof-addr=localhost:10222 --expectation-timeout=1m --max-workers-for-pull-image=2 --plugin-config-file=/a --plugin-bin-dir=/b --rest-config-qps=5";
  expect(options(args.split(" ")).rateLimit).toEqual({ perSecond: 5, burst: 30 });
});

test.each([
  [[], {}, 1, "NODE_NAME is not set", "scenario 1"],
  [["--max-concurrency=2"], node, 2, "unknown flag: --max-concurrency", "documented once, never there"],
  [["--addr=everywhere"], node, 1, "--addr: "],
  [["--feature-gates=Nope=true"], node, 1, "--feature-gates: unknown feature gate Nope"],
  [["--logging-format=xml"], node, 1, "--logging-format=xml"],
  [["run"], node, 2, 'unexpected argument "run"'],
] as [string[], Record<string, string>, 1 | 2, string, string?][])("%j %j ends with %i: %s", (args, environment, code, message) => {
  expect(daemonOptions(args, environment)).toEqual({ ok: false, code, message: expect.stringContaining(message) });
});

test("without the gate KruiseDaemon what depends on it is off", () => {
  const { gates } = options(["--feature-gates=KruiseDaemon=false"]);
  expect([gates.enabled("DaemonWatchingPod"), gates.enabled("InPlaceUpdateEnvFromMetadata")]).toEqual([false, false]);
});
