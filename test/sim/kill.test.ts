/** The node agent and the manager killed at every step of recreating containers and of pulling an image: nothing is done twice, nothing lost. */
import { describe, expect, test } from "bun:test";
import type { ContainerRecreateRequest } from "../../src/api/containerrecreaterequest.ts";
import type { ImagePullJob } from "../../src/api/imagepulljob.ts";
import { install } from "../../src/api/names.ts";
import type { NodeImage } from "../../src/api/nodeimage.ts";
import { containerRecreate } from "../../src/features/containerrecreate/index.ts";
import { imagePulling } from "../../src/features/imagepulling/index.ts";
import { podReadiness } from "../../src/features/pod-readiness/index.ts";
import type { Container, Pod } from "../../src/kube/types.ts";
import { namespace } from "./cluster.ts";
import { type KillScenario, killCourse, nodeName, type Who, whens } from "./kill.ts";
import type { NodeRuntime } from "./node-runtime.ts";
import type { World } from "./world.ts";

const group = "/apis/apps.kruise.io/v1beta1";
const requests = `${group}/namespaces/${namespace}/containerrecreaterequests`;
const podsPath = `/api/v1/namespaces/${namespace}/pods`;

const requestOf = (world: World) => world.get<ContainerRecreateRequest>("containerrecreaterequests.apps.kruise.io", namespace, "r");
const podOf = (world: World) => world.get<Pod>("pods", namespace, "p");

interface Recreate {
  readonly names: readonly string[];
  readonly strategy?: object;
  readonly preStop?: NonNullable<Container["lifecycle"]>["preStop"];
  /** It cannot be stopped. */
  readonly stuck?: string;
}

function recreate(name: string, { names, strategy = {}, preStop, stuck }: Recreate): KillScenario {
  const gate = "KruisePodReady";
  return {
    name,
    features: [containerRecreate, podReadiness],
    async setUp(world, runtime) {
      if (stuck !== undefined) runtime.unstoppable.add(stuck);
      const containers = [...names, "other"].map((each) => ({
        name: each,
        image: `${each}:v1`,
        ...(preStop && each !== "other" ? { lifecycle: { preStop } } : {}),
      }));
      await world.ask("POST", podsPath, {
        metadata: { name: "p", namespace },
        spec: { nodeName, containers, readinessGates: [{ conditionType: gate }], terminationGracePeriodSeconds: 10 },
      });
      await world.ask("PATCH", `${podsPath}/p/status`, { status: { conditions: [{ type: gate, status: "True" }] } });
    },
    act: (world) =>
      world.ask("POST", requests, {
        apiVersion: "apps.kruise.io/v1beta1",
        kind: "ContainerRecreateRequest",
        metadata: { name: "r", namespace },
        spec: { podName: "p", containers: names.map((each) => ({ name: each })), strategy },
      }),
    ended: (world) => requestOf(world)?.status?.completionTime !== undefined,
    problems: (world, runtime, unheard) => [
      ...problemsOfRequest(world, names, stuck),
      ...problemsOfStops(world, runtime, names, preStop !== undefined, unheard),
    ],
  };
}

function problemsOfRequest(world: World, names: readonly string[], stuck: string | undefined): string[] {
  const problems: string[] = [];
  const { status, metadata } = requestOf(world) ?? {};
  if (status?.phase !== "Completed") problems.push(`the request is ${status?.phase ?? "gone"}`);
  if ((metadata?.finalizers ?? []).length > 0) problems.push("the request still has its finalizer");
  if (metadata?.labels?.["crr.apps.kruise.io/active"] !== undefined) problems.push("the request is still active");
  if (status?.message) problems.push(`the request says: ${status.message}`);
  for (const each of names) {
    const state = status?.containerRecreateStates?.find((candidate) => candidate.name === each);
    const wanted = stuck === undefined ? "Succeeded" : each === stuck ? "Failed" : "Pending";
    if (state?.phase !== wanted) problems.push(`${each} is ${state?.phase}, not ${wanted}`);
    if (wanted !== "Succeeded" && !state?.message) problems.push(`${each} is ${wanted}, and nobody says why`);
  }
  const out = podOf(world)?.status?.conditions?.find(({ type }) => type === "KruisePodReady");
  if (out?.status !== "True") problems.push(`the pod was left out of service: ${JSON.stringify(out)}`);
  return problems;
}

function problemsOfStops(
  world: World,
  runtime: NodeRuntime,
  names: readonly string[],
  hasHook: boolean,
  unheard: ReadonlySet<string>,
): string[] {
  const problems: string[] = [];
  const statuses = podOf(world)?.status?.containerStatuses ?? [];
  const isStuck = runtime.unstoppable.size > 0;
  for (const { name, restartCount } of statuses) {
    const wanted = names.includes(name) && !isStuck ? 1 : 0;
    if (restartCount !== wanted) problems.push(`${name} was restarted ${restartCount} times`);
  }
  // One that was being stopped when the agent died may be asked once more to end; never its successor.
  const instances = new Set(runtime.stops).size;
  if (!isStuck && instances !== names.length) problems.push(`${instances} containers were stopped, of ${names.length}`);
  const asked = runtime.stops.length - instances;
  if (asked > (unheard.has("stopContainer") ? 1 : 0)) problems.push(`${asked} containers were asked to stop again`);
  const hooks = hasHook ? names.length : 0;
  if (runtime.hooks < hooks || runtime.hooks > hooks + (unheard.has("execSync") ? 1 : 0))
    problems.push(`${runtime.hooks} hooks were run, not ${hooks}`);
  return problems;
}

const jobs = `${group}/namespaces/${namespace}/imagepulljobs`;
const jobOf = (world: World) => world.get<ImagePullJob>("imagepulljobs.apps.kruise.io", namespace, "job");

function pull(name: string, user: string, wanted: "succeeded" | "failed", spec: object = {}): KillScenario {
  const auth = { ".dockerconfigjson": btoa(JSON.stringify({ auths: { "registry.test": { username: "me", password: "it" } } })) };
  const image = "registry.test/app:v1";
  return {
    name,
    features: [imagePulling],
    gates: { ImagePullJobGate: true },
    async setUp(world, runtime) {
      runtime.user = user;
      await world.ask("POST", "/api/v1/namespaces", { metadata: { name: install.daemonConfigNamespace } });
      await world.ask("POST", `/api/v1/namespaces/${namespace}/secrets`, {
        metadata: { name: "mine", namespace },
        type: "kubernetes.io/dockerconfigjson",
        data: auth,
      });
    },
    act: (world) =>
      world.ask("POST", jobs, {
        apiVersion: "apps.kruise.io/v1beta1",
        kind: "ImagePullJob",
        metadata: { name: "job", namespace },
        spec: { image, selector: { names: [nodeName] }, pullSecrets: ["mine"], completionPolicy: { type: "Always" }, ...spec },
      }),
    ended: (world) => jobOf(world)?.status?.completionTime !== undefined,
    problems(world, runtime) {
      const problems: string[] = [];
      const { status, metadata } = jobOf(world) ?? {};
      if (status?.desired !== 1 || status[wanted] !== 1) problems.push(`the job says ${JSON.stringify(status)}`);
      if ((metadata?.finalizers ?? []).length > 0) problems.push("the job still has its finalizer");
      const copies = world.list("secrets", install.daemonConfigNamespace).length;
      if (copies > 0) problems.push(`${copies} copies of the secret were left`);
      const pulls = wanted === "succeeded" ? 1 : 0;
      if (runtime.pulled.length !== pulls) problems.push(`the image came ${runtime.pulled.length} times`);
      const tag = world.get<NodeImage>("nodeimages.apps.kruise.io", "", nodeName)?.status?.imageStatuses?.["registry.test/app"]?.tags[0];
      if (tag?.completionTime === undefined || tag.phase.toLowerCase() !== wanted) problems.push(`the node says ${JSON.stringify(tag)}`);
      if (wanted === "failed" && !tag?.message) problems.push("the node does not say why");
      return problems;
    },
  };
}

const scenarios: readonly KillScenario[] = [
  recreate("one container", { names: ["app"] }),
  recreate("one container, out of service first, in any case", {
    names: ["app"],
    strategy: { unreadyGracePeriodSeconds: 2, forceRecreate: true },
  }),
  {
    ...recreate("one container, in any case, which is back before the agent", { names: ["app"], strategy: { forceRecreate: true } }),
    downMs: 2_000,
  },
  recreate("two, one after the other", { names: ["a", "b"], strategy: { orderedRecreate: true, minStartedSeconds: 2 } }),
  recreate("two with hooks", { names: ["a", "b"], preStop: { exec: { command: ["sleep", "2"] } } }),
  recreate("one that cannot be stopped", { names: ["a", "b"], stuck: "a" }),
  pull("a pull with a secret", "me", "succeeded"),
  pull("a pull that is refused", "somebody", "failed", { pullPolicy: { backoffLimit: 1 } }),
];

/** ms that a death may cost: a start, a round of reading, and what was under way once more. */
const lateMsMax = 5_000;

async function blows(scenario: KillScenario, who: Who, forgetful = false): Promise<number> {
  const plain = await killCourse(scenario);
  expect(plain.problems, plain.trace.join("\n")).toEqual([]);
  let count = 0;
  for (const [index, step] of plain.steps[who].entries())
    for (const when of whens(step)) {
      const { problems, trace, tookMs } = await killCourse(scenario, { who, when, at: index + 1 }, forgetful);
      const late = tookMs > plain.tookMs + lateMsMax ? [`it took ${tookMs} ms, and ${plain.tookMs} without`] : [];
      if (problems.length + late.length > 0)
        throw new Error([`${when} step ${index + 1} (${step}): ${[...problems, ...late].join("; ")}`, ...trace.slice(-70)].join("\n"));
      count += 1;
    }
  return count;
}

describe.each(scenarios.map((scenario) => [scenario.name, scenario] as const))("%s", (_, scenario) => {
  test("the agent is killed", async () => {
    expect(await blows(scenario, "agent")).toBeGreaterThan(10);
  });
  test("the manager is killed", async () => {
    expect(await blows(scenario, "manager")).toBeGreaterThan(1);
  });
});

describe("the record is lost as well", () => {
  test.each(["one container", "two, one after the other", "a pull with a secret"])("%s", async (name) => {
    expect(await blows(scenarios.find((scenario) => scenario.name === name)!, "agent", true)).toBeGreaterThan(10);
  });
});
