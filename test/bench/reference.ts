/** What the same work cost OpenKruise's Go manager 1.9 on a machine of this size, and what Kruiser sets itself. */

export interface Row {
  readonly scenario: string;
  readonly title: string;
  readonly go: string;
  readonly target: string;
}

/**
 * Measured with etcd without fsync, kube-apiserver 1.34, 20 simulated nodes, 3 CloneSet workers, and a client limit of 1000/2000 requests a
 * second, so that the manager's own throttle does not hide it. "ratio" is manager CPU ÷ CPU of etcd, kube-apiserver, kube-controller-manager,
 * kube-scheduler and kwok in the same run. A bare webhook (bare.ts) took 0.28 CPU s per 1,000 requests there at 200 a second and 0.041 at
 * 16 at once: "× bare" is the multiple of that.
 */
export const rows: readonly Row[] = [
  {
    scenario: "start",
    title: "start, empty cluster, until a first CloneSet of 1 is reconciled",
    go: "0.24 s CPU · 121 requests · 81 MiB · 2.7 s wall",
    target: "0.20 s · 60 requests · 70 MiB · 0.8 s",
  },
  { scenario: "idle-empty", title: "idle 30 s, empty", go: "0.11 s CPU · 0 writes", target: "0.10 s · 0 writes, 0 reads" },
  {
    scenario: "idle-full",
    title: "idle 30 s, 5,000 pods and 500 CloneSets",
    go: "0.11 s CPU · 0 writes",
    target: "0.10 s · 0 writes, 0 reads",
  },
  {
    scenario: "create-one",
    title: "one CloneSet 0 → 1,000 pods ready",
    go: "0.165 (7.9 s) · 4.05 writes a pod · 142 MiB · 32 s wall",
    target: "0.06 · 3.1 a pod · 100 MiB · 20 s",
  },
  {
    scenario: "in-place-all",
    title: "in-place image change of 1,000 pods, maxUnavailable 100 %",
    go: "0.155 (10.1 s) · 4.38 a pod, 375 lost to conflicts · 139 MiB · 52 s wall",
    target: "0.07 · 4.05 a pod, no conflict · 100 MiB · 38 s",
  },
  {
    scenario: "in-place-tenth",
    title: "the same, maxUnavailable 10 %",
    go: "0.161 (11.4 s) · 53 s wall",
    target: "0.07 · 4.05 a pod, no conflict · 100 MiB · 38 s",
  },
  {
    scenario: "recreate",
    title: "recreate update of 300 pods, maxUnavailable 20 %",
    go: "0.20 (5.0 s) · 6.2 a pod",
    target: "0.09 · 5.2 a pod",
  },
  {
    scenario: "create-many",
    title: "500 CloneSets × 10 pods created at once",
    go: "0.157 (51 s) · 4.9 a pod · 235 MiB",
    target: "0.06 · 3.7 a pod · 150 MiB",
  },
  {
    scenario: "in-place-many",
    title: "in-place image change of these 500",
    go: "0.166 (63 s) · 6.0 a pod, 2,990 conflicts · 255 MiB",
    target: "0.075 · 4.5 a pod, no conflict · 150 MiB",
  },
  { scenario: "scale-to-zero", title: "scale these from 10 to 0", go: "0.36 (37 s) · 2.2 a pod", target: "0.08 · 1.2 a pod" },
  {
    scenario: "restart-with-record",
    title: "restart with 5,000 pods and 500 CloneSets, until a first change is reconciled, with the record",
    go: "0.93–1.12 s CPU · 196 MiB · 2.9 s wall",
    target: "0.6 s · 130 MiB · 0.8 s",
  },
  {
    scenario: "restart-without-record",
    title: "the same without the record",
    go: "0.93–1.12 s CPU · 196 MiB · 2.9 s wall",
    target: "0.6 s · 130 MiB · 1.2 s",
  },
  {
    scenario: "admit-pods-open",
    title: "pod admission, open loop 200/s, 20 s, nothing to inject",
    go: "p50 0.75, p99 7.3 ms · 0.58 CPU s per 1,000",
    target: "p50 0.6, p99 4 ms · 0.3 = 1.07 × bare",
  },
  {
    scenario: "admit-pods-closed",
    title: "pod admission, 16 at once",
    go: "5,036/s · 0.22 CPU s per 1,000 (two cores)",
    target: "9,000/s · 0.08 = 1.95 × bare (one core)",
  },
  {
    scenario: "admit-clonesets",
    title: "CloneSet admission one by one, mutate and validate",
    go: "p50 0.36, p99 2 ms · 0.32 CPU s per 1,000",
    target: "p50 0.3, p99 1.5 ms · 0.15",
  },
  {
    scenario: "admit-sidecars-open",
    title: "pod admission, open loop 200/s, 20 s, 5 SidecarSets of one container",
    go: "p50 1.2, p99 11.6 ms · 1.28 CPU s per 1,000 · 6,952 bytes of patch",
    target: "p99 5 ms · 0.45 = 1.6 × bare",
  },
  {
    scenario: "admit-sidecars-closed",
    title: "the same, 16 at once",
    go: "1,524/s · 0.87 CPU s per 1,000 (two cores)",
    target: "4,000/s · 0.25 = 6.1 × bare (one core)",
  },
  {
    scenario: "admit-sidecars-open-500",
    title: "pod admission, open loop 200/s, 20 s, 500 SidecarSets of which 5 match",
    go: "–",
    target: "≤ 1.5 × that with 5",
  },
  { scenario: "admit-sidecars-closed-500", title: "the same, 16 at once", go: "–", target: "≤ 1.5 × that with 5" },
  {
    scenario: "churn",
    title: "20 rounds of create 100, in-place update, delete",
    go: "RSS 99 → 103 MiB",
    target: "RSS after round 20 ≤ after round 5 + 3 %",
  },
  { scenario: "growth-1000", title: "CPU a pod at 1,000 pods in one CloneSet", go: "–", target: "1" },
  { scenario: "growth-5000", title: "at 5,000", go: "not linear", target: "≤ 1.3 × that at 1,000" },
  { scenario: "growth-10000", title: "at 10,000", go: "not linear", target: "≤ 1.3 × that at 1,000" },
  { scenario: "sizing-1000", title: "start among 1,000 pods of others, and at rest", go: "–", target: "–" },
  { scenario: "sizing-5000", title: "among 5,000", go: "–", target: "–" },
  { scenario: "sizing-10000", title: "among 10,000", go: "–", target: "–" },
  { scenario: "sizing-20000", title: "among 20,000", go: "–", target: "–" },
  {
    scenario: "agent-idle",
    title: "node agent at rest, 60 pods on its node",
    go: "65 MiB",
    target: "60 MiB · 5 millicores",
  },
  { scenario: "agent-pull", title: "images of 8 MiB, by the runtime alone and by an ImagePullJob", go: "–", target: "–" },
  {
    scenario: "agent-recreate",
    title: "container stopped by hand and by a ContainerRecreateRequest, until the next one started",
    go: "–",
    target: "–",
  },
];
