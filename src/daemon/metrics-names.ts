/** What the node agent counts beside what every process does: names and labels are public. */
import type { Metric } from "../engine/metrics.ts";

const pullSeconds = [0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

export const daemonMetrics = {
  kills: {
    name: "kruiser_daemon_kills_total",
    help: "Containers stopped, by who wanted it and what came of it.",
    type: "counter",
    labels: ["by", "result"],
  },
  metaReports: {
    name: "kruiser_daemon_meta_reports_total",
    help: "Reports of a pod's containers written to its annotation.",
    type: "counter",
    labels: ["result"],
  },
  pulls: {
    name: "kruiser_daemon_image_pulls_total",
    help: "Tasks that came to an end: pulled, present (it was there already), failed.",
    type: "counter",
    labels: ["result"],
  },
  pullSeconds: {
    name: "kruiser_daemon_image_pull_seconds",
    help: "How long tasks took, with all their attempts.",
    type: "histogram",
    labels: ["result"],
    buckets: pullSeconds,
  },
  pullsInFlight: { name: "kruiser_daemon_image_pulls_in_flight", help: "Images being pulled now.", type: "gauge", labels: [] },
} as const satisfies Record<string, Metric>;
