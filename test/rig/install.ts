/** Installing the product's manifests as a user would, minus what would run inside the cluster. */
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { ObjectLike } from "./client.ts";
import type { Rig } from "./index.ts";
import { waitFor } from "./wait.ts";

export interface Installed {
  /** Everything that was applied. */
  readonly objects: readonly ObjectLike[];
  /** Workloads that were rendered and left out. */
  readonly leftOut: readonly ObjectLike[];
}

const workloadKinds = new Set(["Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob"]);

/** @param dir a kustomize directory; default `deploy/kustomize` of the repository */
export async function installManifests(rig: Rig, dir: string = join(import.meta.dir, "../../deploy/kustomize")): Promise<Installed> {
  const rendered = await rig.kubectl(["kustomize", dir]);
  if (rendered.code !== 0) throw new Error(`kubectl kustomize ${dir}: ${rendered.stderr.trim()}`);
  const all = parseAllDocuments(rendered.stdout)
    .map((document) => document.toJS() as ObjectLike | null)
    .filter((object) => object !== null);
  const objects = all.filter((object) => !workloadKinds.has(object.kind ?? ""));
  // What others depend on goes first: kubectl applies in the order given.
  const rank = (object: ObjectLike) => ["Namespace", "CustomResourceDefinition"].indexOf(object.kind ?? "") >>> 0;
  const ordered = objects.map((object, index) => ({ object, index })).sort((a, b) => rank(a.object) - rank(b.object) || a.index - b.index);
  await rig.apply(...ordered.map((entry) => entry.object));
  await waitForDefinitions(rig, objects);
  return { objects, leftOut: all.filter((object) => workloadKinds.has(object.kind ?? "")) };
}

async function waitForDefinitions(rig: Rig, objects: readonly ObjectLike[]): Promise<void> {
  const names = objects.filter((object) => object.kind === "CustomResourceDefinition").map((object) => object.metadata.name);
  if (names.length === 0) return;
  await waitFor("the custom resource definitions to be established", async () => {
    const definitions = await rig.admin.list<ObjectLike & { status?: { conditions?: { type: string; status: string }[] } }>(
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    );
    const established = (name: string) =>
      definitions
        .find((definition) => definition.metadata.name === name)
        ?.status?.conditions?.some((condition) => condition.type === "Established" && condition.status === "True");
    return names.every(established);
  });
}
