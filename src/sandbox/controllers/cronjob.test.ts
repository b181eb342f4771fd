/** Schedules, and CronJobs in virtual time. */
import { describe, expect, test } from "bun:test";
import { fieldsOf, itemsOf } from "../../kube/json.ts";
import { nextTime, parseSchedule } from "../kinds/schedule.ts";
import { nameOf, statusOf, World } from "../testing/world.ts";

describe("the next time", () => {
  for (const [schedule, after, next] of [
    ["*/15 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z"],
    ["0 9 * * mon-fri", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"],
    ["30 2 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T02:30:00Z"],
    ["0 0 13 * fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
    ["5,10-12/2 3 * * *", "2026-01-01T03:05:00Z", "2026-01-01T03:10:00Z"],
    ["@monthly", "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z"],
    ["@every 90s", "2026-01-01T00:00:10Z", "2026-01-01T00:01:40Z"],
    ["0 0 30 2 *", "2026-01-01T00:00:00Z", undefined],
  ] as const)
    test(`${schedule} after ${after}`, () => {
      const parsed = parseSchedule(schedule);
      if (typeof parsed === "string") throw new Error(parsed);
      expect(nextTime(parsed, Date.parse(after))).toBe(next === undefined ? undefined : Date.parse(next));
    });
  for (const text of ["* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "x * * * *", "@often", "@every day"])
    test(`no schedule: ${text}`, () => expect(parseSchedule(text)).toBeString());
});

const crons = "/apis/batch/v1/namespaces/default/cronjobs";
const jobs = "/apis/batch/v1/namespaces/default/jobs";

async function running(spec: object, annotations = {}): Promise<World> {
  const world = await World.start();
  const template = { metadata: { annotations }, spec: { restartPolicy: "Never", containers: [{ name: "main", image: "job:1" }] } };
  await world.create(crons, { metadata: { name: "tick" }, spec: { schedule: "* * * * *", ...spec, jobTemplate: { spec: { template } } } });
  return world;
}

test("a Job each minute, and no more kept than asked for", async () => {
  const world = await running({ successfulJobsHistoryLimit: 2 });
  await world.pass(5 * 60_000 + 5000);
  const made = await world.list(jobs);
  expect(made).toHaveLength(2);
  expect(nameOf(made[0] ?? {})).toMatch(/^tick-\d+$/);
  const status = statusOf(await world.get(`${crons}/tick`));
  expect([typeof status["lastScheduleTime"], typeof status["lastSuccessfulTime"]]).toEqual(["string", "string"]);
});

test("whoever still runs is joined, waited for, or replaced", async () => {
  const alive = async (policy: string) => {
    const world = await running({ concurrencyPolicy: policy }, { "sandbox.kruise.io/exit-code": "never" });
    await world.pass(3 * 60_000 + 5000);
    const active = itemsOf(statusOf(await world.get(`${crons}/tick`))["active"]).map((entry) => fieldsOf(entry)["name"]);
    return [active.length, (await world.list(jobs)).length];
  };
  expect([await alive("Allow"), await alive("Forbid"), await alive("Replace")]).toEqual([
    [3, 3],
    [1, 1],
    [1, 1],
  ]);
});

test("suspended, it does nothing", async () => {
  const world = await running({ suspend: true });
  await world.pass(3 * 60_000);
  expect(await world.list(jobs)).toEqual([]);
});
