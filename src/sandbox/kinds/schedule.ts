/** Schedules of CronJobs: five fields, a phrase such as "@daily", or "@every 90m". Pure. */
import { parseDuration } from "../../kube/time.ts";

export type Schedule =
  | { readonly everyMs: number }
  | {
      readonly minutes: ReadonlySet<number>;
      readonly hours: ReadonlySet<number>;
      readonly days: ReadonlySet<number>;
      readonly months: ReadonlySet<number>;
      readonly weekdays: ReadonlySet<number>;
      /** Both the day of the month and that of the week say something: one of them is enough. */
      readonly eitherDay: boolean;
    };

const phrases: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};
const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
/** A day that does not come in this many never comes: the 30th of February. */
const daysAheadMax = 366 * 5;

/** @returns what is wrong, as a text */
export function parseSchedule(text: string): Schedule | string {
  if (text.startsWith("@every ")) {
    const everyMs = parseDuration(text.slice("@every ".length));
    return everyMs === undefined ? `failed to parse duration ${text}` : { everyMs: Math.max(1000, Math.trunc(everyMs / 1000) * 1000) };
  }
  if (text.startsWith("@") && phrases[text] === undefined) return `unrecognized descriptor: ${text}`;
  const fields = (phrases[text] ?? text).trim().split(/\s+/);
  if (fields.length !== 5) return `expected exactly 5 fields, found ${fields.length}: [${fields.join(" ")}]`;
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  const read = [
    rangeOf(minute, 0, 59, []),
    rangeOf(hour, 0, 23, []),
    rangeOf(day, 1, 31, []),
    rangeOf(month, 1, 12, monthNames),
    rangeOf(weekday, 0, 6, dayNames),
  ];
  const problem = read.find((part) => typeof part === "string");
  if (typeof problem === "string") return problem;
  const [minutes, hours, days, months, weekdays] = read as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>];
  const open = (field: string) => field.startsWith("*") || field.startsWith("?");
  return { minutes, hours, days, months, weekdays, eitherDay: !open(day) && !open(weekday) };
}

/** "1-5/2,7", "*", "mon-fri" */
function rangeOf(field: string, least: number, most: number, names: readonly string[]): Set<number> | string {
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const match = /^(\*|\?|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(part);
    if (match === null) return `failed to parse int from ${part}`;
    const [, range = "", first, last, step] = match;
    const number = (text: string) => {
      const named = names.indexOf(text.toLowerCase());
      return named < 0 ? Number(text) : named + least;
    };
    const from = first === undefined ? least : number(first);
    const to = range === "*" || range === "?" ? most : last === undefined ? (step === undefined ? from : most) : number(last);
    if (Number.isNaN(from) || Number.isNaN(to)) return `failed to parse int from ${part}`;
    if (from < least) return `beginning of range (${from}) below minimum (${least}): ${part}`;
    if (to > most) return `end of range (${to}) above maximum (${most}): ${part}`;
    if (from > to) return `beginning of range (${from}) beyond end of range (${to}): ${part}`;
    if (step === "0") return `step of range should be a positive number: ${part}`;
    for (let value = from; value <= to; value += Number(step ?? 1)) values.add(value);
  }
  return values;
}

/** The first time after `afterMs`, in UTC. @returns undefined when there is none */
export function nextTime(schedule: Schedule, afterMs: number): number | undefined {
  if ("everyMs" in schedule) return Math.trunc(afterMs / 1000) * 1000 + schedule.everyMs;
  const fromMs = (Math.floor(afterMs / minuteMs) + 1) * minuteMs;
  const firstDayMs = Math.floor(fromMs / dayMs) * dayMs;
  for (let ahead = 0; ahead < daysAheadMax; ahead += 1) {
    const startMs = firstDayMs + ahead * dayMs;
    if (!isDay(schedule, new Date(startMs))) continue;
    for (const hour of [...schedule.hours].sort((a, b) => a - b))
      for (const minute of [...schedule.minutes].sort((a, b) => a - b)) {
        const atMs = startMs + (hour * 60 + minute) * minuteMs;
        if (atMs >= fromMs) return atMs;
      }
  }
  return undefined;
}

function isDay(schedule: Exclude<Schedule, { everyMs: number }>, day: Date): boolean {
  if (!schedule.months.has(day.getUTCMonth() + 1)) return false;
  const ofMonth = schedule.days.has(day.getUTCDate());
  const ofWeek = schedule.weekdays.has(day.getUTCDay());
  return schedule.eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek;
}
