import { describe, expect, test } from "bun:test";
import { sleep } from "../env/env.ts";
import { FakeEnv } from "../env/fake.ts";
import { type Breaker, breakerLimits, createBreaker } from "./breaker.ts";
import { mutatePod } from "./pod.ts";
import { contextWith, podRequest } from "./testing/fixtures.ts";
import { deny, type PodMutation } from "./webhook.ts";

const { answerMs, failuresMax, openMsMin, openMsMax } = breakerLimits;

function bench() {
  const env = new FakeEnv();
  const told: string[] = [];
  const open = new Map<string, boolean>();
  const breaker = createBreaker({
    env,
    emit: (_on, type, reason) => told.push(`${type} ${reason}`),
    metrics: { bypassed: (feature, isBypassed) => void open.set(feature, isBypassed) },
  });
  return { env, told, open, breaker };
}
const broken = () => {
  throw new Error("broken");
};
const fails = (breaker: Breaker, times: number) => Array.from({ length: times }, () => breaker.run("a", broken));

describe("a part that pods may go without", () => {
  test("works: its answer is taken as it comes", async () => {
    const { breaker, open, told } = bench();
    expect(breaker.run("a", () => 1)).toBe(1);
    expect(await breaker.run("a", async () => 2)).toBe(2);
    expect([open.get("a"), told]).toEqual([false, []]);
  });

  test("fails now and then: those pods go without, and it is asked for the next", async () => {
    const { breaker, open } = bench();
    for (let round = 0; round < 3 * failuresMax; round += 1) {
      expect(fails(breaker, failuresMax - 1)).toEqual(Array.from({ length: failuresMax - 1 }, () => undefined));
      expect(breaker.run("a", () => 1)).toBe(1);
    }
    expect(await breaker.run("a", () => Promise.reject(new Error("no")))).toBeUndefined();
    expect(open.get("a")).toBe(false);
  });

  test("takes too long: its pod does not wait for it, and a late answer changes nothing", async () => {
    const { env, breaker } = bench();
    const answer = breaker.run("a", async () => {
      await sleep(env, 2 * answerMs);
      return 1;
    });
    await env.advance(answerMs);
    expect(await answer).toBeUndefined();
    await env.advance(answerMs);
    expect(env.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
  });

  test("keeps failing: it is left out, told once, tried by one pod at a time, less and less often", async () => {
    const { env, breaker, open, told } = bench();
    fails(breaker, failuresMax);
    expect([open.get("a"), told]).toEqual([true, ["Warning FeatureBypassed"]]);
    let asked = 0;
    const part = () => {
      asked += 1;
      return broken();
    };
    let waitMs: number = openMsMin;
    for (let round = 0; round < 8; round += 1) {
      await env.advance(waitMs - 1);
      breaker.run("a", part);
      expect(asked).toBe(round);
      await env.advance(1);
      breaker.run("a", part);
      breaker.run("a", part);
      expect(asked).toBe(round + 1);
      waitMs = Math.min(2 * waitMs, openMsMax);
    }
    expect(waitMs).toBe(openMsMax);
    expect(told).toHaveLength(1);
    await env.advance(openMsMax);
    const trying = breaker.run("a", async () => {
      await sleep(env, 10);
      return 1;
    });
    expect(breaker.run("a", () => 2)).toBeUndefined();
    await env.advance(10);
    expect(await trying).toBe(1);
    expect(breaker.run("a", () => 2)).toBe(2);
    expect([open.get("a"), told]).toEqual([false, ["Warning FeatureBypassed", "Normal FeatureResumed"]]);
    fails(breaker, failuresMax - 1);
    expect(open.get("a")).toBe(false);
  });

  test("what was under way when it opened does not keep it open for longer", async () => {
    const { env, breaker, open } = bench();
    const late = Array.from({ length: 50 }, () => breaker.run("a", () => sleep(env, 10 * answerMs)));
    await env.advance(answerMs);
    await Promise.all(late);
    expect(open.get("a")).toBe(true);
    await env.advance(openMsMin);
    expect(breaker.run("a", () => 1)).toBe(1);
  });

  test("one is left out, the others are not", () => {
    const { breaker } = bench();
    fails(breaker, failuresMax);
    expect([breaker.run("a", () => 1), breaker.run("b", () => 1)]).toEqual([undefined, 1]);
  });
});

describe("in the creation of a pod", () => {
  const labelled =
    (label: string): PodMutation["mutate"] =>
    (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, [label]: "" } },
    });
  const create = async (first: Partial<PodMutation>) => {
    const steps: PodMutation[] = [
      { name: "first", order: 1, mutate: broken, ...first },
      { name: "second", order: 2, mutate: labelled("second") },
    ];
    const object = { metadata: { name: "web-0" }, spec: { containers: [] } } as never;
    return mutatePod(steps, bench().breaker)(podRequest({ object }), contextWith());
  };

  test("the other parts go on where one may be missed", async () => {
    const labels = { metadata: { labels: { second: "" } } };
    expect(await create({ failurePolicy: "Ignore" })).toMatchObject({ allowed: true, object: labels });
    expect(await create({ failurePolicy: "Ignore", mutate: async () => broken() })).toMatchObject({ allowed: true, object: labels });
  });

  test("an error refuses the pod where none may be missed, and so does whoever refuses", async () => {
    expect(await create({})).toMatchObject({ allowed: false, code: 500 });
    expect(await create({ failurePolicy: "Fail", mutate: async () => broken() })).toMatchObject({ allowed: false, code: 500 });
    expect(await create({ failurePolicy: "Ignore", mutate: () => deny(422, "no") })).toMatchObject({ allowed: false, code: 422 });
  });
});
