/** A rollout as a table of its pods, for people. */
export interface PodRow {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>>; readonly deletionTimestamp?: string };
  readonly spec?: { readonly containers: readonly { readonly image?: string }[] };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
}

/** One line a pod, aligned, by name. @param held by pod: why it waits */
export function describePods(pods: readonly PodRow[], held: ReadonlyMap<string, string> = new Map()): string {
  const sorted = [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rows = sorted.map((pod) => [...rowOf(pod), ...(held.size === 0 ? [] : [held.get(pod.metadata.name) ?? ""])]);
  const table = [["POD", "REVISION", "IMAGE", "RESTARTS", "STATE", ...(held.size === 0 ? [] : ["WAITS FOR"])], ...rows];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd()).join("\n");
}

function rowOf(pod: PodRow): string[] {
  const { labels = {}, name } = pod.metadata;
  const ready = pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  const state = pod.metadata.deletionTimestamp ? "Terminating" : (labels["lifecycle.apps.kruise.io/state"] ?? "");
  return [
    name,
    labels["pod-template-hash"] ?? "",
    pod.spec?.containers[0]?.image ?? "",
    String(pod.status?.containerStatuses?.[0]?.restartCount ?? 0),
    `${state}${ready ? ", ready" : ""}`,
  ];
}

const barWidth = 30;

export function progressBar(done: number, total: number): string {
  const filled = total === 0 ? barWidth : Math.round((barWidth * done) / total);
  return `  [${"#".repeat(filled)}${".".repeat(barWidth - filled)}] ${done}/${total}`;
}
