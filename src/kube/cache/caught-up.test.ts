import { expect, test } from "bun:test";
import { FakeEnv } from "../../env/fake.ts";
import { CaughtUp, type Missed } from "./caught-up.ts";

function begin(env: ConstructorParameters<typeof CaughtUp>[0] = new FakeEnv(), missed: Partial<Missed> = {}) {
  const done: boolean[] = [];
  return { done, caughtUp: new CaughtUp(env, { version: 10, answerMs: 2, ...missed }, (isSo) => void done.push(isSo)) };
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

test("a server that is slow to answer may be slow to send", async () => {
  const env = new FakeEnv();
  const { done } = begin(env, { answerMs: 200 });
  await env.advance(790);
  expect(done).toEqual([]);
  await env.advance(20);
  expect(done).toEqual([true]);
});

test("where it is known what has to come, silence says nothing", async () => {
  const env = new FakeEnv();
  let isHere = false;
  const { done, caughtUp } = begin(env, { isHere: () => isHere });
  await env.advance(4_000);
  caughtUp.at(5);
  expect(done).toEqual([]);
  isHere = true;
  caughtUp.at(6);
  expect(done).toEqual([true]);
});

test("what does not come after all is said", async () => {
  const env = new FakeEnv();
  const { done } = begin(env, { isHere: () => false });
  await env.advance(5_100);
  expect(done).toEqual([false]);
});
