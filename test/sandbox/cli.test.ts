/** The commands for people against the sandbox, as they are typed: what they say, what they change, and what they answer. */
import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { CloneSet } from "../../src/api/cloneset.ts";
import type { SidecarSet } from "../../src/api/sidecarset.ts";
import type { Pod, WorkloadObject } from "../../src/kube/types.ts";
import { type Ran, sandboxHouse, words } from "./house.ts";

const house = sandboxHouse({ nodes: 3, speed: 20 });
const { dir } = house;

beforeAll(() => {
  // Stands in for kubectl: says what it was asked, and ends as it is told.
  writeFileSync(
    join(dir, "kubectl"),
    '#!/bin/sh\n[ "$1" = kustomize ] && exec cat "$2"\necho "kubectl $*"\nfor last; do :; done\ncase "$last" in exit-7) exit 7;; esac\n',
  );
  chmodSync(join(dir, "kubectl"), 0o755);
});

const kruise = (line: string, stdin = ""): Promise<Ran> =>
  house.run([process.execPath, "src/main.ts", ...words(line)], {
    stdin,
    cwd: join(import.meta.dir, "../.."),
    env: { PATH: `${dir}${delimiter}${process.env["PATH"] ?? ""}` },
  });

type Loose = Record<string, unknown>;
async function api<T = Loose>(method: string, path: string, body?: object, type = "application/json"): Promise<T> {
  const { clusters, users } = JSON.parse(await Bun.file(house.running.kubeconfigPath).text());
  const answer = await fetch(`${house.running.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${users[0].user.token}`, "content-type": type },
    tls: { ca: Buffer.from(clusters[0].cluster["certificate-authority-data"], "base64").toString() },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await answer.json()) as T;
}
const merge = (path: string, body: object) => api("PATCH", path, body, "application/merge-patch+json");

let counter = 0;
/** A CloneSet of its own in a namespace of its own, at rest. */
async function shop(spec: Loose = {}, metadata: Loose = {}): Promise<Shop> {
  counter += 1;
  const ns = `cli-${counter}`;
  await api("POST", "/api/v1/namespaces", { metadata: { name: ns } });
  const { template, ...others } = spec as { template?: object };
  const path = `/apis/apps.kruise.io/v1beta1/namespaces/${ns}/clonesets`;
  const made = await api("POST", path, {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "CloneSet",
    metadata: { name: "web", ...metadata },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "app:v1" }] }, ...template },
      ...others,
    },
  });
  if (made["kind"] !== "CloneSet") throw new Error(JSON.stringify(made));
  const get = () => api<CloneSet>("GET", `${path}/web`);
  const rest = () =>
    until("the CloneSet to rest", async () => {
      const set = await get();
      const { metadata: meta, spec: wanted, status } = set;
      if (status === undefined || status.observedGeneration !== meta.generation) return undefined;
      const { replicas = 1 } = wanted;
      const isDone = status.availableReplicas === replicas && status.replicas === replicas;
      return isDone && (status.updatedAvailableReplicas ?? 0) >= (status.expectedUpdatedReplicas ?? replicas) ? set : undefined;
    });
  await rest();
  return { ns, path: `${path}/web`, get, rest };
}
interface Shop {
  readonly ns: string;
  readonly path: string;
  readonly get: () => Promise<CloneSet>;
  readonly rest: () => Promise<CloneSet>;
}
async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const endMs = Date.now() + 20_000;
  for (;;) {
    const value = await look();
    if (value) return value;
    if (Date.now() > endMs) throw new Error(`waited for ${what}`);
    await Bun.sleep(20);
  }
}
const podsIn = async (ns: string): Promise<Pod[]> => (await api<{ items: Pod[] }>("GET", `/api/v1/namespaces/${ns}/pods`)).items;
const imageOf = (set: CloneSet) => containerIn(set).image;
const containerIn = (set: CloneSet) => (set.spec.template as Pod).spec.containers[0]!;
const pausedIn = (set: CloneSet) => set.spec.updateStrategy?.rollingUpdate?.paused ?? false;

describe("rollout", () => {
  test("1, 2: pause and resume, in both versions", async () => {
    const { ns, get } = await shop();
    expect(await kruise(`rollout pause clonesets.v1alpha1.apps.kruise.io/web -n ${ns}`)).toEqual({
      code: 0,
      out: "cloneset.apps.kruise.io/web paused\n",
      err: "",
    });
    expect(pausedIn(await get())).toBe(true);
    const again = await kruise(`-n ${ns} rollout pause clone web`);
    expect([again.code, again.out, again.err]).toEqual([1, "", 'error: clonesets.apps.kruise.io "web" is already paused\n']);
    expect((await kruise(`rollout pause clone/web --ignore-already -n ${ns}`)).code).toBe(0);
    expect(await kruise(`rollout resume cloneset web -n=${ns} -o name`)).toEqual({
      code: 0,
      out: "cloneset.apps.kruise.io/web\n",
      err: "",
    });
    expect(pausedIn(await get())).toBe(false);
    expect((await kruise(`rollout resume clone/web -n ${ns}`)).err).toContain("is not paused");
    expect((await kruise(`rollout pause clone -n ${ns}`)).err).toContain("--all");
    const manifest = `apiVersion: apps.kruise.io/v1alpha1\nkind: CloneSet\nmetadata: {name: web, namespace: ${ns}}\n`;
    writeFileSync(join(dir, "k.yaml"), manifest);
    for (const from of ["-f -", `-f ${join(dir, "k.yaml")}`, `-k ${join(dir, "k.yaml")}`])
      expect((await kruise(`rollout pause ${from} --dry-run=client -o name`, manifest)).out).toBe("cloneset.apps.kruise.io/web\n");
    expect((await kruise(`rollout pause clone --all --dry-run=server -n ${ns}`)).out).toBe(
      "cloneset.apps.kruise.io/web paused (server dry run)\n",
    );
    expect(pausedIn(await get())).toBe(false);
  });

  test("3 to 7: history and undo, there and back again", async () => {
    const { ns, path, get, rest } = await shop();
    const only = await kruise(`rollout undo clone/web -n ${ns}`);
    expect([only.code, only.err]).toEqual([1, "error: no last revision to roll back to\n"]);
    await merge(path, { metadata: { annotations: { "kubernetes.io/change-cause": "x" } } });
    await merge(path, {
      spec: { template: { metadata: { annotations: { a: "b" } }, spec: { containers: [{ name: "main", image: "app:v2" }] } } },
    });
    await rest();
    const { out } = await kruise(`rollout history clone/web -n ${ns}`);
    expect(out).toBe("cloneset.apps.kruise.io/web \nREVISION  CHANGE-CAUSE\n1         <none>\n2         x\n\n");
    const one = await kruise(`rollout history clone/web --revision=1 -n ${ns}`);
    expect(one.out).toStartWith(
      "cloneset.apps.kruise.io/web with revision #1\nPod Template:\n  Labels:\tapp=web\n  Containers:\n   main:\n    Image:\tapp:v1\n",
    );
    expect((await kruise(`rollout history clone/web --revision=9 -n ${ns}`)).err).toContain("unable to find specified revision 9");
    const shown = await kruise(`rollout undo clone/web --dry-run=client -n ${ns}`);
    expect(shown.out).toStartWith("cloneset.apps.kruise.io/web will roll back to Pod Template:");
    const before = await get();
    expect((await kruise(`rollout undo clone/web --dry-run=server -n ${ns}`)).out).toBe(
      "cloneset.apps.kruise.io/web rolled back (server dry run)\n",
    );
    expect((await get()).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    expect(await kruise(`rollout undo clone/web -n ${ns}`)).toEqual({ code: 0, out: "cloneset.apps.kruise.io/web rolled back\n", err: "" });
    const after = await rest();
    expect(imageOf(after)).toBe("app:v1");
    expect((after.spec.template as Pod).metadata.annotations).toBeUndefined();
    expect(JSON.stringify(after)).not.toContain("$patch");
    expect((await kruise(`rollout history clone/web -n ${ns}`)).out).toMatch(/\n2 +x\n3 +<none>|\n2 +x\n3 +x/);
    const skipped = await kruise(`rollout undo clone/web --to-revision=3 -n ${ns}`);
    expect([skipped.code, skipped.out]).toEqual([
      0,
      "cloneset.apps.kruise.io/web skipped rollback (current template already matches revision 3)\n",
    ]);
    await kruise(`rollout undo clone/web -n ${ns}`);
    expect(imageOf(await rest())).toBe("app:v2");
  });

  test("9: status waits for what the partition lets through", async () => {
    const { ns, path } = await shop({ replicas: 5, updateStrategy: { rollingUpdate: { partition: 2 } } });
    await merge(path, { spec: { template: { spec: { containers: [{ name: "main", image: "app:v2" }] } } } });
    const { code, out } = await kruise(`rollout status clone/web -n ${ns} --timeout=20s`);
    expect(code).toBe(0);
    expect(out).toEndWith("partitioned roll out complete: 3 new pods have been updated...\n");
    const fresh = (await podsIn(ns)).filter((pod) => pod.spec.containers[0]?.image === "app:v2");
    expect(fresh.length).toBe(3);
    const detail = await kruise(`rollout status clone/web -n ${ns} --watch=false -d`);
    expect(detail.out).toMatch(
      /^partitioned roll out complete.*\nUpdated ready pods: \[web-\w+ web-\w+ web-\w+\]\nUpdated not ready pods: \[\]\n$/,
    );
  });

  test("10: what is paused, or does not get ready, is not complete", async () => {
    const { ns, path } = await shop({ updateStrategy: { rollingUpdate: { paused: true } } });
    await merge(path, { spec: { template: { spec: { containers: [{ name: "main", image: "app:v2" }] } } } });
    const look = () => kruise(`rollout status clone/web -n ${ns} --watch=false`);
    await until("the pause to be told", async () => (await look()).out === 'cloneset "web" is paused\n' || undefined);
    expect((await look()).code).toBe(1);
    expect((await kruise(`rollout status clone/web -n ${ns} --watch=false --exit-zero`)).code).toBe(0);
    const late = await kruise(`rollout status clone/web -n ${ns} --timeout=1s`);
    expect([late.code, late.err.includes("timed out waiting for the condition")]).toEqual([1, true]);
  });

  test("13: restart, by a variable of each container", async () => {
    const { ns, get, rest } = await shop({ progressDeadlineSeconds: 600 });
    expect((await kruise(`rollout restart clone/web -n ${ns}`)).out).toBe("cloneset.apps.kruise.io/web restarted\n");
    const set = await get();
    const [{ name, value = "" }] = containerIn(set).env as [{ name: string; value?: string }];
    expect(name).toBe("RESTARTED_AT");
    expect(Math.abs(Date.parse(value) - Date.now())).toBeLessThan(60_000);
    expect(set.spec.progressDeadlineSeconds).toBe(600);
    await rest();
    const inPlace = await kruise(`restart clone/web --in-place --containers=main --dry-run=client -n ${ns}`);
    expect((await kruise(`restart clone/web --containers=main -n ${ns}`)).err).toContain("--in-place");
    const absent = await kruise(`restart clone/web --in-place --containers=none --dry-run=server -n ${ns}`);
    expect([absent.code, absent.err.includes('"none"')]).toEqual([1, true]);
    expect(inPlace.out).toMatch(/^(containerrecreaterequest\.apps\.kruise\.io\/web-\w+- created \(dry run\)\n){2}$/);
  });

  test("the built-in kinds go to kubectl; unknown ones are refused by name", async () => {
    const { ns } = await shop();
    const deployment = {
      metadata: { name: "d" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } },
      },
    };
    await api("POST", `/apis/apps/v1/namespaces/${ns}/deployments`, deployment);
    const asked = await kruise(`rollout undo deploy/d --to-revision=2 -n ${ns}`);
    expect(asked.out).toContain("kubectl rollout undo deployment.apps/d");
    expect((await kruise(`rollout restart deploy/d -n ${ns}`)).out).toBe("deployment.apps/d restarted\n");
    expect((await kruise(`rollout pause deploy/d -n ${ns}`)).out).toBe("deployment.apps/d paused\n");
    expect((await kruise(`rollout status nosuch/d -n ${ns}`)).err).toStartWith('error: the server doesn\'t have a resource type "nosuch"');
    expect((await kruise(`rollout status clone/none -n ${ns}`)).err).toStartWith("Error from server (NotFound):");
    const json = await kruise(`rollout status clone/none -n ${ns} --error-format=json`);
    expect(JSON.parse(json.err)).toMatchObject({ reason: "NotFound", code: 404 });
  });
});

describe("set", () => {
  test("14, 21: image, env, resources; dry runs and lists write nothing", async () => {
    const { ns, get } = await shop({ progressDeadlineSeconds: 600 });
    const version = async () => (await get()).metadata.resourceVersion;
    const before = await version();
    const shown = await kruise(`set env clone/web A=1 --dry-run=client -o yaml -n ${ns}`);
    expect(shown.out).toMatch(/- name: A\n +value: "1"/);
    expect((await kruise(`set env clone/web --list -n ${ns}`)).out).toBe("# CloneSet web, container main\n");
    expect((await kruise(`set resources clone/web --limits=cpu=1 --dry-run=client -n ${ns}`)).out).toBe(
      "cloneset.apps.kruise.io/web resource requirements updated (dry run)\n",
    );
    expect(await version()).toBe(before);
    expect((await kruise(`set env clone/web A=1 B=2 -n ${ns}`)).out).toBe("cloneset.apps.kruise.io/web env updated\n");
    expect((await kruise(`set env clone/web A- -n ${ns}`)).code).toBe(0);
    expect((await kruise(`set env clone/web --list -n ${ns}`)).out).toBe("# CloneSet web, container main\nB=2\n");
    expect((await kruise(`set resources clone/web --limits=cpu=1 --requests=cpu=500m -n ${ns}`)).code).toBe(0);
    const image = await kruise(`set image clone/web main=app:v2 -n ${ns} --record`);
    expect([image.code, image.out, image.err]).toEqual([0, "cloneset.apps.kruise.io/web image updated\n", "pods are created anew\n"]);
    const set = await get();
    expect(containerIn(set)).toMatchObject({
      image: "app:v2",
      env: [{ name: "B", value: "2" }],
      resources: { limits: { cpu: "1" }, requests: { cpu: "500m" } },
    });
    expect(set.spec.progressDeadlineSeconds).toBe(600);
    expect(set.metadata.annotations?.["kubernetes.io/change-cause"]).toContain("set image clone/web main=app:v2");
    expect(await kruise(`set image clone/web main=app:v2 -n ${ns}`)).toEqual({ code: 0, out: "", err: "" });
    const unknown = await kruise(`set image clone/web nope=app:v3 main=app:v3 -n ${ns}`);
    expect([unknown.code, unknown.err.includes('error: unable to find container named "nope"')]).toEqual([1, true]);
    expect(imageOf(await get())).toBe("app:v3");
    expect((await kruise(`set serviceaccount clone/web robot -n ${ns}`)).out).toBe("cloneset.apps.kruise.io/web serviceaccount updated\n");
    expect(((await get()).spec.template as { spec: { serviceAccountName?: string } }).spec.serviceAccountName).toBe("robot");
    expect((await kruise(`set env clone/web -e - -n ${ns}`, "# c\nFROM=stdin\n")).code).toBe(0);
    expect(containerIn(await get()).env).toContainEqual({ name: "FROM", value: "stdin" });
  });

  test("20, 21: a SidecarSet, and all of a type", async () => {
    const { ns } = await shop();
    const path = "/apis/apps.kruise.io/v1beta1/sidecarsets";
    const containers = [
      { name: "c1", image: "img:1" },
      { name: "c2", image: "img:1" },
    ];
    const sidecars = async () => (await api<SidecarSet>("GET", `${path}/s-${ns}`)).spec.containers ?? [];
    await api("POST", path, {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "SidecarSet",
      metadata: { name: `s-${ns}` },
      spec: { selector: { matchLabels: { none: ns } }, containers },
    });
    expect((await kruise(`set image sidecarsets.v1alpha1.apps.kruise.io/s-${ns} c1=img:2`)).out).toBe(
      `sidecarset.apps.kruise.io/s-${ns} image updated\n`,
    );
    expect((await sidecars()).map(({ image }) => image)).toEqual(["img:2", "img:1"]);
    const history = await until("two revisions", async () => {
      const { out } = await kruise(`rollout history sidecarset/s-${ns}`);
      return /\n2 /.test(out) ? out : undefined;
    });
    expect(history).toStartWith(`sidecarset.apps.kruise.io/s-${ns} \nREVISION`);
    expect((await kruise(`rollout undo sidecarset/s-${ns}`)).out).toBe(`sidecarset.apps.kruise.io/s-${ns} rolled back\n`);
    expect((await sidecars())[0]?.image).toBe("img:1");
    const second = {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "CloneSet",
      metadata: { name: "two" },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: "two" } },
        template: { metadata: { labels: { app: "two" } }, spec: { containers: [{ name: "main", image: "i" }] } },
      },
    };
    await api("POST", `/apis/apps.kruise.io/v1beta1/namespaces/${ns}/clonesets`, second);
    const both = await kruise(`set env clone --all X=1 -n ${ns}`);
    expect(both.out.split("\n").sort()).toEqual(["", "cloneset.apps.kruise.io/two env updated", "cloneset.apps.kruise.io/web env updated"]);
  });
});

describe("scaling", () => {
  test("15, 16: scaledown takes exactly these pods", async () => {
    const { ns, get, rest } = await shop({ replicas: 5 });
    const names = (await podsIn(ns)).map(({ metadata }) => metadata.name).sort();
    const [p1 = "", p2 = "", p3 = ""] = names;
    const done = await kruise(`scaledown clonesets.v1alpha1.apps.kruise.io/web --pods ${p1},pod/${p2},${p2} -n ${ns}`);
    expect([done.code, done.out]).toEqual([
      0,
      `# web delete pods [${p1} ${p2}] successfully\ncloneset.apps.kruise.io/web selective pod deletion\n`,
    ]);
    const left = await rest();
    expect(left.spec.replicas).toBe(3);
    const now = await until("two pods to go", async () => {
      const pods = await podsIn(ns);
      return pods.length === 3 ? pods : undefined;
    });
    expect(now.map(({ metadata }) => metadata.name).sort()).toEqual(names.slice(2));
    const unknown = await kruise(`scaledown clone/web --pods nosuch -n ${ns}`);
    expect([unknown.code, unknown.err.startsWith("Error from server (NotFound)")]).toEqual([1, true]);
    expect((await get()).spec.replicas).toBe(3);
    expect((await kruise(`scaledown web --keep-replicas --pods ${p3} -n ${ns}`)).code).toBe(0);
    await until("the pod to be replaced", async () => {
      const pods = (await podsIn(ns)).map(({ metadata }) => metadata.name);
      return pods.length === 3 && !pods.includes(p3) ? true : undefined;
    });
    expect((await get()).spec.replicas).toBe(3);
  });

  test("30: scale, with and without preconditions", async () => {
    const { ns, get } = await shop();
    expect(await kruise(`scale clone/web --replicas=3 --timeout=10s -n ${ns}`)).toEqual({
      code: 0,
      out: "cloneset.apps.kruise.io/web scaled\n",
      err: "",
    });
    expect((await get()).spec.replicas).toBe(3);
    const wrong = await kruise(`scale clone/web --replicas=4 --current-replicas=7 -n ${ns}`);
    expect([wrong.code, wrong.err]).toEqual([1, "error: Expected replicas to be 7, was 3\n"]);
    expect((await kruise(`scale clone/web --replicas=9 --dry-run=client -n ${ns}`)).out).toBe(
      "cloneset.apps.kruise.io/web scaled (dry run)\n",
    );
    expect((await get()).spec.replicas).toBe(3);
  });

  test("23: a Deployment's replicas move to a CloneSet", async () => {
    const { ns } = await shop();
    const labels = { app: "old" };
    const deployments = `/apis/apps/v1/namespaces/${ns}/deployments`;
    await api("POST", deployments, {
      metadata: { name: "old", annotations: { mine: "1", "deployment.kubernetes.io/revision": "3" } },
      spec: {
        replicas: 4,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "i" }] } },
      },
    });
    const made = await kruise(`migrate CloneSet --from Deployment -n ${ns} --src-name old --dst-name new --create`);
    expect([made.code, made.err]).toEqual([0, "Successfully created from Deployment/old to CloneSet/new\n"]);
    const set = () => api<CloneSet>("GET", `/apis/apps.kruise.io/v1beta1/namespaces/${ns}/clonesets/new`);
    expect(await set()).toMatchObject({
      metadata: { annotations: { mine: "1" } },
      spec: { replicas: 0, updateStrategy: { rollingUpdate: { podUpdatePolicy: "ReCreate" } } },
    });
    expect((await set()).metadata.annotations?.["deployment.kubernetes.io/revision"]).toBeUndefined();
    const again = await kruise(`migrate clone --from deployment -n ${ns} --src-name old --dst-name new --create`);
    expect([again.code, again.err.includes("AlreadyExists")]).toEqual([1, true]);
    const deployment = () => api<WorkloadObject & { status?: { availableReplicas?: number } }>("GET", `${deployments}/old`);
    await until("the Deployment to be there", async () => (await deployment()).status?.availableReplicas === 4 || undefined);
    let most = 0;
    const watching = new AbortController();
    const watched = (async () => {
      while (!watching.signal.aborted) {
        const wanted = Number((await deployment()).spec?.["replicas"]) + Number((await set()).spec.replicas);
        most = Math.max(most, wanted);
      }
    })();
    const moved = await kruise(`migrate CloneSet --from Deployment -n ${ns} --src-name old --dst-name new --replicas 3 --max-surge=1`);
    watching.abort();
    await watched;
    expect([moved.code, moved.err.endsWith("Successfully migrated 3 replicas from Deployment/old to CloneSet/new\n")]).toEqual([0, true]);
    expect([(await deployment()).spec?.["replicas"], (await set()).spec.replicas, most]).toEqual([1, 3, 5]);
    await api("POST", `/apis/autoscaling/v2/namespaces/${ns}/horizontalpodautoscalers`, {
      metadata: { name: "auto" },
      spec: { maxReplicas: 5, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "old" } },
    });
    const warned = await kruise(`migrate CloneSet --from Deployment -n ${ns} --src-name old --dst-name new --replicas 0`);
    expect(warned.err).toContain("Warning: HorizontalPodAutoscaler/auto scales Deployment/old");
    const late = await kruise(`migrate CloneSet --from Deployment -n ${ns} --src-name gone --dst-name new`);
    expect([late.code, late.err.startsWith("error: failed to migrate:")]).toEqual([1, true]);
  });
});

describe("create", () => {
  test("17, 18: a request to restart containers, with what was asked and nothing else", async () => {
    const { ns } = await shop({
      template: {
        spec: {
          containers: [
            { name: "main", image: "i", ports: [{ containerPort: 80 }] },
            { name: "side", image: "i" },
          ],
        },
      },
    });
    const [{ metadata }] = (await podsIn(ns)) as [Pod];
    const made = await kruise(`create ContainerRecreateRequest r --pod=${metadata.name} -n ${ns}`);
    expect([made.code, made.out, made.err]).toEqual([0, "containerrecreaterequest.apps.kruise.io/r created\n", ""]);
    const requests = `/apis/apps.kruise.io/v1beta1/namespaces/${ns}/containerrecreaterequests`;
    expect((await api("GET", `${requests}/r`))["spec"]).toMatchObject({
      podName: metadata.name,
      containers: [{ name: "main" }, { name: "side" }],
      strategy: { failurePolicy: "Fail", unreadyGracePeriodSeconds: 3, minStartedSeconds: 3 },
      activeDeadlineSeconds: 300,
      ttlSecondsAfterFinished: 1800,
    });
    const some = await kruise(`create crr --pod=${metadata.name} --containers=main -u 5 -m 1 --ordered --dry-run=client -o json -n ${ns}`);
    expect(JSON.parse(some.out)).toMatchObject({
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "ContainerRecreateRequest",
      metadata: { generateName: `${metadata.name}-` },
      spec: { containers: [{ name: "main" }], strategy: { orderedRecreate: true, unreadyGracePeriodSeconds: 5, minStartedSeconds: 1 } },
    });
    expect((await kruise(`create crr --pod=nosuch -n ${ns}`)).err).toContain('pods "nosuch" not found');
    expect((await kruise(`create crr --pod=${metadata.name} --containers=nope -n ${ns}`)).err).toContain('"nope"');
    expect((await kruise(`create crr -n ${ns}`)).err).toContain("--pod is required");
  });

  test("pull jobs and budgets in short; what is kubectl's goes to kubectl", async () => {
    const { ns } = await shop();
    const job = await kruise(
      `create imagepulljob pull --image=app:v2 -l 'pool=gpu,!old' --parallelism=5 --dry-run=client -o json -n ${ns}`,
    );
    expect(JSON.parse(job.out)["spec"]).toMatchObject({ image: "app:v2", parallelism: 5, completionPolicy: { type: "Always" } });
    expect((await kruise(`create pub guard --target=clone/web --max-unavailable=20% -n ${ns}`)).out).toBe(
      "podunavailablebudget.policy.kruise.io/guard created\n",
    );
    expect((await kruise(`create -f x.yaml -n ${ns}`)).out).toBe(`kubectl create -f x.yaml -n ${ns}\n`);
    expect((await kruise("create")).code).toBe(1);
    expect((await kruise("create broadcastJob x")).code).toBe(1);
  });

  test("expose reads the ports of the containers", async () => {
    const { ns } = await shop({ template: { spec: { containers: [{ name: "main", image: "i", ports: [{ containerPort: 8080 }] }] } } });
    expect((await kruise(`expose clone/web -n ${ns}`)).out).toBe("service/web exposed\n");
    expect((await api("GET", `/api/v1/namespaces/${ns}/services/web`))["spec"]).toMatchObject({
      ports: [{ port: 8080, targetPort: 8080 }],
      selector: { app: "web" },
    });
  });
});

test("40: lint refuses what the webhooks refuse, in their words, and needs no cluster", async () => {
  const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "a", image: "b" }] } };
  const set = (name: string, app: string, version = "v1beta1") => ({
    apiVersion: `apps.kruise.io/${version}`,
    kind: "CloneSet",
    metadata: { name, namespace: "shop" },
    spec: { selector: { matchLabels: { app } }, template },
  });
  const pull = { image: "a:b", parallelism: "50%", completionPolicy: { type: "Always" } };
  const job = { apiVersion: "apps.kruise.io/v1beta1", kind: "ImagePullJob", metadata: { name: "pull" }, spec: pull };
  const path = join(dir, "lint.json");
  writeFileSync(path, JSON.stringify({ kind: "List", items: [set("good", "web"), set("bad", "other", "v1alpha1"), job] }));
  const { code, out, err } = await kruise(`lint -f ${path} --kubeconfig=/nowhere`);
  expect([code, out]).toEqual([1, "cloneset/good ok\n"]);
  expect(err).toMatch(/^cloneset\/bad: .*spec\.template\.metadata\.labels/);
  expect(err).toMatch(/\nimagepulljob\/pull: .*spec\.parallelism/);
  writeFileSync(path, JSON.stringify(set("good", "web")));
  expect((await kruise(`lint -f ${path}`)).code).toBe(0);
});

test("protect and unprotect", async () => {
  const { ns, path, get } = await shop();
  expect((await kruise(`protect clone/web -n ${ns}`)).out).toBe("cloneset.apps.kruise.io/web protected\n");
  expect((await get()).metadata.labels).toEqual({ "policy.kruise.io/delete-protection": "Always" });
  expect((await kruise(`unprotect clone/web -n ${ns} -v6`)).err).toContain(`PATCH ${house.running.url}${path} 200\n`);
  expect((await get()).metadata.labels).toBeUndefined();
});

describe("looking", () => {
  test("29: get all shows this namespace, type by type", async () => {
    const { ns } = await shop();
    const { code, out } = await kruise(`get all -n ${ns}`);
    expect(code).toBe(0);
    expect(out).toMatch(/\nclonesets\.apps\.kruise\.io:\nNAME +DESIRED +UPDATED/);
    expect(out).toMatch(/\nweb +2 +2/);
    expect(out).not.toMatch(/cli-1\b.*web/);
    expect((await kruise(`-n ${ns} explain clone/web --v=1`)).out).toStartWith("web: 2 of 2 pods on revision web-");
    const described = await kruise(`describe clone/web -n ${ns}`);
    expect(described.out).toMatch(/^kubectl describe clone\/web -n \S+\nWhat holds it:\nweb: 2 of 2 pods on revision/);
    expect((await kruise(`describe pod x -n ${ns}`)).out).toBe(`kubectl describe pod x -n ${ns}\n`);
    expect((await kruise(`get clone web -o wide -n ${ns}`)).out).toBe(`kubectl get clone web -o wide -n ${ns}\n`);
  });

  test("24: exec finds the pod and the container, and gives kubectl's answer", async () => {
    const { ns } = await shop({
      replicas: 1,
      template: {
        metadata: { labels: { app: "web" }, annotations: { "kruise.io/sidecarset-working-hotupgrade-container": '{"envoy":"envoy-2"}' } },
      },
    });
    const [{ metadata }] = (await podsIn(ns)) as [Pod];
    const sidecar = await kruise(`exec ${metadata.name} -S envoy -n ${ns} -- date`);
    expect([sidecar.code, sidecar.err]).toEqual([0, "Enter working container envoy-2 of SidecarSet.\n"]);
    expect(sidecar.out).toBe(`kubectl exec ${metadata.name} --namespace=${ns} --namespace=${ns} -c envoy-2 -- date\n`);
    expect((await kruise(`exec clone/web -it -n ${ns} -- sh -c exit-7`)).code).toBe(7);
    expect((await kruise(`exec ${metadata.name} -S nope -n ${ns} -- date`)).err).toContain("it has: envoy");
  });

  test("37: what may come next", async () => {
    const { ns } = await shop();
    expect((await kruise("__complete rollout sta")).out).toBe("status\tWait until an update is over\n:4\n");
    expect((await kruise(`__complete rollout status -n ${ns} clone/`)).out).toBe("clone/web\n:4\n");
    expect((await kruise(`__complete rollout status -n ${ns} clone w`)).out).toBe("web\n:4\n");
    expect((await kruise("__complete rollout status clo")).out).toBe("clone/\ncloneset/\n:6\n");
    expect((await kruise("completion bash")).out).toContain("complete -F _kubectl_kruise kubectl-kruise");
  });

  test("39: what is long comes whole, also through a pipe", async () => {
    const { ns } = await shop({}, { annotations: { long: "x".repeat(200_000) } });
    // A reader that takes its time, as a pager does.
    const line = `"${process.execPath}" src/main.ts rollout pause clone/web -o json -n ${ns} | (sleep 1; cat)`;
    const child = Bun.spawn(["/bin/sh", "-c", line], {
      cwd: join(import.meta.dir, "../.."),
      env: { ...process.env, KUBECONFIG: house.running.kubeconfigPath, HOME: dir },
      stdout: "pipe",
    });
    const object = JSON.parse(await new Response(child.stdout).text()) as CloneSet;
    expect(object.metadata.annotations?.["long"]?.length).toBe(200_000);
  });

  test("the root, groups, unknown words", async () => {
    expect((await kruise("help")).code).toBe(0);
    const group = await kruise("rollout");
    expect([group.code, group.out.includes("Available Commands"), group.err]).toEqual([1, true, ""]);
    const set = await kruise("set");
    expect([set.code, set.err.includes("Available Commands"), set.out]).toEqual([1, true, ""]);
    const unknown = await kruise("rolout status x");
    expect([unknown.code, unknown.err]).toEqual([
      1,
      'error: unknown command "rolout" for "kubectl-kruise"\n\nDid you mean this?\n\trollout\n',
    ]);
    expect((await kruise("rollout status --nope x")).err).toStartWith("error: unknown flag: --nope\n");
    expect((await kruise("diff -f x")).out).toBe("kubectl diff -f x\n");
  });
});
