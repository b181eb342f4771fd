/** Jobs: pods that work and end, until enough of them did. */
import { inItems } from "../../kube/defaults/fill.ts";
import { type Fields, fieldsOf, itemsOf, withFields } from "../../kube/json.ts";
import { isReady } from "../../kube/pod.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { asPod, claimed, isFinishedPod, numberOf, podFrom, specOf, statusOf, writeStatus } from "./pods.ts";
import { type Controller, itself, type MakeController, ownersOf, retryOf } from "./worker.ts";

const resource = "jobs.batch";

export const jobs: MakeController = (inside, env): Controller => ({
  name: "job-controller",
  watches: { [resource]: itself, pods: ownersOf("Job") },
  async reconcile(key) {
    const job = inside.get(resource, key);
    if (job === undefined || job.metadata.deletionTimestamp !== undefined) return undefined;
    const nowMs = env.nowMs();
    const ended = conditionOf(job, "Complete") ?? conditionOf(job, "Failed");
    if (ended !== undefined) return expire(inside, job, parseTime(String(ended["lastTransitionTime"])) ?? nowMs, nowMs);
    const pods = await claimed(inside, "pods", job);
    const view = viewOf(job, pods);
    const verdict = verdictOf(job, view, nowMs);
    const problem = verdict === undefined ? await work(inside, job, view) : await stop(inside, view.active);
    const after = viewOf(job, await claimed(inside, "pods", job));
    const written = await writeStatus(inside, resource, job, statusFor(job, after, verdict, nowMs));
    if (written.ok && verdict !== undefined)
      await inside.event(
        job,
        verdict.type === "Complete" ? "Normal" : "Warning",
        verdict.type === "Complete" ? "Completed" : verdict.reason,
        verdict.message,
      );
    return problem ?? retryOf(written) ?? deadlineMs(job, nowMs);
  },
});

interface View {
  readonly active: readonly Stored[];
  readonly succeeded: number;
  readonly failed: number;
  /** Of an indexed Job, in order: which indexes are done. */
  readonly done: readonly number[];
}

const isIndexed = (job: Stored): boolean => specOf(job)["completionMode"] === "Indexed";
const indexLabel = "batch.kubernetes.io/job-completion-index";
const indexOf = (pod: Stored): number => Number(pod.metadata.labels?.[indexLabel] ?? -1);

function viewOf(job: Stored, pods: readonly Stored[]): View {
  const phase = (pod: Stored) => statusOf(pod)["phase"];
  const succeeded = pods.filter((pod) => phase(pod) === "Succeeded");
  const done = isIndexed(job) ? [...new Set(succeeded.map(indexOf))].sort((a, b) => a - b) : [];
  return {
    active: pods.filter((pod) => !isFinishedPod(pod) && pod.metadata.deletionTimestamp === undefined),
    succeeded: isIndexed(job) ? done.length : succeeded.length,
    failed: pods.filter((pod) => phase(pod) === "Failed").length,
    done,
  };
}

function conditionOf(job: Stored, type: string): Fields | undefined {
  const conditions = statusOf(job)["conditions"];
  return (Array.isArray(conditions) ? conditions : [])
    .map(fieldsOf)
    .find((condition) => condition["type"] === type && condition["status"] === "True");
}

interface Verdict {
  readonly type: "Complete" | "Failed";
  readonly reason: string;
  readonly message: string;
}

function verdictOf(job: Stored, { active, succeeded, failed }: View, nowMs: number): Verdict | undefined {
  const spec = specOf(job);
  const completions = spec["completions"];
  const wanted = typeof completions === "number" ? completions : undefined;
  if (failed > numberOf(spec["backoffLimit"], 6))
    return { type: "Failed", reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit" };
  const left = deadlineMs(job, nowMs);
  if (left !== undefined && left <= 0)
    return { type: "Failed", reason: "DeadlineExceeded", message: "Job was active longer than specified deadline" };
  const done = wanted === undefined ? succeeded > 0 && active.length === 0 : succeeded >= wanted;
  return done ? { type: "Complete", reason: "CompletionsReached", message: "Reached expected number of succeeded pods" } : undefined;
}

function deadlineMs(job: Stored, nowMs: number): number | undefined {
  const seconds = specOf(job)["activeDeadlineSeconds"];
  const startMs = parseTime(String(statusOf(job)["startTime"] ?? ""));
  return typeof seconds === "number" && startMs !== undefined ? startMs + seconds * 1000 - nowMs : undefined;
}

async function work(inside: Inside, job: Stored, { active, succeeded, done }: View): Promise<"again" | undefined> {
  const spec = specOf(job);
  const suspended = spec["suspend"] === true;
  const parallelism = numberOf(spec["parallelism"], 1);
  const completions = spec["completions"];
  const room =
    typeof completions === "number" ? Math.min(parallelism, completions - succeeded) : succeeded > 0 ? active.length : parallelism;
  const wanted = suspended ? 0 : Math.max(0, room);
  const taken = new Set([...done, ...active.map(indexOf)]);
  for (let made = active.length; made < wanted; made += 1) {
    const pod = isIndexed(job) ? indexedPod(job, firstFree(taken)) : podFrom(job, spec["template"], `${job.metadata.name}-`);
    const created = await inside.create("pods", job.metadata.namespace ?? "", pod);
    if (!created.ok) {
      await inside.event(job, "Warning", "FailedCreate", `Error creating: ${created.refusal.message}`);
      return "again";
    }
    await inside.event(job, "Normal", "SuccessfulCreate", `Created pod: ${created.object.metadata.name}`);
  }
  return stop(inside, active.slice(wanted));
}

function firstFree(taken: Set<number>): number {
  let index = 0;
  while (taken.has(index)) index += 1;
  taken.add(index);
  return index;
}

/** A pod that knows which part of the work is its own. */
function indexedPod(job: Stored, index: number): Fields {
  const { name } = job.metadata;
  const pod = podFrom(job, specOf(job)["template"], `${name}-${index}-`, { [indexLabel]: String(index) });
  const metadata = fieldsOf(pod["metadata"]);
  const variable = { name: "JOB_COMPLETION_INDEX", valueFrom: { fieldRef: { fieldPath: `metadata.labels['${indexLabel}']` } } };
  const told = (container: Fields): Fields => withFields(container, { env: [...itemsOf(container["env"]), variable] });
  return withFields(pod, {
    metadata: withFields(metadata, { annotations: { ...fieldsOf(metadata["annotations"]), [indexLabel]: String(index) } }),
    spec: withFields(inItems(inItems(fieldsOf(pod["spec"]), "containers", told), "initContainers", told), { hostname: `${name}-${index}` }),
  });
}

/** "0-2,5" */
function rangesText(indexes: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const index of indexes) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from},${to}` : `${from}-${to}`)).join(",");
}

async function stop(inside: Inside, pods: readonly Stored[]): Promise<"again" | undefined> {
  for (const pod of pods) {
    const removed = await inside.remove("pods", pod);
    if (!removed.ok && removed.refusal.code !== 404) return "again";
  }
  return undefined;
}

function statusFor(job: Stored, { active, succeeded, failed, done }: View, verdict: Verdict | undefined, nowMs: number): Fields {
  const before = statusOf(job);
  const now = formatTime(nowMs);
  const suspended = specOf(job)["suspend"] === true;
  return {
    ...before,
    startTime: suspended ? undefined : (before["startTime"] ?? now),
    active: verdict === undefined ? active.length || undefined : undefined,
    ready: verdict === undefined ? active.filter((pod) => isReady(asPod(pod))).length : 0,
    succeeded: succeeded || undefined,
    failed: failed || undefined,
    completedIndexes: rangesText(done) || undefined,
    terminating: 0,
    uncountedTerminatedPods: {},
    ...(verdict?.type === "Complete" ? { completionTime: now } : {}),
    conditions: conditionsFor(job, verdict, suspended, now),
  };
}

function conditionsFor(job: Stored, verdict: Verdict | undefined, suspended: boolean, now: string): unknown {
  const known = itemsOf(statusOf(job)["conditions"]).map(fieldsOf);
  const entry = (type: string, status: string, reason: string, message: string): Fields => ({
    type,
    status,
    reason,
    message,
    lastProbeTime: now,
    lastTransitionTime: now,
  });
  const added: Fields[] = [];
  const before = known.find(({ type }) => type === "Suspended");
  if (suspended && before?.["status"] !== "True") added.push(entry("Suspended", "True", "JobSuspended", "Job suspended"));
  if (!suspended && before?.["status"] === "True") added.push(entry("Suspended", "False", "JobResumed", "Job resumed"));
  if (verdict !== undefined)
    for (const type of verdict.type === "Complete" ? ["SuccessCriteriaMet", "Complete"] : ["FailureTarget", "Failed"])
      added.push(entry(type, "True", verdict.reason, verdict.message));
  if (added.length === 0) return statusOf(job)["conditions"];
  return [...known.filter(({ type }) => !added.some((condition) => condition["type"] === type)), ...added];
}

async function expire(inside: Inside, job: Stored, endedMs: number, nowMs: number): Promise<number | "again" | undefined> {
  const seconds = specOf(job)["ttlSecondsAfterFinished"];
  if (typeof seconds !== "number") return undefined;
  const leftMs = endedMs + seconds * 1000 - nowMs;
  if (leftMs > 0) return leftMs;
  return retryOf(await inside.remove(resource, job, { propagationPolicy: "Foreground" }));
}
