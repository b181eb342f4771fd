import { afterEach, describe, expect, test } from "bun:test";
import { annotation } from "../../api/names.ts";
import { envHash } from "../../kube/canonical/hash.ts";
import { podsByNode } from "../../kube/kinds.ts";
import type { Container, ContainerStatus, Pod } from "../../kube/types.ts";
import type { RuntimeService } from "../cri/client.ts";
import { FakeFailure } from "../testing/fake-cri.ts";
import { FakeNode, podsPath, until } from "../testing/fake-node.ts";
import { type ContainerMeta, metaText, reportedMeta } from "./annotation.ts";
import { environmentFromInfo, environmentOf } from "./environment.ts";
import { metaPart } from "./index.ts";
import { orderOf } from "./restarter.ts";
import { isReported, needsReport, wakes } from "./select.ts";

const fromLabel = (name: string, label = "x") => ({ name, valueFrom: { fieldRef: { fieldPath: `metadata.labels['${label}']` } } });
const owner = (apiVersion: string, controller = true) => [{ apiVersion, kind: "CloneSet", name: "web", uid: "u", controller }];

interface Draft {
  readonly containers?: readonly Container[];
  /** Container name → number of its ID. */
  readonly ids?: Readonly<Record<string, number | undefined>>;
  readonly meta?: readonly ContainerMeta[] | string;
  readonly labels?: Record<string, string>;
}
const podOf = ({ containers = [{ name: "app" }], ids = { app: 1 }, meta, labels = {} }: Draft = {}): Pod =>
  ({
    metadata: {
      name: "p",
      namespace: "shop",
      uid: "u",
      labels,
      annotations: meta === undefined ? {} : { [annotation.runtimeContainersMeta]: typeof meta === "string" ? meta : metaText(meta) },
      ownerReferences: owner("apps.kruise.io/v1alpha1"),
    },
    spec: { containers },
    status: {
      containerStatuses: Object.entries(ids).map(([name, id]): ContainerStatus => {
        return {
          name,
          ready: true,
          restartCount: 0,
          image: "",
          imageID: "",
          ...(id === undefined ? {} : { containerID: `containerd://${name}-${id}` }),
        };
      }),
    },
  }) as unknown as Pod;
const meta = (name: string, id = 1, hash = 86995377): ContainerMeta => ({
  name,
  containerID: `containerd://${name}-${id}`,
  restartCount: 0,
  plainHash: 7,
  envHash: hash,
});

test("the annotation, byte for byte", () => {
  expect(metaText([meta("app"), { ...meta("b"), envHash: 0 }])).toBe(
    '{"containers":[{"name":"app","containerID":"containerd://app-1","restartCount":0,"hashes":{"plainHash":7,"extractedEnvFromMetadataHash":86995377}},' +
      '{"name":"b","containerID":"containerd://b-1","restartCount":0,"hashes":{"plainHash":7}}]}',
  );
  expect(reportedMeta(podOf({ meta: [meta("app")] }))).toEqual([meta("app")]);
  for (const text of ["", "[]", "nope", '"x"']) expect(reportedMeta(podOf({ meta: text }))).toBeUndefined();
});

describe("8: whose pods are reported on", () => {
  test.each<[string, Partial<Pod["metadata"]>, boolean]>([
    ["a CloneSet's", { ownerReferences: owner("apps.kruise.io/v1alpha1") }, true],
    ["a Deployment's", { ownerReferences: owner("apps/v1") }, false],
    ["owned by one of ours, controlled by somebody else", { ownerReferences: owner("apps.kruise.io/v1beta1", false) }, false],
    ["nobody's", {}, false],
    ["with containers from a SidecarSet", { annotations: { "kruise.io/sidecarset-hash": "{}" } }, true],
  ])("%s", (_, metadata, reported) => expect(isReported({ metadata } as Pod)).toBe(reported));
});

describe("when a report is needed", () => {
  const withEnv = [{ name: "app", env: [fromLabel("A")] }];
  const foo = envHash([{ name: "A", value: "foo" }]);
  test.each<[string, Draft | undefined, Draft, boolean]>([
    ["none was made", undefined, {}, true],
    ["it cannot be read", undefined, { meta: "nope" }, true],
    ["it is right", undefined, { meta: [meta("app")] }, false],
    ["another container runs", undefined, { meta: [meta("app")], ids: { app: 2 } }, true],
    ["one is missing in it", undefined, { containers: [{ name: "a" }, { name: "b" }], ids: { a: 1, b: 1 }, meta: [meta("a")] }, true],
    [
      "its order is another one",
      undefined,
      { containers: [{ name: "b" }, { name: "a" }], ids: { a: 1, b: 1 }, meta: [meta("b"), meta("a")] },
      false,
    ],
    ["nothing has been started yet", undefined, { ids: { app: undefined } }, false],
    ["the number of containers changed", { containers: [] }, { meta: [meta("app")] }, true],
    [
      "the environment is what the labels say",
      undefined,
      { containers: withEnv, labels: { x: "foo" }, meta: [meta("app", 1, foo)] },
      false,
    ],
    ["the environment is of the past", undefined, { containers: withEnv, labels: { x: "bar" }, meta: [meta("app", 1, foo)] }, true],
    [
      "the label changes back",
      { containers: withEnv, labels: { x: "bar" } },
      { containers: withEnv, labels: { x: "foo" }, meta: [meta("app", 1, foo)] },
      true,
    ],
    ["the environment is not known", undefined, { meta: [meta("app", 1, 0)] }, true],
  ])("%s: %p", (_, before, after, needed) => expect(needsReport(before && podOf(before), podOf(after), true)).toBe(needed));

  test("14: without the gate environments do not matter", () => {
    expect(needsReport(undefined, podOf({ containers: withEnv, labels: { x: "bar" }, meta: [meta("app", 1, 0)] }), false)).toBe(false);
  });
  test("10: pods that were never reported on wait until something happens to them", () => {
    expect([wakes(undefined, podOf(), true), wakes(podOf({ ids: { app: undefined } }), podOf(), true)]).toEqual([false, true]);
    expect(wakes(undefined, podOf({ meta: [meta("app")], ids: { app: 2 } }), true)).toBe(true);
  });
  test("pods that go, and pods without statuses, are left alone", () => {
    const going = podOf();
    going.metadata.deletionTimestamp = "2025-01-01T00:00:00Z";
    expect([wakes(podOf(), going, true), wakes(podOf(), podOf({ ids: {} }), true)]).toEqual([false, false]);
  });
});

describe("what a container runs with", () => {
  const info = (value: unknown) => ({ info: JSON.stringify(value) });
  test.each<[string, Record<string, string>, [string, string][] | undefined]>([
    [
      "as the runtime's specification says, exactly",
      info({ runtimeSpec: { process: { env: ["A= a ", "B=1=2\n3", "A=b", "=x"] } } }),
      [
        ["A", "b"],
        ["B", "1=2\n3"],
      ],
    ],
    ["no specification", info({ pid: 1 }), undefined],
    ["no JSON", { info: "{" }, undefined],
    ["nothing", {}, undefined],
  ])("%s", (_, given, expected) => expect(environmentFromInfo(given) && [...(environmentFromInfo(given) ?? [])]).toEqual(expected));

  const runtime = (answers: Record<string, { exitCode: number; stdout: string }>): RuntimeService =>
    ({
      containerInfo: async () => ({ ok: true, value: {} }),
      execSync: async (_: string, command: readonly string[]) => {
        const answer = answers[command.join(" ")];
        if (answer === undefined) return { ok: false, code: 2, message: "no such file" };
        return { ok: true, value: { ...answer, stdout: new TextEncoder().encode(answer.stdout), stderr: new Uint8Array() } };
      },
    }) as unknown as RuntimeService;
  test.each<[string, Parameters<typeof runtime>[0], [string, string][] | string]>([
    [
      "separated by NUL",
      { "env -0": { exitCode: 0, stdout: "A=1\n2\0B= x\0" } },
      [
        ["A", "1\n2"],
        ["B", " x"],
      ],
    ],
    [
      "by lines, where there is no better",
      { "env -0": { exitCode: 1, stdout: "" }, env: { exitCode: 0, stdout: "A=1\nB=2\r\n" } },
      [
        ["A", "1"],
        ["B", "2"],
      ],
    ],
    ["not at all", {}, "no such file"],
  ])("a runtime that does not tell is asked in the container: %s", async (_, answers, expected) => {
    const read = await environmentOf(runtime(answers), "x");
    if (typeof expected === "string") expect(read).toMatchObject({ ok: false, message: expect.stringContaining(expected) });
    else expect(read.ok && [...read.value]).toEqual(expected);
  });
});

test("a restart needs nothing but what the kubelet wrote on the container", () => {
  const container = {
    name: "app",
    id: "containerd://abc",
    runtimeId: "abc",
    state: "running" as const,
    createdAtMs: 0,
    restartCount: 0,
    plainHash: 0,
    labels: { "io.kubernetes.pod.name": "p", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u" },
    annotations: {},
  };
  const order = (annotations: Record<string, string>) => orderOf({ ...container, annotations }, {} as RuntimeService, "10.0.0.1");
  expect(order({})).toMatchObject({
    pod: { namespace: "shop", name: "p", uid: "u" },
    graceSeconds: 2,
    ports: [],
    fieldPath: "implicitly required container app",
  });
  expect(order({ "io.kubernetes.pod.terminationGracePeriod": "30" }).graceSeconds).toBe(30);
  expect(order({ "io.kubernetes.pod.terminationGracePeriod": "30", "io.kubernetes.pod.deletionGracePeriod": "7" }).graceSeconds).toBe(7);
  expect(
    order({
      "io.kubernetes.container.preStopHandler": '{"exec":{"command":["a"]}}',
      "io.kubernetes.container.ports": '[{"containerPort":1}]',
    }),
  ).toMatchObject({
    preStop: { exec: { command: ["a"] } },
    ports: [{ containerPort: 1 }],
  });
  expect(order({ "io.kubernetes.container.preStopHandler": "{", "io.kubernetes.container.ports": "{" })).toMatchObject({ ports: [] });
});

describe("on a node", () => {
  let node: FakeNode;
  afterEach(() => node.stop());
  const start = async (options: Partial<Parameters<typeof FakeNode.start>[0]> = {}) => {
    node = await FakeNode.start({ parts: [metaPart], ...options });
  };
  const ours = { ownerReferences: owner("apps.kruise.io/v1beta1") };
  const reported = (name = "p") => until("the report", () => reportedMeta(node.podNow(name)));
  const writes = () => node.api.requests.filter(({ method, path }) => method === "PATCH" && path.startsWith("/api/v1/namespaces")).length;
  const app = [{ name: "app", env: [fromLabel("A")] }];

  test("7, 11: a new pod is reported after a second, with what it runs with; nothing is run in it", async () => {
    await start();
    node.pod("p", [...app, { name: "other" }], { metadata: { ...ours, labels: { x: "foo" } } });
    const [first, second] = await reported();
    expect(first).toEqual({
      name: "app",
      containerID: "containerd://app-id-1",
      restartCount: 0,
      plainHash: 0xabc,
      envHash: envHash([{ name: "A", value: "foo" }]),
    });
    expect(second?.envHash).toBe(86995377);
    expect(node.cri.callsOf("ExecSync")).toEqual([]);
  });

  test("9: after a restart its entry is new, the other one is not", async () => {
    await start();
    node.pod("p", [{ name: "app" }, { name: "other" }], { metadata: ours });
    const before = await reported();
    node.kill("app");
    const after = await until(
      "the new report",
      () => reportedMeta(node.podNow("p"))?.[0]?.restartCount === 1 && reportedMeta(node.podNow("p")),
    );
    expect(after[0]?.containerID).not.toBe(before[0]!.containerID);
    expect(after[1]).toEqual(before[1]!);
  });

  test("10: a daemon that starts among 50 reported pods writes nothing", async () => {
    await start();
    for (let index = 0; index < 50; index += 1) node.pod(`p${index}`, [{ name: "app" }], { metadata: ours });
    await until("all reports", () => node.api.all(podsPath).every((pod) => reportedMeta(pod as Pod)));
    node.pod("bare", [{ name: "app" }]);
    await node.stopDaemon();
    node.pod("later", [{ name: "app" }], { metadata: ours });
    const before = writes();
    await node.startDaemon();
    await Bun.sleep(1500);
    expect(writes()).toBe(before);
    expect(reportedMeta(node.podNow("later"))).toBeUndefined();
    expect(node.frame.kube.cache.find(podsByNode, "node-0")).toHaveLength(52);
  });

  test.each([
    ["12: while the pod is updated in place its container is restarted", "False", 1],
    ["13: otherwise it is not", "True", 0],
  ] as const)(
    "%s",
    async (_, ready, restarts) => {
      await start();
      node.pod("p", app, { metadata: { ...ours, labels: { x: "foo" } } });
      await reported();
      node.editPod("p", (pod) => {
        pod.metadata.labels = { x: "bar" };
        pod.status!.conditions = [{ type: "InPlaceUpdateReady", status: ready }];
      });
      const bar = envHash([{ name: "A", value: "bar" }]);
      if (restarts === 1) {
        await until("the restart and its report", () => reportedMeta(node.podNow("p"))?.[0]?.envHash === bar, 12_000);
        expect(node.events("Killing")).toMatchObject([{ source: { component: "kruise-daemon-containermeta" } }]);
      } else await Bun.sleep(5500);
      expect(node.podNow("p").status?.containerStatuses?.[0]?.restartCount).toBe(restarts);
    },
    20_000,
  );

  test("14: without the gate for environments none is read, and nothing is said of them", async () => {
    await start({ gates: { InPlaceUpdateEnvFromMetadata: false } });
    node.pod("p", app, { metadata: { ...ours, labels: { x: "foo" } } });
    expect((await reported())[0]?.envHash).toBe(0);
    expect(node.cri.calls.filter(({ call, request }) => call === "ContainerStatus" && request["verbose"] === true)).toEqual([]);
  });

  test("15: without the gate for pods there is no such part, and nobody asks for pods", async () => {
    await start({ gates: { DaemonWatchingPod: false } });
    node.pod("p", [{ name: "app" }], { metadata: ours });
    await Bun.sleep(1200);
    expect(reportedMeta(node.podNow("p"))).toBeUndefined();
    expect(node.frame.kube.cache.has(podsByNode.of)).toBe(false);
  });

  test("a runtime that is away for a moment, and a server that refuses a write: it comes in the end", async () => {
    await start();
    let failures = 0;
    node.cri.before = (call) => {
      if (call !== "ListContainers" || failures >= 2) return;
      failures += 1;
      throw new FakeFailure(14, "starting");
    };
    node.pod("p", [{ name: "app" }], { metadata: ours });
    await reported();
    expect(failures).toBe(2);
  });
});
