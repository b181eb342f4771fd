/**
 * HorizontalPodAutoscalers. Nothing runs, so nothing is measured: an annotation of the autoscaler says what its metrics show, and from
 * when on. Without it there are no metrics, as in a cluster that has no metrics server.
 */
import { deepEqual, type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { parseQuantity, quantityToNumber } from "../../kube/quantity.ts";
import { formatTime, parseTime } from "../../kube/time.ts";
import { scaleOf } from "../api/subresources.ts";
import { storageVersion } from "../kinds/resource.ts";
import type { Change, Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { conditionOf, keyOf, numberOf, specOf, statusOf, writeStatus } from "./pods.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

/**
 * `cpu=90,cpu=20@60,queue=12`: what a metric shows from so many seconds after the autoscaler was made. Percent of the request for targets
 * of utilization, amounts (of a pod, or of all) for others.
 */
export const metricsAnnotation = "sandbox.kruise.io/metrics";

const resource = "horizontalpodautoscalers.autoscaling";
const lookEveryMs = 15_000;
/** Ratios this near to one change nothing. */
const tolerance = 0.1;
const downStabilizationSeconds = 300;
const upPolicies: readonly Fields[] = [
  { type: "Pods", value: 4, periodSeconds: 15 },
  { type: "Percent", value: 100, periodSeconds: 15 },
];
const downPolicies: readonly Fields[] = [{ type: "Percent", value: 100, periodSeconds: 15 }];

interface Past {
  readonly recommended: { readonly atMs: number; readonly replicas: number }[];
  readonly scaled: { readonly atMs: number; readonly by: number }[];
}

interface Reading {
  readonly replicas: number;
  readonly current: Fields;
  readonly name: string;
}

interface Verdict {
  readonly desired: number;
  readonly why: string;
  readonly conditions: readonly Parameters<typeof conditionOf>[1][];
  readonly currentMetrics?: readonly Fields[];
}

export const autoscalers: MakeController = (inside, env): Controller => {
  const pasts = new Map<string, Past>();
  return {
    name: "horizontal-pod-autoscaler",
    // Not by its own status: once a period is enough.
    watches: { [resource]: (change) => (isAsked(change) ? itself(change) : []) },
    async reconcile(key) {
      const scaler = inside.get(resource, key);
      if (scaler === undefined) return undefined;
      const { uid } = scaler.metadata;
      const past = pasts.get(uid) ?? { recommended: [], scaled: [] };
      pasts.set(uid, past);
      return retryOf(await look(inside, scaler, past, env.nowMs())) ?? lookEveryMs;
    },
  };
};

function isAsked({ before, after }: Change): boolean {
  if (before === undefined || after === undefined) return true;
  return !deepEqual(before["spec"], after["spec"]) || !deepEqual(before.metadata.annotations, after.metadata.annotations);
}

async function look(inside: Inside, scaler: Stored, past: Past, nowMs: number) {
  const before = statusOf(scaler);
  const target = targetOf(inside, scaler);
  if (target === undefined) {
    const { kind, name } = fieldsOf(specOf(scaler)["scaleTargetRef"]);
    const message = `the HPA controller was unable to get the target's current scale: ${textOf(kind).toLowerCase()} "${textOf(name)}" not found`;
    const conditions = [{ type: "AbleToScale", status: "False", reason: "FailedGetScale", message }];
    return tell(
      inside,
      scaler,
      { desired: numberOf(before["desiredReplicas"], 0), why: "", conditions },
      numberOf(before["currentReplicas"], 0),
      nowMs,
    );
  }
  const verdict = judge(scaler, target.replicas, past, nowMs);
  if (verdict.desired === target.replicas) return tell(inside, scaler, verdict, target.replicas, nowMs);
  const scaled = await inside.scale(target.resource, target.key, verdict.desired);
  if (!scaled.ok) return scaled;
  past.scaled.push({ atMs: nowMs, by: verdict.desired - target.replicas });
  await inside.event(scaler, "Normal", "SuccessfulRescale", `New size: ${verdict.desired}; reason: ${verdict.why}`);
  return tell(inside, scaler, verdict, target.replicas, nowMs, formatTime(nowMs));
}

function targetOf(inside: Inside, scaler: Stored): { readonly resource: string; readonly key: Key; readonly replicas: number } | undefined {
  const { apiVersion, kind, name } = fieldsOf(specOf(scaler)["scaleTargetRef"]);
  const parts = textOf(apiVersion).split("/");
  const found = inside.api.registry.byKind(parts.length > 1 ? (parts[0] as string) : "", textOf(kind));
  const paths = found === undefined ? undefined : storageVersion(found).scale;
  if (found === undefined || paths === undefined) return undefined;
  const key = { namespace: scaler.metadata.namespace ?? "", name: textOf(name) };
  const object = inside.get(found.storage, key);
  if (object === undefined) return undefined;
  return { resource: found.storage, key, replicas: numberOf(fieldsOf(scaleOf(object, paths)["spec"])["replicas"], 0) };
}

const able = {
  type: "AbleToScale",
  status: "True",
  reason: "SucceededGetScale",
  message: "the HPA controller was able to get the target's current scale",
};

function judge(scaler: Stored, replicas: number, past: Past, nowMs: number): Verdict {
  const spec = specOf(scaler);
  const least = numberOf(spec["minReplicas"], 1);
  const most = numberOf(spec["maxReplicas"], 1);
  if (replicas === 0 && least !== 0) {
    const message = "scaling is disabled since the replica count of the target is zero";
    return { desired: 0, why: "", conditions: [able, { type: "ScalingActive", status: "False", reason: "ScalingDisabled", message }] };
  }
  if (replicas > most) return { desired: most, why: "Current number of replicas above Spec.MaxReplicas", conditions: [able] };
  if (replicas < least) return { desired: least, why: "Current number of replicas below Spec.MinReplicas", conditions: [able] };
  const readings = itemsOf(spec["metrics"]).map((metric) => read(scaler, fieldsOf(metric), replicas, nowMs));
  const known = readings.filter((reading) => reading !== undefined);
  if (known.length === 0) {
    const first = fieldsOf(itemsOf(spec["metrics"])[0]);
    const message = `the HPA was unable to compute the replica count: failed to get ${nameOf(first)} ${textOf(first["type"]).toLowerCase()} metric value: no metrics are scripted: set the annotation ${metricsAnnotation}`;
    const reason = `FailedGet${textOf(first["type"]) || "Resource"}Metric`;
    return { desired: replicas, why: "", conditions: [able, { type: "ScalingActive", status: "False", reason, message }] };
  }
  const highest = known.reduce((best, reading) => (reading.replicas > best.replicas ? reading : best));
  const stable = stabilized(spec, past, replicas, highest.replicas, nowMs);
  const limited = paced(spec, past, replicas, stable, nowMs);
  const desired = Math.min(most, Math.max(least, limited));
  return {
    desired,
    why: desired < replicas ? "All metrics below target" : `${highest.name} above target`,
    currentMetrics: known.map(({ current }) => current),
    conditions: [
      stable === highest.replicas
        ? { type: "AbleToScale", status: "True", reason: "ReadyForNewScale", message: "recommended size matches current size" }
        : {
            type: "AbleToScale",
            status: "True",
            reason: "ScaleDownStabilized",
            message: "recent recommendations were higher than current one, applying the highest recent recommendation",
          },
      {
        type: "ScalingActive",
        status: "True",
        reason: "ValidMetricFound",
        message: `the HPA was able to successfully calculate a replica count from ${highest.name}`,
      },
      limitedCondition(stable, limited, desired),
    ],
  };
}

function limitedCondition(stable: number, limited: number, desired: number) {
  const type = "ScalingLimited";
  if (desired === stable)
    return { type, status: "False", reason: "DesiredWithinRange", message: "the desired count is within the acceptable range" };
  if (desired > limited)
    return { type, status: "True", reason: "TooFewReplicas", message: "the desired replica count is less than the minimum replica count" };
  if (desired < limited)
    return { type, status: "True", reason: "TooManyReplicas", message: "the desired replica count is more than the maximum replica count" };
  return {
    type,
    status: "True",
    reason: "ScaleUpLimit",
    message: "the desired replica count is increasing or decreasing faster than the policies allow",
  };
}

/** The source of a metric: `resource`, `containerResource`, `pods`, `object`, `external`. */
function sourceOf(metric: Fields): { readonly field: string; readonly source: Fields } {
  const type = textOf(metric["type"]);
  const field = type.charAt(0).toLowerCase() + type.slice(1);
  return { field, source: fieldsOf(metric[field]) };
}

function nameOf(metric: Fields): string {
  const { source } = sourceOf(metric);
  return textOf(source["name"]) || textOf(fieldsOf(source["metric"])["name"]);
}

function read(scaler: Stored, metric: Fields, replicas: number, nowMs: number): Reading | undefined {
  const { field, source } = sourceOf(metric);
  const name = nameOf(metric);
  const shown = scripted(scaler, name, nowMs);
  if (shown === undefined) return undefined;
  const target = fieldsOf(source["target"]);
  const measured = quantityToNumber(parseQuantity(shown) ?? parseQuantity("0") ?? { nano: 0n, format: "DecimalSI", text: "0" });
  const identity = source["name"] === undefined ? { metric: source["metric"] } : { name };
  const of = (current: Fields): Fields => ({ type: metric["type"], [field]: { ...identity, current } });
  if (typeof target["averageUtilization"] === "number")
    return {
      replicas: asked(replicas, measured / target["averageUtilization"]),
      current: of({ averageUtilization: Math.round(measured), averageValue: "0" }),
      name: `${name} resource utilization (percentage of request)`,
    };
  const wanted = (value: unknown): number => quantityToNumber(parseQuantity(value) ?? { nano: 0n, format: "DecimalSI", text: "0" });
  if (target["averageValue"] !== undefined) {
    // What a pod shows; of an object or another system, what all pods have to share.
    const each = field === "object" || field === "external" ? measured / Math.max(1, replicas) : measured;
    return {
      replicas: asked(replicas, each / wanted(target["averageValue"])),
      current: of({ averageValue: shown }),
      name: `${field} metric ${name}`,
    };
  }
  return { replicas: asked(replicas, measured / wanted(target["value"])), current: of({ value: shown }), name: `${field} metric ${name}` };
}

function asked(replicas: number, ratio: number): number {
  return Math.abs(ratio - 1) <= tolerance || !Number.isFinite(ratio) ? replicas : Math.ceil(replicas * ratio);
}

/** What the script says a metric shows now. */
function scripted(scaler: Stored, name: string, nowMs: number): string | undefined {
  const ageSeconds = (nowMs - (parseTime(scaler.metadata.creationTimestamp) ?? nowMs)) / 1000;
  let value: string | undefined;
  for (const entry of (scaler.metadata.annotations?.[metricsAnnotation] ?? "").split(",")) {
    const [, metric, shown, from = "0"] = /^\s*([^=]+)=([^@]+?)(?:@(\d+))?\s*$/.exec(entry) ?? [];
    if (metric === name && Number(from) <= ageSeconds) value = shown;
  }
  return value;
}

/** Down only to the highest of what was recommended lately, up only to the lowest. */
function stabilized(spec: Fields, past: Past, replicas: number, recommended: number, nowMs: number): number {
  const seconds = (side: string, otherwise: number) =>
    numberOf(fieldsOf(fieldsOf(spec["behavior"])[side])["stabilizationWindowSeconds"], otherwise);
  const [down, up] = [seconds("scaleDown", downStabilizationSeconds), seconds("scaleUp", 0)];
  past.recommended.push({ atMs: nowMs, replicas: recommended });
  while ((past.recommended[0]?.atMs ?? nowMs) < nowMs - Math.max(down, up) * 1000) past.recommended.shift();
  const within = (window: number) => past.recommended.filter(({ atMs }) => atMs >= nowMs - window * 1000).map((entry) => entry.replicas);
  if (recommended < replicas) return Math.min(replicas, Math.max(recommended, ...within(down)));
  return Math.max(replicas, Math.min(recommended, ...within(up)));
}

/** No faster than the policies allow. */
function paced(spec: Fields, past: Past, replicas: number, wanted: number, nowMs: number): number {
  if (wanted === replicas) return wanted;
  const up = wanted > replicas;
  const rules = fieldsOf(fieldsOf(spec["behavior"])[up ? "scaleUp" : "scaleDown"]);
  if (rules["selectPolicy"] === "Disabled") return replicas;
  const given = itemsOf(rules["policies"]).map(fieldsOf);
  const policies = given.length > 0 ? given : up ? upPolicies : downPolicies;
  const allowed = policies.map((policy) => {
    const sinceMs = nowMs - numberOf(policy["periodSeconds"], 15) * 1000;
    const done = past.scaled.filter(({ atMs, by }) => atMs > sinceMs && by > 0 === up).reduce((sum, { by }) => sum + by, 0);
    const start = replicas - done;
    const value = numberOf(policy["value"], 0);
    const step = policy["type"] === "Percent" ? Math.ceil((start * value) / 100) : value;
    return up ? start + step : start - step;
  });
  const widest = rules["selectPolicy"] !== "Min";
  if (up) return Math.min(wanted, Math.max(replicas, widest ? Math.max(...allowed) : Math.min(...allowed)));
  return Math.max(wanted, Math.min(replicas, widest ? Math.min(...allowed) : Math.max(...allowed)));
}

function tell(inside: Inside, scaler: Stored, verdict: Verdict, current: number, nowMs: number, lastScaleTime?: string) {
  const before = statusOf(scaler);
  const now = formatTime(nowMs);
  const told = verdict.conditions.map((condition) => {
    const { lastUpdateTime: _, ...rest } = conditionOf(before["conditions"], condition, now);
    return rest;
  });
  const types = new Set(told.map((condition) => condition["type"]));
  const kept = itemsOf(before["conditions"]).filter((condition) => !types.has(fieldsOf(condition)["type"]));
  return writeStatus(inside, resource, inside.get(resource, keyOf(scaler)) ?? scaler, {
    ...before,
    observedGeneration: scaler.metadata.generation,
    currentReplicas: current,
    desiredReplicas: verdict.desired,
    ...(lastScaleTime === undefined ? {} : { lastScaleTime }),
    currentMetrics: verdict.currentMetrics ?? before["currentMetrics"],
    conditions: [...told, ...kept],
  });
}
