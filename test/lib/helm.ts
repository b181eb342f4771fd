/** Helm, run on the project's chart. */
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { binary, kubernetesVersion } from "../rig/binaries.ts";
import type { ObjectLike } from "../rig/client.ts";
import { type Ran, type RunOptions, run } from "../rig/process.ts";

export const chartDir = join(import.meta.dir, "../../deploy/chart");

export type Values = Readonly<Record<string, unknown>>;

export async function helm(args: readonly string[], values?: Values, options: RunOptions = {}): Promise<Ran> {
  const withValues = values === undefined ? args : [...args, "--values", "-"];
  return run([await binary("helm"), ...withValues], { ...options, ...(values === undefined ? {} : { stdin: JSON.stringify(values) }) });
}

/** The rendered objects, hooks included. @throws Error with Helm's message */
export async function render(values: Values = {}, args: readonly string[] = []): Promise<readonly ObjectLike[]> {
  const versions = ["--kube-version", kubernetesVersion, "--api-versions", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"];
  const ran = await helm(["template", "kruise", chartDir, ...versions, ...args], values);
  if (ran.code !== 0) throw new Error(ran.stderr.trim());
  return objectsOf(ran.stdout);
}

export function objectsOf(manifests: string): readonly ObjectLike[] {
  return parseAllDocuments(manifests)
    .map((document) => document.toJS() as ObjectLike | null)
    .filter((object) => object !== null);
}
