/** Images pulled ahead on a real node, by the manager, the node agent, containerd and a registry. Numbers are those of the acceptance scenarios. */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { ImagePullJob, ImagePullJobSpec } from "../../src/api/imagepulljob.ts";
import type { NodeImage, NodeImageTagStatus } from "../../src/api/nodeimage.ts";
import { type Rig, waitFor } from "../rig/index.ts";
import { buildImage } from "../rig/oci.ts";
import { type House, house, type KubeEvent, startTimeoutMs } from "./house.ts";

let home: House;
let rig: Rig;
let namespace: string;
let nodeName: string;
beforeAll(async () => {
  home = await house();
  rig = home.rig;
  namespace = await rig.namespace("images");
  nodeName = home.node.name;
  await waitFor("the node's NodeImage", () => rig.admin.get(nodeImagePath()));
}, startTimeoutMs);

const group = "/apis/apps.kruise.io/v1beta1";
const nodeImagePath = () => `${group}/nodeimages/${nodeName}`;
const jobPath = (name = "") => `${group}/namespaces/${namespace}/imagepulljobs${name === "" ? "" : `/${name}`}`;
const repositoryOf = (name: string) => `registry.test/${name}`;
const timeoutMs = 90_000;

/** A repository of its own, with an image that nobody has; answers the reference. */
function push(repository: string, tag = "v1"): string {
  const files = [0, 1].map((layer) => [
    { path: `data-${layer}`, content: `${repository} ${tag} ${layer} ${crypto.randomUUID()}`.repeat(2_000) },
  ]);
  rig.registry.push(repository, tag, buildImage({ layers: files, entrypoint: ["/none"] }));
  return rig.registry.image(repository, tag);
}

async function pullJob(name: string, image: string, spec: Partial<ImagePullJobSpec> = {}): Promise<ImagePullJob> {
  return rig.admin.create<ImagePullJob>(jobPath(), {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "ImagePullJob",
    metadata: { name },
    spec: { image, selector: { names: [nodeName] }, completionPolicy: { type: "Always" }, ...spec },
  });
}
const seeJob = (name: string, what: string, holds: (job: ImagePullJob) => unknown) =>
  waitFor(
    `job ${name} ${what}`,
    async () => {
      const job = await rig.admin.get<ImagePullJob>(jobPath(name));
      return job && holds(job) ? job : undefined;
    },
    { timeoutMs },
  );
const completed = (name: string) => seeJob(name, "to complete", ({ status }) => status?.completionTime);
const nodeImage = () => rig.admin.must<NodeImage>("GET", nodeImagePath());
async function tagStatus(repository: string, tag = "v1"): Promise<NodeImageTagStatus | undefined> {
  return (await nodeImage()).status?.imageStatuses?.[repositoryOf(repository)]?.tags.find((status) => status.tag === tag);
}
const pullsOf = (repository: string, what: "manifest" | "blob") =>
  rig.registry.pulls.filter((pull) => pull.repository === repository && pull.what === what).length;
async function events(reason: string, text: string): Promise<readonly KubeEvent[]> {
  const all = [
    ...(await rig.admin.list<KubeEvent>("/api/v1/namespaces/default/events")),
    ...(await rig.admin.list<KubeEvent>(`/api/v1/namespaces/${namespace}/events`)),
  ];
  return all.filter((event) => event.reason === reason && event.message.includes(text));
}

describe("pulls", () => {
  test(
    "41: an image that is not there: Pulling, then Succeeded; 16, 22: the job completes",
    async () => {
      const image = push("fresh");
      rig.registry.rule("fresh", { blobDelayMs: 3_000 });
      const created = await pullJob("fresh", image);
      expect(created.spec).toMatchObject({
        completionPolicy: { type: "Always" },
        pullPolicy: { timeoutSeconds: 600, backoffLimit: 3 },
        imagePullPolicy: "IfNotPresent",
      });
      expect(created.metadata.finalizers).toBeUndefined();
      await waitFor("the node to say that it pulls", async () => (await tagStatus("fresh"))?.phase === "Pulling");
      const job = await completed("fresh");
      expect(job.status).toMatchObject({ desired: 1, active: 0, succeeded: 1, failed: 0, message: "job has completed" });
      expect(await tagStatus("fresh")).toMatchObject({ phase: "Succeeded", progress: 100 });
      expect((await tagStatus("fresh"))?.imageID).toStartWith("registry.test/fresh@sha256:");
      await waitFor("the event", async () => (await events("PullImageSucceed", "registry.test/fresh:v1")).length > 0);
      await seeJob("fresh", "to lose its finalizer", ({ metadata }) => (metadata.finalizers ?? []).length === 0);
    },
    timeoutMs,
  );

  test(
    "42: with IfNotPresent nobody asks the registry again, with Always somebody does",
    async () => {
      const image = push("again");
      await pullJob("again-1", image);
      await completed("again-1");
      const before = pullsOf("again", "blob");
      await pullJob("again-2", image);
      await completed("again-2");
      const asked = () => rig.registry.pulls.filter(({ repository }) => repository === "again").length;
      const count = asked();
      expect(pullsOf("again", "blob")).toBe(before);
      rig.registry.push("again", "v1", buildImage({ layers: [[{ path: "new", content: "new" }]], entrypoint: ["/none"] }));
      await pullJob("again-3", image, { imagePullPolicy: "Always" });
      await completed("again-3");
      expect(asked()).toBeGreaterThan(count);
    },
    timeoutMs,
  );

  test(
    "by digest",
    async () => {
      const built = buildImage({ layers: [[{ path: "d", content: crypto.randomUUID() }]], entrypoint: ["/none"] });
      rig.registry.push("digest", "v1", built);
      await pullJob("digest", `registry.test/digest@${built.digest}`);
      expect((await completed("digest")).status).toMatchObject({ succeeded: 1 });
      expect(await tagStatus("digest", built.digest)).toMatchObject({ phase: "Succeeded" });
    },
    timeoutMs,
  );

  test(
    "44: an attempt takes no longer than it may",
    async () => {
      const image = push("slow");
      rig.registry.rule("slow", { blobDelayMs: 20_000 });
      await pullJob("slow", image, { pullPolicy: { timeoutSeconds: 1, backoffLimit: 1 } });
      expect((await completed("slow")).status).toMatchObject({ failed: 1, failedNodes: [nodeName] });
      expect((await tagStatus("slow"))?.message).toContain("canceled");
      rig.registry.rule("slow", undefined);
    },
    timeoutMs,
  );
});

describe("failures, in the words of the registry", () => {
  test(
    "43: a tag that is not there",
    async () => {
      push("wrong");
      await pullJob("wrong", "registry.test/wrong:nothing", { pullPolicy: { timeoutSeconds: 60, backoffLimit: 1 } });
      expect((await completed("wrong")).status).toMatchObject({ failed: 1, succeeded: 0, failedNodes: [nodeName] });
      const { message } = (await tagStatus("wrong", "nothing"))!;
      expect(message).toContain("not found");
      const told = await waitFor("both events", async () => {
        const found = await events("PullImageFailed", "registry.test/wrong:nothing");
        return found.length >= 2 ? found : undefined;
      });
      expect(told.map(({ involvedObject }) => involvedObject.kind).sort()).toEqual(["ImagePullJob", "NodeImage"]);
      expect(told[0]?.source.component).toBe("kruise-daemon-imagepuller");
    },
    timeoutMs,
  );

  test.each<[string, Parameters<Rig["registry"]["rule"]>[1], RegExp]>([
    ["e401", { credentials: { username: "me", password: "hunter22" } }, /401|authorization|unauthorized/i],
    ["e429", { status: 429 }, /429|Too Many/i],
    ["e500", { status: 500 }, /500|Internal/i],
    ["cut", { blobs: "cut" }, /EOF|reset|closed|unexpected|short/i],
    ["corrupt", { blobs: "corrupt" }, /digest|mismatch|verif|commit/i],
  ])(
    "%s: it fails, and says so; and works as soon as the registry does",
    async (repository, rule, words) => {
      const image = push(repository);
      rig.registry.rule(repository, rule);
      await pullJob(repository, image, { pullPolicy: { timeoutSeconds: 30, backoffLimit: 0 } });
      expect((await completed(repository)).status).toMatchObject({ failed: 1 });
      expect((await tagStatus(repository))?.message).toMatch(words);
      rig.registry.rule(repository, undefined);
      await pullJob(`${repository}-again`, image);
      expect((await completed(`${repository}-again`)).status).toMatchObject({ succeeded: 1 });
    },
    timeoutMs,
  );

  test(
    "a registry that comes back within the attempts",
    async () => {
      const image = push("back");
      rig.registry.rule("back", { status: 500 });
      await pullJob("back", image, { pullPolicy: { timeoutSeconds: 30, backoffLimit: 8 } });
      await waitFor("the node to say that it pulls", async () => (await tagStatus("back"))?.phase === "Pulling");
      rig.registry.rule("back", undefined);
      expect((await completed("back")).status).toMatchObject({ succeeded: 1 });
    },
    timeoutMs,
  );
});

describe("credentials", () => {
  const password = "correct-horse-battery";
  const auths = JSON.stringify({ auths: { "registry.test": { auth: btoa(`me:${password}`) } } });
  const secret = (name: string, type: string, key: string, text: string) =>
    rig.admin.create(`/api/v1/namespaces/${namespace}/secrets`, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name },
      type,
      data: { [key]: btoa(text) },
    });
  const copies = async () =>
    await rig.admin.list<{ metadata: { name: string; annotations?: Record<string, string> } }>(
      "/api/v1/namespaces/kruise-daemon-config/secrets",
    );

  test(
    "47, 29, 30: a private image; the copy of the secret comes and goes",
    async () => {
      const image = push("private");
      rig.registry.rule("private", { credentials: { username: "me", password }, blobDelayMs: 500 });
      await secret("mine", "kubernetes.io/dockerconfigjson", ".dockerconfigjson", auths);
      await pullJob("private", image, { pullSecrets: ["mine"] });
      const copy = await waitFor("the copy", async () => (await copies()).find(({ metadata }) => metadata.name.startsWith("mine-")));
      expect(copy.metadata.annotations).toMatchObject({
        "imagepulljobs.kruise.io/references": `${namespace}/private`,
        "imagepulljobs.kruise.io/source-key": `${namespace}/mine`,
        "imagepulljobs.kruise.io/mode": "batch",
      });
      expect((await completed("private")).status).toMatchObject({ succeeded: 1 });
      await waitFor("the copy to go", async () => !(await copies()).some(({ metadata }) => metadata.name.startsWith("mine-")));
    },
    timeoutMs,
  );

  test(
    "47: an Opaque secret opens nothing",
    async () => {
      const image = push("opaque");
      rig.registry.rule("opaque", { credentials: { username: "me", password } });
      await secret("blind", "Opaque", ".dockerconfigjson", auths);
      await pullJob("opaque", image, { pullSecrets: ["blind"], pullPolicy: { timeoutSeconds: 30, backoffLimit: 0 } });
      expect((await completed("opaque")).status).toMatchObject({ failed: 1 });
    },
    timeoutMs,
  );

  test(
    "a wrong password is the registry's to refuse, and nobody's to read",
    async () => {
      const image = push("refused");
      rig.registry.rule("refused", { credentials: { username: "me", password: "another" } });
      await secret("old", "kubernetes.io/dockercfg", ".dockercfg", JSON.stringify({ "registry.test": { username: "me", password } }));
      await pullJob("refused", image, { pullSecrets: ["old"], pullPolicy: { timeoutSeconds: 30, backoffLimit: 1 } });
      expect((await completed("refused")).status).toMatchObject({ failed: 1 });
      const record = await Bun.file(`${rig.stateDir}/daemon.sqlite`).text();
      const seen = [
        JSON.stringify(await nodeImage()),
        JSON.stringify(await events("PullImageFailed", "refused")),
        await Bun.file(home.daemon.logPath).text(),
        await Bun.file(home.manager.logPath).text(),
        record,
      ];
      for (const text of seen) for (const leak of [password, btoa(`me:${password}`), btoa(auths)]) expect(text.includes(leak)).toBe(false);
    },
    timeoutMs,
  );

  test(
    "nobody may read more secrets than they need",
    async () => {
      // What only a gate of deletion protection needs, and can be left out: the right to list everything.
      const others = join(import.meta.dir, "../../deploy/kustomize/gates/deletion-protection-for-crd-cascading.yaml");
      expect(await rig.kubectl(["delete", "--ignore-not-found", "-f", others])).toMatchObject({ code: 0 });
      const may = async (account: string, verb: string, where: string) =>
        (
          await rig.kubectl(["auth", "can-i", verb, "secrets", `--as=system:serviceaccount:kruise-system:${account}`, "-n", where])
        ).stdout.trim();
      expect(await may("kruise-manager", "get", namespace)).toBe("yes");
      await waitFor("the right to be gone", async () => (await may("kruise-manager", "list", namespace)) === "no");
      expect(await may("kruise-manager", "watch", namespace)).toBe("no");
      expect(await may("kruise-manager", "create", namespace)).toBe("no");
      expect(await may("kruise-daemon", "get", "kruise-daemon-config")).toBe("yes");
      expect(await may("kruise-daemon", "list", "kruise-daemon-config")).toBe("no");
      expect(await may("kruise-daemon", "get", namespace)).toBe("no");
    },
    timeoutMs,
  );
});

describe("in the middle", () => {
  test(
    "46: the node agent crashes: its successor goes on, and what is done is not done again",
    async () => {
      const [done, slow] = [push("done"), push("mid")];
      await pullJob("done", done, { imagePullPolicy: "Always" });
      await completed("done");
      const before = pullsOf("done", "manifest");
      rig.registry.rule("mid", { blobDelayMs: 4_000 });
      await pullJob("mid", slow);
      await waitFor("the pull to be under way", () => pullsOf("mid", "manifest") > 0);
      const begun = await waitFor("the node to say so", async () => (await tagStatus("mid"))?.startTime);
      await home.daemon.kill();
      await home.daemon.restart();
      expect((await completed("mid")).status).toMatchObject({ succeeded: 1 });
      expect((await tagStatus("mid"))?.startTime).toBe(begun);
      expect(pullsOf("done", "manifest")).toBe(before);
      rig.registry.rule("mid", undefined);
    },
    timeoutMs,
  );

  test(
    "46, 33: a job that is deleted: its pull ends, its task goes, nothing holds it",
    async () => {
      const image = push("dropped");
      rig.registry.rule("dropped", { blobDelayMs: 30_000 });
      await pullJob("dropped", image);
      await waitFor("the pull to be under way", () => pullsOf("dropped", "manifest") > 0);
      await rig.admin.delete(jobPath("dropped"));
      await waitFor("the job to be gone", async () => (await rig.admin.get(jobPath("dropped"))) === undefined);
      await waitFor("the task to be gone", async () => (await nodeImage()).spec.images?.[repositoryOf("dropped")] === undefined);
      await waitFor("its status to be gone", async () => (await tagStatus("dropped")) === undefined);
      expect(await events("PullImageFailed", "dropped")).toEqual([]);
      rig.registry.rule("dropped", undefined);
    },
    timeoutMs,
  );

  test(
    "the manager crashes: its successor counts on",
    async () => {
      const image = push("counted");
      rig.registry.rule("counted", { blobDelayMs: 2_000 });
      await pullJob("counted", image);
      await waitFor("the pull to be under way", () => pullsOf("counted", "manifest") > 0);
      await home.manager.kill();
      await home.manager.restart();
      expect((await completed("counted")).status).toMatchObject({ desired: 1, succeeded: 1 });
    },
    timeoutMs,
  );
});

test(
  "35, 39: a list of images, and its end",
  async () => {
    const images = [push("list-a"), push("list-b")];
    const path = `${group}/namespaces/${namespace}/imagelistpulljobs`;
    await rig.admin.create(path, {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "ImageListPullJob",
      metadata: { name: "list" },
      spec: { images, selector: { names: [nodeName] }, completionPolicy: { type: "Always", ttlSecondsAfterFinished: 1 } },
    });
    await waitFor("both images", () => ["list-a", "list-b"].every((repository) => pullsOf(repository, "manifest") > 0), { timeoutMs });
    await waitFor("the list to be gone", async () => (await rig.admin.get(`${path}/list`)) === undefined, { timeoutMs });
    await waitFor(
      "its jobs to be gone",
      async () => (await rig.admin.list<ImagePullJob>(jobPath())).every(({ metadata }) => !metadata.name.startsWith("list-")),
      { timeoutMs },
    );
  },
  2 * timeoutMs,
);

test(
  "19, 17, 6: what the webhooks refuse, through the API server",
  async () => {
    const refused = async (path: string, object: object) => {
      const answer = await rig.admin.request<{ message?: string; code?: number }>("POST", path, object);
      return `${answer.status} ${answer.body.message ?? ""}`;
    };
    const job = (spec: object) => ({
      apiVersion: "apps.kruise.io/v1alpha1",
      kind: "ImagePullJob",
      metadata: { name: "refused-one" },
      spec: { image: "nginx:1", completionPolicy: {}, ...spec },
    });
    const alpha = `/apis/apps.kruise.io/v1alpha1/namespaces/${namespace}/imagepulljobs`;
    expect(await refused(alpha, job({ parallelism: "50%" }))).toMatch(/^400 .*spec.parallelism/);
    const created = await rig.admin.create<ImagePullJob>(alpha, job({ parallelism: 0 }));
    expect(created.metadata.finalizers).toEqual(["apps.kruise.io/deletion-protection"]);
    const changed = await rig.kubectl([
      "patch",
      "imagepulljob",
      "refused-one",
      "-n",
      namespace,
      "--type=merge",
      "-p",
      '{"spec":{"pullSecrets":["a"]}}',
    ]);
    expect(changed.stderr).toContain("spec.pullSecrets: Forbidden: cannot be changed");
    await rig.admin.delete(jobPath("refused-one"));
    const task = {
      apiVersion: "apps.kruise.io/v1beta1",
      kind: "NodeImage",
      metadata: { name: "fake" },
      spec: { images: { nginx: { tags: [{ tag: "latest" }] } } },
    };
    expect(await refused(`${group}/nodeimages`, task)).toMatch(/^400 .*ttlSecondsAfterFinished/);
  },
  timeoutMs,
);
