import { expect, test } from "bun:test";
import { FakeEnv } from "../../env/fake.ts";
import { CaughtUp } from "./caught-up.ts";

function begin(env: ConstructorParameters<typeof CaughtUp>[0] = new FakeEnv(), version = 10) {
  const done: true[] = [];
  return { done, caughtUp: new CaughtUp(env, version, () => void done.push(true)) };
}

test("done once: at the version, or after silence", async () => {
  const env = new FakeEnv();
  const { done, caughtUp } = begin(env);
  caughtUp.at(9);
  await env.advance(40);
  caughtUp.heard();
  await env.advance(40);
  expect(done).toEqual([]);
  caughtUp.at(10);
  await env.advance(1_000);
  expect(done).toEqual([true]);
});

test("what was read and is not yet taken in is no silence, however long that takes", async () => {
  const env = new FakeEnv();
  const { done, caughtUp } = begin(env);
  caughtUp.reading();
  await env.advance(5_000);
  expect(done).toEqual([]);
  caughtUp.heard();
  await env.advance(60);
  expect(done).toEqual([true]);
});

test("a timer that runs late has not listened: bytes may wait behind it", () => {
  let nowMs = 0;
  const timers: (() => void)[] = [];
  const env = Object.assign(Object.create(new FakeEnv()), {
    monotonicMs: () => nowMs,
    after: (_: number, run: () => void) => {
      timers.push(run);
      return () => undefined;
    },
  });
  const { done } = begin(env);
  nowMs = 400;
  timers.shift()?.();
  expect([done.length, timers.length]).toEqual([0, 1]);
  nowMs += 52;
  timers.shift()?.();
  expect(done).toEqual([true]);
});
