import { describe, expect, test } from "bun:test";
import { FakeEnv } from "./fake.ts";
import { withServerClock } from "./server-clock.ts";

const hourMs = 3_600_000;
/** What the header of an answer can say of this moment. */
const secondsOf = (ms: number) => Math.floor(ms / 1000) * 1000;

async function scene(skewMs: number) {
  const machine = new FakeEnv({ startMs: Date.UTC(2025, 0, 1) + 700 });
  let jumpedMs = 0;
  const trueMs = () => machine.nowMs() - skewMs - jumpedMs;
  const env = withServerClock(machine);
  return {
    machine,
    env,
    /** ms that the corrected clock is off. */
    errorMs: () => env.nowMs() - trueMs(),
    /** An answer, of which so much of its time was before the server spoke. */
    async answer(beforeMs = 5, afterMs = 5) {
      await machine.advance(beforeMs);
      const saidMs = secondsOf(trueMs());
      await machine.advance(afterMs);
      env.serverSaid?.(saidMs, beforeMs + afterMs);
    },
    jump(byMs: number) {
      machine.jump(byMs);
      jumpedMs += byMs;
    },
  };
}

describe("the clock of the server counts", () => {
  test.each([hourMs, -hourMs, 30 * 24 * hourMs, 90_000, -5_000])("this machine's is %i ms ahead", async (skewMs) => {
    const { env, errorMs, answer, machine } = await scene(skewMs);
    expect(errorMs()).toBe(skewMs);
    await answer();
    for (let seconds = 0; seconds < 20; seconds += 1) {
      expect(Math.abs(errorMs())).toBeLessThanOrEqual(2600);
      await machine.advance(333);
      await answer();
    }
    expect(machine.lines.filter(({ level }) => level === "warn").length).toBe(1);
    expect(env.monotonicMs()).toBe(machine.monotonicMs());
  });

  test("and clocks that agree are left alone, however slow an answer is", async () => {
    const { errorMs, answer, machine } = await scene(0);
    for (const [before, after] of [
      [5, 5],
      [5, 20_000],
      [20_000, 5],
      [900, 900],
    ] as const)
      await answer(before, after);
    expect(errorMs()).toBe(0);
    expect(machine.lines).toEqual([]);
  });

  test("a slow answer says roughly how late it is, a quick one then exactly", async () => {
    const { errorMs, answer } = await scene(hourMs);
    await answer(1000, 29_000);
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(15_000);
    await answer();
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(2600);
  });

  test("until the machine's was put right", async () => {
    const { errorMs, answer, jump, machine } = await scene(hourMs);
    await answer();
    jump(-hourMs);
    await answer();
    expect(errorMs()).toBe(0);
    expect(machine.lines.at(-1)?.message).toContain("agrees");
  });
});
