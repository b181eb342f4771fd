import { describe, expect, test } from "bun:test";
import type { PodContainer } from "../containers/read.ts";
import { Ages } from "./ages.ts";

const hourMs = 3_600_000;
const machineMs = Date.UTC(2025, 0, 1);

/** The container `id` of p/app, as the runtime shows it. */
const container = (id: string, startedAtMs: number, state: PodContainer["state"] = "running") =>
  ({ name: "app", id, state, startedAtMs }) as PodContainer;
const of = (one: PodContainer) => new Map([[one.name, one]]);

describe("how long a container has been running", () => {
  test("is what the clock says, where nothing speaks against it", () => {
    const ages = new Ages();
    const app = container("1", machineMs - 5_000);
    ages.note("p", of(app), 100);
    expect(ages.runningForMs("p", app, machineMs, 100)).toBe(5_000);
    expect(ages.runningForMs("p", app, machineMs + 1_000, 1_100)).toBe(6_000);
    expect(new Ages().runningForMs("p", app, machineMs, 100)).toBe(5_000);
  });

  test("at least since it was seen: a clock that is behind", () => {
    const ages = new Ages();
    const app = container("1", machineMs + hourMs);
    ages.note("p", of(app), 100);
    expect(ages.runningForMs("p", app, machineMs, 100)).toBe(0);
    expect(ages.runningForMs("p", app, machineMs + 2_000, 2_100)).toBe(2_000);
  });

  test("at most since the one before it was there: a clock that is ahead", () => {
    const ages = new Ages();
    ages.note("p", of(container("1", machineMs - 2 * hourMs)), 1_000);
    ages.note("p", of(container("1", machineMs - 2 * hourMs, "exited")), 2_500);
    const next = container("2", machineMs - hourMs);
    ages.note("p", of(next), 3_000);
    expect(ages.runningForMs("p", next, machineMs, 3_000)).toBe(2_000);
    expect(ages.runningForMs("p", next, machineMs + 1_000, 4_000)).toBe(3_000);
  });

  test("of another pod's container nothing is known, and little of very many", () => {
    const ages = new Ages();
    const app = container("1", machineMs + hourMs);
    for (let pod = 0; pod < 3_000; pod += 1) ages.note(`p${pod}`, of(app), 0);
    expect(ages.runningForMs("p2999", app, machineMs, 500)).toBe(500);
    expect(ages.runningForMs("p0", app, machineMs, 500)).toBe(-hourMs);
  });
});
