/** Counts that may be given as a share of something: 3, "25%", "12.5%". */
import type { IntOrString } from "./types.ts";

export type IntOrPercent =
  | { readonly kind: "count"; readonly count: number }
  /** `numerator / denominator` percent, exactly: 12.5 % is 125 / 10. */
  | { readonly kind: "percent"; readonly numerator: bigint; readonly denominator: bigint };

export type Rounding = "up" | "down";

const percentShape = /^([+-]?)(\d{1,15})(?:\.(\d{1,15}))?%$/;

/**
 * @param value a JSON number without fraction, or a decimal number followed by "%"; a plain number as a string is refused, as in
 * Kubernetes' rollout fields
 * @returns undefined when it is neither
 */
export function parseIntOrPercent(value: unknown): IntOrPercent | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? { kind: "count", count: value } : undefined;
  const match = typeof value === "string" ? percentShape.exec(value) : null;
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = ""] = match;
  const numerator = BigInt(whole + fraction) * (sign === "-" ? -1n : 1n);
  return { kind: "percent", numerator, denominator: 10n ** BigInt(fraction.length) };
}

/**
 * The value as a count; a percentage is of `total`.
 * @returns undefined when absent or unreadable; may be negative or above `total`
 */
export function scaledCount(value: unknown, total: number, rounding: Rounding): number | undefined {
  const parsed = parseIntOrPercent(value);
  if (parsed === undefined) return undefined;
  if (parsed.kind === "count") return parsed.count;
  const dividend = parsed.numerator * BigInt(total);
  const divisor = parsed.denominator * 100n;
  const truncated = dividend / divisor;
  if (truncated * divisor === dividend) return Number(truncated);
  const positive = dividend > 0n;
  if (rounding === "up") return Number(positive ? truncated + 1n : truncated);
  return Number(positive ? truncated : truncated - 1n);
}

/** Like `scaledCount`, with what an absent or unreadable value means. */
export function scaledCountOr(value: unknown, total: number, rounding: Rounding, otherwise: IntOrString): number {
  return scaledCount(value, total, rounding) ?? scaledCount(otherwise, total, rounding) ?? 0;
}

/**
 * How many pods stay on the old revision. A percentage is of `replicas`, rounded up; only "100%" may hold them all.
 * @param partition a count or "25%", as written by the user; absent means 0
 * @param replicas absent means 1
 * @returns pods, in [0, replicas]: ("25%", 10) → 3, ("99%", 4) → 3, ("100%", 4) → 4; an unreadable value counts as 0, since admission
 * has refused it already
 */
export function partitionCount(partition: IntOrString | null | undefined, replicas: number | undefined = 1): number {
  const count = scaledCount(partition, replicas, "up") ?? 0;
  const almostAll = typeof partition === "string" && partition !== "100%" && replicas > 1 && count === replicas;
  return Math.max(0, Math.min(almostAll ? replicas - 1 : count, replicas));
}

export interface IntOrPercentRules {
  /** Accept "12.5%". */
  readonly decimals?: boolean;
}

/** Kubernetes reads such counts into 32 bits, and its schemas do not say so. */
const countMax = 2 ** 31 - 1;

/** Why a value is not a count ≥ 0 or a percentage ≥ 0 %, in Kubernetes' words; undefined when it is. Absent values are the caller's. */
export function intOrPercentProblem(value: unknown, { decimals = false }: IntOrPercentRules = {}): string | undefined {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) return "must be an integer or percentage (e.g '5%')";
    if (value > countMax) return `must be less than or equal to ${countMax}`;
    return value < 0 ? "must be greater than or equal to 0" : undefined;
  }
  if (typeof value !== "string") return "must be an integer or percentage (e.g '5%')";
  if ((decimals ? /^\d{1,15}(\.\d{1,15})?%$/ : /^\d{1,15}%$/).test(value)) return undefined;
  return `a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '${decimals ? "[0-9]+(\\.[0-9]+)?%" : "[0-9]+%"}')`;
}
