import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, formatMicroTime, formatTime, parseDuration, parseTime } from "./time.ts";

test.each<[string | null | undefined, number | undefined]>([
  ["2024-05-01T10:00:00Z", Date.UTC(2024, 4, 1, 10)],
  ["2024-05-01t10:00:00z", Date.UTC(2024, 4, 1, 10)],
  ["2024-05-01T12:00:00+02:00", Date.UTC(2024, 4, 1, 10)],
  ["2024-05-01T08:30:00-01:30", Date.UTC(2024, 4, 1, 10)],
  ["2024-05-01T10:00:00.123456Z", Date.UTC(2024, 4, 1, 10, 0, 0, 123)],
  ["2024-02-30T10:00:00Z", undefined],
  ["2024-13-01T10:00:00Z", undefined],
  ["2024-05-01T24:00:00Z", undefined],
  ["2024-05-01", undefined],
  ["0001-01-01T00:00:00Z", undefined],
  ["", undefined],
  [null, undefined],
  [undefined, undefined],
])("%p is %p", (text, timeMs) => expect(parseTime(text)).toBe(timeMs as number));

test("times survive the trip, at the precision of the wire", () =>
  fc.assert(
    fc.property(fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(2200, 0, 1) }), (timeMs) => {
      expect(parseTime(formatTime(timeMs))).toBe(Math.floor(timeMs / 1000) * 1000);
      expect(parseTime(formatMicroTime(timeMs))).toBe(timeMs);
    }),
  ));

test("the wire's form", () => {
  expect(formatTime(Date.UTC(2024, 4, 1, 10, 0, 0, 999))).toBe("2024-05-01T10:00:00Z");
  expect(formatMicroTime(Date.UTC(2024, 4, 1, 10, 0, 0, 5))).toBe("2024-05-01T10:00:00.005000Z");
});

test.each<[string, number | undefined, string]>([
  ["1m30s", 90_000, "1m30s"],
  ["1.5h", 5_400_000, "1h30m0s"],
  ["300ms", 300, "300ms"],
  ["0", 0, "0s"],
  ["0s", 0, "0s"],
  ["-2m", -120_000, "-2m0s"],
  ["+5s", 5000, "5s"],
  ["1h", 3_600_000, "1h0m0s"],
  ["1.5s", 1500, "1.5s"],
  ["10us", 0.01, "10µs"],
  ["3µs", 0.003, "3µs"],
  ["7ns", 0.000007, "7ns"],
  [".5s", 500, "500ms"],
  ["", undefined, ""],
  ["5", undefined, ""],
  ["s", undefined, ""],
  ["1m 30s", undefined, ""],
  ["1d", undefined, ""],
])("%p is %p ms, printed %p", (text, durationMs, printed) => {
  expect(parseDuration(text)).toBe(durationMs as number);
  if (durationMs !== undefined) expect(formatDuration(durationMs)).toBe(printed);
});

test("durations survive the trip", () =>
  fc.assert(
    fc.property(fc.integer({ min: -1e10, max: 1e10 }), (durationMs) =>
      expect(parseDuration(formatDuration(durationMs))).toBeCloseTo(durationMs, 3),
    ),
  ));
