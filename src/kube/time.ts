/** Times and durations as they stand in objects and flags: RFC 3339 and Go's duration text. Pure; the clock is src/env's. */

const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * @param text RFC 3339; fractions of a second count, to the millisecond
 * @returns milliseconds since 1970; undefined for null, absent, zero ("0001-01-01T00:00:00Z") and unreadable times
 */
export function parseTime(text: string | null | undefined): number | undefined {
  if (typeof text !== "string") return undefined;
  return parsePlain(text) ?? parseAny(text);
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

/** "2024-05-01T10:00:00Z", as Kubernetes itself writes times: read a thousand times a plan. undefined: not of this form, or out of range. */
function parsePlain(text: string): number | undefined {
  if (
    text.length !== 20 ||
    text[4] !== "-" ||
    text[7] !== "-" ||
    text[10] !== "T" ||
    text[13] !== ":" ||
    text[16] !== ":" ||
    text[19] !== "Z"
  )
    return undefined;
  const [month, day, hour, minute, second] = [pair(text, 5), pair(text, 8), pair(text, 11), pair(text, 14), pair(text, 17)];
  const year = pair(text, 0) * 100 + pair(text, 2);
  // Written so that a NaN, from anything but digits, fails as well. The 29th of February is left to the thorough reading.
  if (!(year >= 1000 && month >= 1 && month <= 12 && day >= 1 && hour <= 23 && minute <= 59 && second <= 60)) return undefined;
  if (day > (monthDays[month - 1] as number)) return undefined;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function pair(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

function parseAny(text: string): number | undefined {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", zone = "Z"] = match.map((part) => part as string);
  const dateMs = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const date = new Date(dateMs);
  // Date.UTC turns an impossible date into another one; years below 100 mean 1900 to it, and the zero time is such a year.
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day) || date.getUTCFullYear() !== Number(year))
    return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const offsetMinutes = zone.length === 1 ? 0 : Number(`${zone[0]}1`) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6)));
  const millis = fraction === "" ? 0 : Math.trunc(Number(`0${fraction}`) * 1000);
  return dateMs + (Number(hour) * 60 + Number(minute) - offsetMinutes) * 60_000 + Number(second) * 1000 + millis;
}

/** As Kubernetes writes `Time`: UTC, whole seconds. */
export function formatTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

/** As Kubernetes writes `MicroTime`: UTC, six decimals. */
export function formatMicroTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 23)}000Z`;
}

const unitMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const durationPart = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/**
 * @param text a Go duration: "1m30s", "300ms", "1.5h", "0"
 * @returns milliseconds; undefined when unreadable
 */
export function parseDuration(text: string): number | undefined {
  const negative = text.startsWith("-");
  const rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  let sumMs = 0;
  durationPart.lastIndex = 0;
  let at = 0;
  while (at < rest.length) {
    const match = durationPart.exec(rest);
    if (match === null) return undefined;
    sumMs += Number(match[1]) * (unitMs[match[2] as string] as number);
    at = durationPart.lastIndex;
  }
  if (at === 0) return undefined;
  return negative ? -sumMs : sumMs;
}

/** As Go prints a duration: "1m30s", "1h0m0s", "300ms", "0s". */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  const sign = durationMs < 0 ? "-" : "";
  const totalMs = Math.abs(durationMs);
  if (totalMs < 0.001) return `${sign}${trimmed(totalMs * 1e6)}ns`;
  if (totalMs < 1) return `${sign}${trimmed(totalMs * 1000)}µs`;
  if (totalMs < 1000) return `${sign}${trimmed(totalMs)}ms`;
  const hours = Math.floor(totalMs / 3_600_000);
  const minutes = Math.floor((totalMs % 3_600_000) / 60_000);
  const seconds = trimmed((totalMs % 60_000) / 1000);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

/** Nine decimals at most, none that are zero. */
function trimmed(value: number): string {
  return String(Number(value.toFixed(9)));
}
