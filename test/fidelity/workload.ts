/** What cases about workloads are written with. */
import type { Bench, Json } from "./bench.ts";

export const labels = { app: "w" };
export const template = (spec: object = {}, more: object = {}) => ({
  metadata: { labels: { ...labels, ...more } },
  spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "c", image: "x:1" }], ...spec },
});
export const apps = (b: Bench, rest: string) => b.in("apps/v1", rest);
export const workload = (spec: object = {}) => ({
  metadata: { name: "w" },
  spec: { selector: { matchLabels: labels }, template: template(), ...spec },
});
export const podsOf = async (b: Bench, selector = "app%3Dw"): Promise<Json[]> =>
  (await b.must(b.get(b.core(`pods?labelSelector=${selector}`)))).items;
export const isReady = (pod: Json): boolean => pod.status.conditions?.some((c: Json) => c.type === "Ready" && c.status === "True") ?? false;
export const names = (objects: readonly Json[]): string[] => objects.map(({ metadata }) => metadata.name).sort();

/** Waits until as many pods are ready, and no others are there. */
export async function ready(b: Bench, count: number): Promise<Json[]> {
  let pods: Json[] = [];
  await b.eventually(async () => {
    pods = await podsOf(b);
    return pods.length === count && pods.every(isReady);
  });
  return pods;
}

export async function condition(b: Bench, path: string, type: string, status: string): Promise<Json> {
  let found: Json;
  await b.eventually(async () => {
    const { body } = await b.get(path);
    found = body.status?.conditions?.find((c: Json) => c.type === type && c.status === status);
    return found !== undefined;
  });
  return found;
}
