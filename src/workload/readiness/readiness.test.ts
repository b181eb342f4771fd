import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { now, nowMs, pod, run } from "../testing/pods.ts";
import {
  addKeyStep,
  holdsKey,
  keysText,
  type NotReadyKey,
  preDeleteKey,
  preUpdateKey,
  readKeys,
  recreateKey,
  removeKeysStep,
  withReady,
} from "./index.ts";

const ready = [{ type: "Ready", status: "True" } as const, { type: "ContainersReady", status: "True" } as const];
const gated = pod({ gates: ["KruisePodReady"], conditions: ready });
const kruiseReady = (target: ReturnType<typeof pod>) => target.status?.conditions?.find(({ type }) => type === "KruisePodReady");

test("30: held until the last writer lets go", () => {
  const first = run(gated, [addKeyStep(preUpdateKey, nowMs), addKeyStep(recreateKey("default", "r"), nowMs)]).pod;
  expect(kruiseReady(first)).toEqual({
    type: "KruisePodReady",
    status: "False",
    message: '[{"userAgent":"ContainerRecreateRequest","key":"default/r"},{"userAgent":"Lifecycle","key":"preUpdateHook"}]',
    lastTransitionTime: now,
  });
  const second = run(first, [removeKeysStep([preUpdateKey], nowMs)]).pod;
  expect(kruiseReady(second)).toMatchObject({ status: "False", message: '[{"userAgent":"ContainerRecreateRequest","key":"default/r"}]' });
  const third = run(second, [removeKeysStep([recreateKey("default", "r")], nowMs)]).pod;
  expect(kruiseReady(third)).toMatchObject({ status: "True", message: "[]" });
});

test("nothing is written twice, nor without the gate, nor for a key that is not held", () => {
  const held = run(gated, [addKeyStep(preUpdateKey, nowMs)]).pod;
  expect(run(held, [addKeyStep(preUpdateKey, nowMs), removeKeysStep([preDeleteKey], nowMs)]).writes).toEqual([]);
  expect(run(pod({ conditions: ready }), [addKeyStep(preUpdateKey, nowMs), removeKeysStep([preUpdateKey], nowMs)]).writes).toEqual([]);
});

test("an unreadable message holds nothing", () => {
  const odd = pod({ gates: ["KruisePodReady"], conditions: [{ type: "KruisePodReady", status: "False", message: "{" }] });
  expect(holdsKey(odd, preUpdateKey)).toBe(false);
  expect(kruiseReady(run(odd, [addKeyStep(preUpdateKey, nowMs)]).pod)?.message).toBe('[{"userAgent":"Lifecycle","key":"preUpdateHook"}]');
});

describe("Ready", () => {
  test.each<[string, ReturnType<typeof pod>, string | undefined]>([
    ["turns with its gate", gated, "False"],
    ["stays when containers are not ready", pod({ gates: ["KruisePodReady"], conditions: [ready[0]!] }), undefined],
    ["is not invented", pod({ gates: ["KruisePodReady"], conditions: [ready[1]!] }), undefined],
    ["stays False", pod({ gates: ["KruisePodReady"], conditions: [{ type: "Ready", status: "False" }, ready[1]!] }), undefined],
    ["does not look at conditions without a gate", pod({ gates: [], conditions: ready }), undefined],
  ])("%s", (_, target, status) => {
    expect(withReady(target, [{ type: "KruisePodReady", status: "False" }], nowMs)[1]?.status).toBe(status as never);
  });
  test("names every gate that holds it", () => {
    const target = pod({ gates: ["KruisePodReady", "example.com/lb"], conditions: ready });
    expect(withReady(target, [{ type: "KruisePodReady", status: "False" }], nowMs)[1]?.message).toBe(
      'the status of pod readiness gate "KruisePodReady" is not "True", but False, corresponding condition of pod readiness gate "example.com/lb" does not exist.',
    );
  });
});

const anyKey = fc.record({ userAgent: fc.string(), key: fc.string() });
test("what is written is read back, sorted", () =>
  fc.assert(
    fc.property(fc.array(anyKey), (keys: NotReadyKey[]) => {
      const message = keysText(keys);
      expect(keysText(readKeys({ type: "KruisePodReady", status: "False", message }))).toBe(message);
    }),
  ));
