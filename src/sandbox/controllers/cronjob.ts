/** CronJobs: a Job each time that the schedule says, in UTC. */
import { type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import { nextTime, parseSchedule, type Schedule } from "../kinds/schedule.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { controllerOf, keyOf, numberOf, ownerReference, specOf, statusOf, writeStatus } from "./pods.ts";
import { type Controller, itself, type MakeController, ownersOf, retryOf } from "./worker.ts";

const resource = "cronjobs.batch";
const jobs = "jobs.batch";
/** Missed times looked at: after a long sleep nobody needs all of them. */
const missedMax = 100;

export const cronJobs: MakeController = (inside, env): Controller => ({
  name: "cronjob-controller",
  watches: { [resource]: itself, [jobs]: ownersOf("CronJob") },
  async reconcile(key) {
    const cron = inside.get(resource, key);
    if (cron === undefined || cron.metadata.deletionTimestamp !== undefined) return undefined;
    const schedule = parseSchedule(textOf(specOf(cron)["schedule"]));
    if (typeof schedule === "string") return undefined;
    const nowMs = env.nowMs();
    const owned = inside.list(jobs, key.namespace).filter((job) => controllerOf(job)?.uid === cron.metadata.uid);
    const outcomes = await forget(inside, cron, owned);
    const active = owned.filter((job) => endOf(job) === undefined);
    const dueMs = specOf(cron)["suspend"] === true ? undefined : latestDue(cron, schedule, nowMs);
    const started = dueMs === undefined ? undefined : await start(inside, cron, dueMs, active);
    if (started === "again") return "again";
    const running = started === undefined ? active : [...(specOf(cron)["concurrencyPolicy"] === "Replace" ? [] : active), started];
    const written = await writeStatus(inside, resource, inside.get(resource, key) ?? cron, {
      ...statusOf(cron),
      active: running.length === 0 ? undefined : running.map(referenceTo),
      ...(started === undefined || dueMs === undefined ? {} : { lastScheduleTime: formatTime(dueMs) }),
      ...lastSuccess(owned),
    });
    const nextMs = nextTime(schedule, nowMs);
    return retryOf(written, ...outcomes) ?? (nextMs === undefined ? undefined : nextMs - nowMs);
  },
});

/** The last of the times that have come since the last run. */
function latestDue(cron: Stored, schedule: Schedule, nowMs: number): number | undefined {
  const lastMs = parseTime(textOf(statusOf(cron)["lastScheduleTime"])) ?? parseTime(cron.metadata.creationTimestamp) ?? nowMs;
  const deadline = specOf(cron)["startingDeadlineSeconds"];
  const earliestMs = typeof deadline === "number" ? Math.max(lastMs, nowMs - deadline * 1000) : lastMs;
  let due: number | undefined;
  let next = nextTime(schedule, earliestMs);
  for (let tries = 0; next !== undefined && next <= nowMs && tries < missedMax; tries += 1) {
    due = next;
    next = nextTime(schedule, next);
  }
  return due;
}

/** @returns the new Job; undefined when the one before still runs and may not be joined */
async function start(inside: Inside, cron: Stored, dueMs: number, active: readonly Stored[]): Promise<Stored | "again" | undefined> {
  const { name, namespace = "" } = cron.metadata;
  const policy = specOf(cron)["concurrencyPolicy"];
  if (policy === "Forbid" && active.length > 0) return undefined;
  if (policy === "Replace")
    for (const job of active) if (retryOf(await inside.remove(jobs, job, { propagationPolicy: "Background" })) === "again") return "again";
  const template = fieldsOf(specOf(cron)["jobTemplate"]);
  const { labels, annotations } = fieldsOf(template["metadata"]);
  const jobName = `${name}-${Math.trunc(dueMs / 60_000)}`;
  const created = await inside.create(jobs, namespace, {
    metadata: {
      name: jobName,
      ...(labels === undefined ? {} : { labels }),
      annotations: { ...fieldsOf(annotations), "batch.kubernetes.io/cronjob-scheduled-timestamp": formatTime(dueMs) },
      ownerReferences: [ownerReference(cron)],
    },
    spec: template["spec"],
  });
  if (!created.ok && created.refusal.reason === "AlreadyExists") return inside.get(jobs, { namespace, name: jobName });
  if (!created.ok) {
    await inside.event(cron, "Warning", "FailedCreate", `Error creating job: ${created.refusal.message}`);
    return "again";
  }
  await inside.event(cron, "Normal", "SuccessfulCreate", `Created job ${jobName}`);
  return created.object;
}

function endOf(job: Stored): "Complete" | "Failed" | undefined {
  const ended = itemsOf(statusOf(job)["conditions"])
    .map(fieldsOf)
    .find(({ type, status }) => status === "True" && (type === "Complete" || type === "Failed"));
  return ended?.["type"] as "Complete" | "Failed" | undefined;
}

/** No more of those that ended than the limits say. */
async function forget(inside: Inside, cron: Stored, owned: readonly Stored[]) {
  const outcomes = [];
  for (const [end, field, otherwise] of [
    ["Complete", "successfulJobsHistoryLimit", 3],
    ["Failed", "failedJobsHistoryLimit", 1],
  ] as const) {
    const ended = owned
      .filter((job) => endOf(job) === end && job.metadata.deletionTimestamp === undefined)
      .sort((a, b) => startMsOf(b) - startMsOf(a));
    for (const job of ended.slice(numberOf(specOf(cron)[field], otherwise)))
      outcomes.push(await inside.remove(jobs, job, { propagationPolicy: "Background" }));
  }
  return outcomes;
}

const startMsOf = (job: Stored): number => parseTime(textOf(statusOf(job)["startTime"])) ?? 0;

function lastSuccess(owned: readonly Stored[]): Fields {
  const times = owned
    .filter((job) => endOf(job) === "Complete")
    .map((job) => textOf(statusOf(job)["completionTime"]))
    .sort();
  const last = times.at(-1);
  return last === undefined ? {} : { lastSuccessfulTime: last };
}

function referenceTo(job: Stored): Fields {
  return { kind: "Job", apiVersion: "batch/v1", ...keyOf(job), uid: job.metadata.uid, resourceVersion: job.metadata.resourceVersion };
}
