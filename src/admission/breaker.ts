/**
 * Parts of a pod's creation that may be left out, because something else makes up for them: one that fails or takes too long costs the pod
 * nothing, and one that keeps doing so is not asked for a while. Parts that a pod must not miss never come here.
 */
import type { Env } from "../env/env.ts";
import { mutatingConfigurationName, mutatingConfigurations } from "./configuration.ts";
import type { AdmissionMetrics } from "./metrics.ts";
import type { AdmissionContext } from "./webhook.ts";

export const breakerLimits = {
  /** A part that has not answered by then is gone on without. */
  answerMs: 1_000,
  /** So many failures without a success between them open it, */
  failuresMax: 5,
  /** for this long; then one pod tries again, and each failure of that doubles the time */
  openMsMin: 10_000,
  /** up to this. */
  openMsMax: 300_000,
} as const;

export interface BreakerOptions {
  readonly env: Env;
  readonly emit: AdmissionContext["emit"];
  readonly metrics: Pick<AdmissionMetrics, "bypassed">;
}

export interface Breaker {
  /** @returns what the part made of the pod; undefined: nothing, go on without it */
  run<T>(feature: string, part: () => T | Promise<T>): T | undefined | Promise<T | undefined>;
}

interface Circuit {
  failures: number;
  openUntilMs: number;
  openMs: number;
  /** One pod is trying whether it works again. */
  isTrying: boolean;
}

export function createBreaker({ env, emit, metrics }: BreakerOptions): Breaker {
  const circuits = new Map<string, Circuit>();
  const circuitOf = (feature: string): Circuit => {
    let circuit = circuits.get(feature);
    if (circuit === undefined) {
      circuit = { failures: 0, openUntilMs: 0, openMs: 0, isTrying: false };
      circuits.set(feature, circuit);
      metrics.bypassed(feature, false);
    }
    return circuit;
  };
  const tell = (type: "Normal" | "Warning", reason: string, message: string) => {
    emit({ of: mutatingConfigurations, namespace: "", name: mutatingConfigurationName }, type, reason, message);
  };
  const succeeded = (feature: string, circuit: Circuit) => {
    if (circuit.failures === 0) return;
    if (circuit.openMs > 0) {
      env.log.info({ feature }, "admission: a part of the pods' creation works again");
      metrics.bypassed(feature, false);
      tell("Normal", "FeatureResumed", `${feature} takes part in the creation of pods again`);
    }
    Object.assign(circuit, { failures: 0, openMs: 0, isTrying: false });
  };
  const failed = (feature: string, circuit: Circuit, error: string) => {
    env.log.warn({ feature, error }, "admission: a part of the pod's creation failed, and the pod goes without it");
    circuit.failures += 1;
    // What was under way when it opened says nothing new.
    if (circuit.failures < breakerLimits.failuresMax || (circuit.openMs > 0 && !circuit.isTrying)) return;
    const isNews = circuit.openMs === 0;
    circuit.isTrying = false;
    circuit.openMs = isNews ? breakerLimits.openMsMin : Math.min(2 * circuit.openMs, breakerLimits.openMsMax);
    circuit.openUntilMs = env.monotonicMs() + circuit.openMs;
    if (!isNews) return;
    env.log.error({ feature, error }, "admission: a part of the pods' creation keeps failing and is left out");
    metrics.bypassed(feature, true);
    tell("Warning", "FeatureBypassed", `${feature} is left out of the creation of pods, because it keeps failing: ${error}`);
  };
  const inTime = <T>(answer: Promise<T>, isOver: (error: string | undefined) => void): Promise<T | undefined> =>
    new Promise((resolve) => {
      let ended = false;
      const end = (value: T | undefined, error?: string) => {
        if (ended) return;
        ended = true;
        cancel();
        isOver(error);
        resolve(value);
      };
      const cancel = env.after(breakerLimits.answerMs, () => end(undefined, `no answer within ${breakerLimits.answerMs} ms`));
      answer.then(
        (value) => end(value),
        (error: unknown) => end(undefined, textOf(error)),
      );
    });
  return {
    run(feature, part) {
      const circuit = circuitOf(feature);
      if (circuit.openMs > 0) {
        if (circuit.isTrying || env.monotonicMs() < circuit.openUntilMs) return undefined;
        circuit.isTrying = true;
      }
      const isOver = (error: string | undefined) => (error === undefined ? succeeded(feature, circuit) : failed(feature, circuit, error));
      try {
        const answer = part();
        if (answer instanceof Promise) return inTime(answer, isOver);
        isOver(undefined);
        return answer;
      } catch (error) {
        isOver(textOf(error));
        return undefined;
      }
    },
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
