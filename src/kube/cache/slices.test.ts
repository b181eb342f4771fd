import { expect, test } from "bun:test";
import { FakeEnv } from "../../env/fake.ts";
import { Slices } from "./slices.ts";

test("many workers share one slice a turn, take turns, and all finish", async () => {
  const env = new FakeEnv();
  let workedMs = 0;
  const slices = new Slices({
    ...env,
    log: env.log,
    stopped: env.stopped,
    after: (ms, run) => env.after(ms, run),
    monotonicMs: () => workedMs,
    nowMs: () => 0,
    uuid: () => "",
  });
  const turns: number[] = [0];
  const order: string[] = [];
  const countTurn = () => {
    turns.push(0);
    if (order.length < 30) env.after(0, countTurn);
  };
  env.after(0, countTurn);
  const worker = async (name: string) => {
    for (let unit = 0; unit < 10; unit += 1) {
      if (slices.due()) await slices.rest();
      workedMs += 2;
      turns[turns.length - 1]! += 2;
      order.push(name);
    }
  };
  const all = Promise.all(["a", "b", "c"].map(worker));
  await env.advance(1);
  await all;
  expect(order).toHaveLength(30);
  expect(Math.max(...turns)).toBeLessThanOrEqual(10);
  expect(order.slice(0, 12).join("")).not.toMatch(/a{7}/);
});
