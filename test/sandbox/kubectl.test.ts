/**
 * Stock kubectl against the sandbox: what people type. Each is tried that is at hand: the one on PATH, and the rig's, where
 * it had to get one: in CI it gets it here. `KUBECTL` names others, separated by ":"; without any, these are skipped.
 */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, cacheDir, kubernetesVersion } from "../rig/binaries.ts";
import { type Ran, sandboxHouse, words } from "./house.ts";

// Each is a dozen processes, one after the other.
setDefaultTimeout(60_000);

if (process.env["CI"] === "true") await binary("kubectl");
const ofRig = join(cacheDir(), "bin", `kubectl-${kubernetesVersion}`, "kubectl");
const atHand = [Bun.which("kubectl") ?? "", existsSync(ofRig) ? ofRig : ""];
const kubectls = new Map(
  (process.env["KUBECTL"]?.split(":") ?? atHand).filter((path) => path !== "").map((path) => [clientVersion(path), path] as const),
);
let kubectlPath = "";

function clientVersion(path: string): string {
  const { stdout } = Bun.spawnSync([path, "version", "--client", "-o", "json"]);
  return (JSON.parse(stdout.toString()) as { clientVersion: { gitVersion: string } }).clientVersion.gitVersion;
}
const house = sandboxHouse({ nodes: 3, speed: 10 });
const { dir } = house;

const run = (args: readonly string[], stdin = "", env: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  house.run([kubectlPath, ...args], { stdin, env });

/** A command line that has to succeed. @returns what it printed */
async function kubectl(line: string, stdin = ""): Promise<string> {
  const { code, out, err } = await run(words(line), stdin);
  if (code !== 0) throw new Error(`kubectl ${line}: ${code}\n${err}${out}`);
  return out;
}

/** Each test has a namespace of its own. */
let counter = 0;
async function fresh(): Promise<string> {
  counter += 1;
  const name = `k-${counter}`;
  await kubectl(`create namespace ${name}`);
  return name;
}

function file(name: string, content: unknown): string {
  const path = join(dir, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const cloneSet = (image = "nginx:1", replicas = 2) => ({
  apiVersion: "apps.kruise.io/v1beta1",
  kind: "CloneSet",
  metadata: { name: "web", labels: { app: "web" } },
  spec: {
    replicas,
    selector: { matchLabels: { app: "web" } },
    updateStrategy: { rollingUpdate: { podUpdatePolicy: "InPlaceIfPossible" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image }] } },
  },
});
const applied = (namespace: string, object: unknown, flags = "") => kubectl(`apply -n ${namespace} -f - ${flags}`, JSON.stringify(object));
const ready = (namespace: string, selector = "app=web") =>
  kubectl(`wait -n ${namespace} pod -l ${selector} --for=condition=Ready --timeout=20s`);

/** The first word of each line. */
const firsts = (text: string): string[] =>
  text
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/)[0] as string);

describe.skipIf(kubectls.size === 0).each([...kubectls])("kubectl %s", (_, path) => {
  beforeAll(() => {
    kubectlPath = path;
  });

  test("get: tables, wide, names, yaml, json paths", async () => {
    const ns = await fresh();
    await applied(ns, cloneSet());
    await poll(async () => (await kubectl(`get pods -n ${ns} --no-headers`)).trim().split("\n").length === 2);
    await ready(ns);
    expect((await kubectl(`get clonesets -n ${ns}`)).split("\n")[0]?.split(/\s+/)).toEqual([
      "NAME",
      "DESIRED",
      "UPDATED",
      "UPDATED_READY",
      "UPDATED_AVAILABLE",
      "READY",
      "TOTAL",
      "AGE",
    ]);
    expect(await kubectl(`get clone web -n ${ns} -o wide`)).toMatch(/main\s+nginx:1\s+app=web/);
    expect(await kubectl(`get pods -n ${ns}`)).toMatch(/web-\w+\s+1\/1\s+Running\s+0/);
    expect(await kubectl(`get pods -n ${ns} -o wide`)).toMatch(/10\.244\.\d+\.\d+\s+node-\d/);
    expect(await kubectl(`get clone -n ${ns} -o name`)).toBe("cloneset.apps.kruise.io/web\n");
    expect(await kubectl(`get clone web -n ${ns} -o yaml`)).toContain("apiVersion: apps.kruise.io/v1beta1\nkind: CloneSet\n");
    expect(await kubectl(`get clone web -n ${ns} -o 'jsonpath={.spec.replicas}'`)).toBe("2");
    expect(await kubectl(`get clone web -n ${ns} -o custom-columns=N:.metadata.name --no-headers`)).toBe("web\n");
  });

  test("get: selectors, fields, all namespaces, sorting, what is not there", async () => {
    const ns = await fresh();
    for (const name of ["b", "a"]) await kubectl(`create configmap ${name} -n ${ns} --from-literal=k=${name}`);
    await kubectl(`label configmap a -n ${ns} tier=front`);
    expect(firsts(await kubectl(`get cm -n ${ns} -l tier=front --no-headers`))).toEqual(["a"]);
    expect(firsts(await kubectl(`get cm -n ${ns} --field-selector metadata.name=b --no-headers`))).toEqual(["b"]);
    expect(await kubectl(`get cm -A --field-selector metadata.name=a,metadata.namespace=${ns} --no-headers`)).toMatch(
      new RegExp(`^${ns}\\s+a`),
    );
    expect(firsts(await kubectl(`get cm -n ${ns} --sort-by=.metadata.creationTimestamp --no-headers`))).toContain("a");
    expect(firsts(await kubectl(`get cm -n ${ns} --chunk-size=1 --no-headers`))).toEqual(["a", "b", "kube-root-ca.crt"]);
    const missing = await run(["get", "cm", "none", "-n", ns]);
    expect([missing.code, missing.err]).toEqual([1, 'Error from server (NotFound): configmaps "none" not found\n']);
    expect((await run(["get", "pods", "-n", ns])).err).toBe(`No resources found in ${ns} namespace.\n`);
    expect((await run(["get", "things"])).err).toContain('the server doesn\'t have a resource type "things"');
  });

  test("get -w: shows what changes", async () => {
    const ns = await fresh();
    const child = Bun.spawn([kubectlPath, "get", "pods", "-n", ns, "-w", "--no-headers"], {
      env: { ...process.env, KUBECONFIG: house.running.kubeconfigPath, HOME: dir },
      stdout: "pipe",
    });
    let text = "";
    const reading = (async () => {
      for await (const chunk of child.stdout) text += new TextDecoder().decode(chunk);
    })();
    await kubectl(`run p -n ${ns} --image=nginx:slow`);
    await poll(async () => /p\s+1\/1\s+Running/.test(text));
    child.kill();
    await reading;
    expect(text).toMatch(/p\s+0\/1\s+(Pending|ContainerCreating)/);
  });

  test("describe: objects of all sorts, with their events", async () => {
    const ns = await fresh();
    await applied(ns, cloneSet());
    await poll(async () => (await kubectl(`get pods -n ${ns} --no-headers`)).trim().split("\n").length === 2);
    await ready(ns);
    const pod = await kubectl(`describe pods -n ${ns} -l app=web`);
    for (const part of ["Status:           Running", "Controlled By:  CloneSet/web", "KruisePodReady", "Scheduled"])
      expect(pod).toContain(part);
    expect(await kubectl(`describe clone web -n ${ns}`)).toMatch(/Events:[\s\S]*SuccessfulCreate/);
    expect(await kubectl("describe node node-0")).toContain("Allocated resources");
    expect(await kubectl(`describe namespace ${ns}`)).toContain("Status:       Active");
    await kubectl(`create deployment d -n ${ns} --image=nginx:1`);
    expect(await kubectl(`describe deployment d -n ${ns}`)).toContain("RollingUpdateStrategy:  25% max unavailable, 25% max surge");
  });

  test("apply: makes, changes, takes away; from several documents; again unchanged", async () => {
    const ns = await fresh();
    expect(await applied(ns, cloneSet())).toBe("cloneset.apps.kruise.io/web created\n");
    // Its containers have got defaults, and lists of custom kinds are compared as a whole.
    expect(await applied(ns, cloneSet())).toBe("cloneset.apps.kruise.io/web configured\n");
    const again = await kubectl(`get clone web -n ${ns} -o 'jsonpath={.metadata.generation}'`);
    expect(again).toBe("1");
    expect(await applied(ns, cloneSet("nginx:2"))).toBe("cloneset.apps.kruise.io/web configured\n");
    const { labels: _, ...metadata } = cloneSet().metadata;
    await applied(ns, { ...cloneSet("nginx:2"), metadata });
    expect(await kubectl(`get clone web -n ${ns} -o 'jsonpath={.metadata.labels}'`)).toBe("");
    const yaml =
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: two}\nspec:\n  replicas: 0\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: 'x:1', ports: [{containerPort: 80}]}]}\n";
    expect(await kubectl(`apply -n ${ns} -f ${file("both.yaml", yaml)}`)).toBe("configmap/one created\ndeployment.apps/two created\n");
    expect(await kubectl(`apply -n ${ns} -f ${file("both.yaml", yaml.replace("x:1", "x:2"))}`)).toBe(
      "configmap/one unchanged\ndeployment.apps/two configured\n",
    );
  });

  test("apply --server-side: owners, conflicts, force", async () => {
    const ns = await fresh();
    const cm = (value: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { k: value } });
    expect(await applied(ns, cm("1"), "--server-side")).toBe("configmap/a serverside-applied\n");
    const other = await run(["apply", "-n", ns, "--server-side", "--field-manager=other", "-f", "-"], JSON.stringify(cm("2")));
    expect([other.code, other.err]).toEqual([1, expect.stringContaining('conflict with "kubectl": .data.k')]);
    await applied(ns, cm("2"), "--server-side --field-manager=other --force-conflicts");
    expect(await kubectl(`get cm a -n ${ns} -o 'jsonpath={.data.k}'`)).toBe("2");
    // From client-side to server-side, as kubectl moves ownership.
    await applied(ns, { ...cm("1"), metadata: { name: "b" } });
    await applied(ns, { ...cm("2"), metadata: { name: "b" } }, "--server-side");
    expect(await kubectl(`get cm b -n ${ns} -o 'jsonpath={.data.k}'`)).toBe("2");
  });

  test("apply: what the server refuses is told", async () => {
    const ns = await fresh();
    const unknown = await run(
      ["apply", "-n", ns, "-f", "-"],
      JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, datum: {} }),
    );
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('unknown field "datum"')]);
    const broken = cloneSet();
    const refused = await run(
      ["apply", "-n", ns, "-f", "-"],
      JSON.stringify({ ...broken, spec: { ...broken.spec, selector: { matchLabels: { app: "x" } } } }),
    );
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("`selector` does not match template `labels`")]);
    expect((await kubectl(`apply -n ${ns} --dry-run=server -f -`, JSON.stringify(cloneSet()))).trim()).toBe(
      "cloneset.apps.kruise.io/web created (server dry run)",
    );
    expect((await run(["get", "clone", "web", "-n", ns])).code).toBe(1);
  });

  test("diff: shows what an apply would change", async () => {
    const ns = await fresh();
    await applied(ns, cloneSet());
    const same = await run(["diff", "-n", ns, "-f", "-"], JSON.stringify(cloneSet()));
    expect([same.code, same.out]).toEqual([0, ""]);
    const other = await run(["diff", "-n", ns, "-f", "-"], JSON.stringify(cloneSet("nginx:2")));
    expect(other.code).toBe(1);
    expect(other.out).toMatch(/-\s+- image: nginx:1\n\+\s+- image: nginx:2/);
  });

  test("create: what it makes by itself", async () => {
    const ns = await fresh();
    for (const line of [
      "create configmap c --from-literal=k=v",
      "create secret generic s --from-literal=k=v",
      "create deployment d --image=nginx:1 --replicas=1 --port=80",
      "create job j --image=busybox:1",
      "create serviceaccount sa",
      "create quota q --hard=pods=50",
      "create poddisruptionbudget b --selector=app=d --min-available=1",
      "create role r --verb=get --resource=pods",
      "create rolebinding rb --role=r --serviceaccount=default:default",
      "create service clusterip svc --tcp=80:80",
      "create ingress i --rule=example.com/=svc:80",
      "create token default",
    ])
      await kubectl(`${line} -n ${ns}`);
    expect(await kubectl(`get secret s -n ${ns} -o 'jsonpath={.data.k}'`)).toBe("dg==");
    await kubectl(`wait -n ${ns} job/j --for=condition=Complete --timeout=20s`);
    await kubectl(`create priorityclass ${ns}-pc --value=10`);
    await kubectl(`expose deployment d -n ${ns} --port=80`);
    expect(await kubectl(`get svc d -n ${ns} -o 'jsonpath={.spec.clusterIP}'`)).toMatch(/^10\.96\./);
    await kubectl(`autoscale deployment d -n ${ns} --max=3`);
    expect(await kubectl(`get hpa -n ${ns} -o name`)).toBe("horizontalpodautoscaler.autoscaling/d\n");
  });

  test("edit: the editor's result is applied", async () => {
    const ns = await fresh();
    await applied(ns, cloneSet());
    const editor = file("editor.sh", "#!/bin/sh\nsed -i 's/nginx:1/nginx:9/' \"$1\"\n");
    await Bun.spawn(["chmod", "+x", editor]).exited;
    const { code, out } = await run(["edit", "clone/web", "-n", ns], "", { KUBE_EDITOR: editor });
    expect([code, out]).toEqual([0, "cloneset.apps.kruise.io/web edited\n"]);
    expect(await kubectl(`get clone web -n ${ns} -o 'jsonpath={.spec.template.spec.containers[0].image}'`)).toBe("nginx:9");
  });

  test("patch: three kinds of it, and subresources", async () => {
    const ns = await fresh();
    await kubectl(`create deployment d -n ${ns} --image=nginx:1 --replicas=0`);
    await kubectl(`patch deployment d -n ${ns} -p '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","image":"nginx:2"}]}}}}'`);
    await kubectl(`patch deployment d -n ${ns} --type=merge -p '{"spec":{"minReadySeconds":3}}'`);
    await kubectl(`patch deployment d -n ${ns} --type=json -p '[{"op":"add","path":"/spec/revisionHistoryLimit","value":4}]'`);
    await kubectl(`patch deployment d -n ${ns} --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'`);
    expect(
      await kubectl(
        `get deployment d -n ${ns} -o 'jsonpath={.spec.replicas} {.spec.minReadySeconds} {.spec.revisionHistoryLimit} {.spec.template.spec.containers[0].image}'`,
      ),
    ).toBe("1 3 4 nginx:2");
    await applied(ns, cloneSet());
    const strategic = await run(["patch", "clone", "web", "-n", ns, "-p", "{}"]);
    expect([strategic.code, strategic.err]).toEqual(
      [1, expect.stringContaining("application/strategic-merge-patch+json is not supported")].map((part, index) =>
        index === 1 ? expect.any(String) : part,
      ),
    );
  });

  test("scale: deployments and clonesets", async () => {
    const ns = await fresh();
    await applied(ns, cloneSet("nginx:1", 0));
    expect(await kubectl(`scale clone web -n ${ns} --replicas=3`)).toBe("cloneset.apps.kruise.io/web scaled\n");
    await poll(async () => (await kubectl(`get pods -n ${ns} -o name`)).trim().split("\n").length === 3);
    const wrong = await run(["scale", "clone", "web", "-n", ns, "--current-replicas=9", "--replicas=1"]);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining("Expected replicas to be 9, was 3")]);
  });

  test("delete: background, foreground, orphan, by selector, all, now", async () => {
    const ns = await fresh();
    for (const name of ["a", "b", "c"]) await kubectl(`create deployment ${name} -n ${ns} --image=nginx:1`);
    await poll(async () => (await kubectl(`get pods -n ${ns} -o name`)).trim().split("\n").length === 3);
    await kubectl(`delete deployment a -n ${ns}`);
    await kubectl(`delete deployment b -n ${ns} --cascade=foreground`);
    await kubectl(`delete deployment c -n ${ns} --cascade=orphan`);
    await poll(async () => firsts(await kubectl(`get pods -n ${ns} --no-headers`)).length === 1);
    expect(firsts(await kubectl(`get rs -n ${ns} --no-headers`))).toEqual([expect.stringMatching(/^c-/)]);
    await kubectl(`delete pods --all -n ${ns} --now`);
    await kubectl(`delete rs -l app=c -n ${ns}`);
    await kubectl(`run p -n ${ns} --image=nginx:1`);
    await kubectl(`delete pod p -n ${ns} --grace-period=0 --force`);
    expect((await run(["delete", "pod", "p", "-n", ns])).err).toContain("NotFound");
    await kubectl(`delete pod p -n ${ns} --ignore-not-found`);
    await kubectl(`delete namespace ${ns}`);
  });

  test("label and annotate", async () => {
    const ns = await fresh();
    await kubectl(`create configmap a -n ${ns}`);
    expect(await kubectl(`label cm a -n ${ns} x=1`)).toBe("configmap/a labeled\n");
    expect((await run(["label", "cm", "a", "-n", ns, "x=2"])).err).toContain("'x' already has a value (1), and --overwrite is false");
    await kubectl(`label cm a -n ${ns} x=2 --overwrite`);
    await kubectl(`annotate cm a -n ${ns} note='a b'`);
    expect(await kubectl(`get cm a -n ${ns} --show-labels --no-headers`)).toContain("x=2");
    await kubectl(`label cm a -n ${ns} x-`);
    await kubectl("label node node-1 disk=ssd");
    expect(firsts(await kubectl("get nodes -l disk=ssd --no-headers"))).toEqual(["node-1"]);
  });

  test("wait: for conditions, values and deletion", async () => {
    const ns = await fresh();
    await applied(ns, cloneSet());
    await kubectl(`wait -n ${ns} clone/web --for='jsonpath={.status.readyReplicas}=2' --timeout=20s`);
    const child = run(["wait", "-n", ns, "clone/web", "--for=delete", "--timeout=20s"]);
    await kubectl(`delete clone web -n ${ns}`);
    expect((await child).code).toBe(0);
    await kubectl(`run p -n ${ns} --image=nginx:bad`);
    const late = await run(["wait", "-n", ns, "pod/p", "--for=condition=Ready", "--timeout=1s"]);
    expect([late.code, late.err]).toEqual([1, expect.stringContaining("timed out waiting for the condition")]);
  });

  test("rollout: status, history, restart, undo, pause", async () => {
    const ns = await fresh();
    await kubectl(`create deployment d -n ${ns} --image=nginx:1 --replicas=2`);
    expect(await kubectl(`rollout status deployment/d -n ${ns} --timeout=20s`)).toContain('deployment "d" successfully rolled out');
    await kubectl(`set image deployment/d -n ${ns} nginx=nginx:2`);
    await kubectl(`rollout status deployment/d -n ${ns} --timeout=20s`);
    expect(await kubectl(`rollout history deployment/d -n ${ns}`)).toMatch(/1\s+<none>\n2\s+<none>/);
    await kubectl(`rollout undo deployment/d -n ${ns}`);
    await kubectl(`rollout status deployment/d -n ${ns} --timeout=20s`);
    expect(await kubectl(`get deployment d -n ${ns} -o 'jsonpath={.spec.template.spec.containers[0].image}'`)).toBe("nginx:1");
    await kubectl(`rollout restart deployment/d -n ${ns}`);
    await kubectl(`rollout status deployment/d -n ${ns} --timeout=20s`);
    await kubectl(`rollout pause deployment/d -n ${ns}`);
    await kubectl(`rollout resume deployment/d -n ${ns}`);
  });

  test("explain: kinds, fields, all of them", async () => {
    expect(await kubectl("explain pod")).toMatch(/KIND: +Pod\nVERSION: +v1/);
    expect(await kubectl("explain deployment.spec.strategy.rollingUpdate")).toContain("maxSurge\t<IntOrString>");
    expect(await kubectl("explain cloneset.spec.updateStrategy")).toContain("rollingUpdate\t<Object>");
    expect(await kubectl("explain clone.spec --api-version=apps.kruise.io/v1alpha1")).toContain("GROUP:      apps.kruise.io");
    expect(await kubectl("explain pods --recursive")).toContain("containers\t<[]Container> -required-");
    expect((await run(["explain", "pod.none"])).err).toContain('field "none" does not exist');
  });

  test("api-resources, api-versions, version, cluster-info", async () => {
    const resources = await kubectl("api-resources -o wide");
    expect(resources).toMatch(
      /clonesets\s+clone\s+apps\.kruise\.io\/v1beta1\s+true\s+CloneSet\s+create,delete,deletecollection,get,list,patch,update,watch/,
    );
    expect(await kubectl("api-resources --namespaced=false -o name")).toContain("nodes\n");
    expect((await kubectl("api-versions")).split("\n")).toEqual(
      expect.arrayContaining(["apps.kruise.io/v1alpha1", "apps.kruise.io/v1beta1", "apps/v1", "v1"]),
    );
    expect(await kubectl("version")).toMatch(/Server Version: v1\.\d+\.\d+/);
    expect(await kubectl("cluster-info")).toContain(house.running.url);
    expect(await kubectl("get --raw /readyz")).toBe("ok");
  });

  test("auth: one may do everything, and ask who one is", async () => {
    expect(await kubectl("auth can-i create pods")).toBe("yes\n");
    expect(await kubectl("auth can-i '*' '*' --all-namespaces")).toBe("yes\n");
    expect(await kubectl("auth can-i --list")).toContain("*.*");
    expect(await kubectl("auth whoami")).toContain("sandbox-admin");
  });

  test("events: of a namespace, of an object", async () => {
    const ns = await fresh();
    await kubectl(`run p -n ${ns} --image=nginx:1`);
    await kubectl(`wait -n ${ns} pod/p --for=condition=Ready --timeout=20s`);
    expect(await kubectl(`events -n ${ns} --for pod/p`)).toMatch(/Normal\s+Scheduled\s+Pod\/p/);
    expect(await kubectl(`get events -n ${ns}`)).toContain("Started container p");
  });

  test("logs say that nothing runs; exec and top fail clearly", async () => {
    const ns = await fresh();
    await kubectl(`run p -n ${ns} --image=nginx:1`);
    await kubectl(`wait -n ${ns} pod/p --for=condition=Ready --timeout=20s`);
    expect(await kubectl(`logs p -n ${ns}`)).toContain("the sandbox runs no containers");
    for (const line of ["exec p -- ls", "attach p", "port-forward pod/p 8080:80"]) {
      const { code, err } = await run(["-n", ns, ...line.split(" ")]);
      expect([code, err]).toEqual([1, expect.stringContaining("the sandbox runs no containers")]);
    }
    expect((await run(["top", "pods", "-n", ns])).err).toContain("Metrics API not available");
  });

  test("drain, cordon, taint", async () => {
    const ns = await fresh();
    // Of all namespaces: no budget of another test may be asked.
    await kubectl(`create deployment drained -n ${ns} --image=nginx:1 --replicas=3`);
    await kubectl(`rollout status deployment/drained -n ${ns} --timeout=20s`);
    await kubectl(`drain node-2 --ignore-daemonsets --pod-selector=app=drained --timeout=20s`);
    await kubectl(`rollout status deployment/drained -n ${ns} --timeout=20s`);
    expect(await kubectl(`get pods -n ${ns} -o 'jsonpath={.items[*].spec.nodeName}'`)).not.toContain("node-2");
    expect(await kubectl("get node node-2 --no-headers")).toContain("Ready,SchedulingDisabled");
    await kubectl("uncordon node-2");
    await kubectl("taint node node-2 x=y:NoSchedule");
    await kubectl("taint node node-2 x-");
  });

  test("replace, and apply of a folder and of a kustomization", async () => {
    const ns = await fresh();
    const cm = (value: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { k: value } });
    await applied(ns, cm("1"));
    expect(await kubectl(`replace -n ${ns} -f -`, JSON.stringify(cm("2")))).toBe("configmap/a replaced\n");
    await kubectl(`replace --force -n ${ns} -f -`, JSON.stringify(cm("3")));
    expect(await kubectl(`get cm a -n ${ns} -o 'jsonpath={.data.k}'`)).toBe("3");
    const folder = join(dir, ns);
    mkdirSync(folder);
    writeFileSync(join(folder, "set.json"), JSON.stringify(cloneSet("nginx:1", 0)));
    writeFileSync(join(folder, "kustomization.yaml"), `namespace: ${ns}\nresources: [set.json]\nimages: [{name: nginx, newTag: "7"}]\n`);
    expect(await kubectl(`apply -k ${folder}`)).toBe("cloneset.apps.kruise.io/web created\n");
    expect(await kubectl(`get clone web -n ${ns} -o 'jsonpath={.spec.template.spec.containers[0].image}'`)).toBe("nginx:7");
    const differs = await run(["diff", "-n", ns, "--server-side", "--force-conflicts", "-f", join(folder, "set.json")]);
    expect([differs.code, differs.out]).toEqual([1, expect.stringMatching(/-\s+- image: nginx:7\n\+\s+- image: nginx:1/)]);
  });

  test("a debug container, a resize, and what is going on told as JSON", async () => {
    const ns = await fresh();
    await kubectl(`run p -n ${ns} --image=nginx:1`);
    await kubectl(`wait -n ${ns} pod/p --for=condition=Ready --timeout=20s`);
    await kubectl(`debug p -n ${ns} --image=busybox:1 -c look --attach=false`);
    expect(await kubectl(`get pod p -n ${ns} -o 'jsonpath={.spec.ephemeralContainers[*].name}'`)).toBe("look");
    await kubectl(
      `run q -n ${ns} --image=nginx:1 --overrides='{"spec":{"containers":[{"name":"q","image":"nginx:1","resources":{"requests":{"cpu":"100m"}}}]}}'`,
    );
    await kubectl(`wait -n ${ns} pod/q --for=condition=Ready --timeout=20s`);
    await kubectl(
      `patch pod q -n ${ns} --subresource=resize -p '{"spec":{"containers":[{"name":"q","resources":{"requests":{"cpu":"200m"}}}]}}'`,
    );
    await kubectl(`wait -n ${ns} pod/q '--for=jsonpath={.status.containerStatuses[0].resources.requests.cpu}=200m' --timeout=20s`);
    const list = JSON.parse(await kubectl(`get pods -n ${ns} -o json`)) as { items: { metadata: { name: string } }[] };
    expect(list.items.map(({ metadata }) => metadata.name)).toEqual(["p", "q"]);
  });

  test("what pods of a namespace may have is told and kept", async () => {
    const ns = await fresh();
    await kubectl(`create quota q -n ${ns} --hard=pods=1`);
    await kubectl(`wait -n ${ns} quota/q '--for=jsonpath={.status.hard.pods}=1' --timeout=20s`);
    await kubectl(`run p -n ${ns} --image=nginx:1`);
    const second = await run(["run", "q", "-n", ns, "--image=nginx:1"]);
    expect([second.code, second.err]).toEqual([
      1,
      expect.stringContaining("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"),
    ]);
    await poll(async () => /pods\s+1\s+1/.test(await kubectl(`describe quota q -n ${ns}`)));
  });

  test("an autoscaler of a CloneSet follows its script", async () => {
    const ns = await fresh();
    await applied(ns, cloneSet());
    await kubectl(`autoscale clonesets.apps.kruise.io web -n ${ns} --min=1 --max=5 --cpu-percent=50`);
    await kubectl(`annotate hpa web -n ${ns} sandbox.kruise.io/metrics=cpu=100`);
    await kubectl(`wait -n ${ns} clone/web '--for=jsonpath={.spec.replicas}=4' --timeout=20s`);
    expect(await kubectl(`describe hpa web -n ${ns}`)).toContain("SuccessfulRescale");
  });

  test("a custom kind of one's own", async () => {
    const ns = await fresh();
    const definition = {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "crons.example.com" },
      spec: {
        group: "example.com",
        scope: "Namespaced",
        names: { plural: "crons", singular: "cron", kind: "Cron" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: { spec: { type: "object", properties: { when: { type: "string", description: "When." } } } },
              },
            },
          },
        ],
      },
    };
    await applied(ns, definition);
    await kubectl("wait crd/crons.example.com --for=condition=Established --timeout=20s");
    await applied(ns, { apiVersion: "example.com/v1", kind: "Cron", metadata: { name: "c" }, spec: { when: "now" } });
    expect(firsts(await kubectl(`get crons -n ${ns} --no-headers`))).toEqual(["c"]);
    expect(await kubectl("explain cron.spec.when")).toContain("When.");
    await kubectl("delete crd crons.example.com");
  });
});

async function poll(holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error("it did not happen within 20 s");
    await Bun.sleep(50);
  }
}
