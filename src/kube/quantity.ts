/**
 * Resource quantities ("1500m", "2Gi", "1e3"): exact values, and the text that the API server would store for them.
 * A value is a whole number of nano units, the smallest amount Kubernetes knows; whatever is finer is rounded away from zero.
 */
export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

export interface Quantity {
  /** Billionths of one unit. */
  readonly nano: bigint;
  readonly format: QuantityFormat;
  /** The text as written, where the API server would keep it instead of printing its own. */
  readonly text?: string;
}

export const limits = {
  quantityTextMax: 256, // characters; no amount of anything needs more
  quantityExponentMax: 100, // decimal places either way; bounds the work that one short text can ask for
} as const;

const nanoPerUnit = 1_000_000_000n;
const nanoPerMilli = 1_000_000n;
/** Binary quantities are capped here, as in Kubernetes. */
const binaryMax = (2n ** 63n - 1n) * nanoPerUnit;

const decimalExponents: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const binaryExponents: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const decimalSuffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const binarySuffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const shape = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[+-]?\d*)$/;
const exponentSuffix = /^[eE]([+-]?\d+)$/;

export const zeroQuantity: Quantity = { nano: 0n, format: "DecimalSI", text: "0" };

/** Says why a text is no quantity, in Kubernetes' own words. */
export const quantityFormatError = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
export const quantitySuffixError = "unable to parse quantity's suffix";

interface Suffix {
  readonly format: QuantityFormat;
  readonly exponent: number;
}

function suffixOf(text: string): Suffix | undefined {
  if (Object.hasOwn(decimalExponents, text)) return { format: "DecimalSI", exponent: decimalExponents[text] as number };
  if (Object.hasOwn(binaryExponents, text)) return { format: "BinarySI", exponent: binaryExponents[text] as number };
  const exponent = exponentSuffix.exec(text)?.[1];
  if (exponent === undefined || exponent.length > 9) return undefined;
  return Math.abs(Number(exponent)) <= limits.quantityExponentMax ? { format: "DecimalExponent", exponent: Number(exponent) } : undefined;
}

/** Why `value` is no quantity; undefined when it is one. */
export function quantityProblem(value: unknown): string | undefined {
  if (parseQuantity(value) !== undefined) return undefined;
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string" || text.length > limits.quantityTextMax) return quantityFormatError;
  return shape.test(text.trim()) && text.trim() !== "" ? quantitySuffixError : quantityFormatError;
}

/**
 * @param value text, or a number as JSON allows it (`cpu: 2`)
 * @returns undefined for anything that is not a quantity
 */
export function parseQuantity(value: unknown): Quantity | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? parseText(String(value)) : undefined;
  if (typeof value !== "string" || value.length > limits.quantityTextMax) return undefined;
  return parseText(value.trim());
}

function parseText(text: string): Quantity | undefined {
  if (text === "0") return zeroQuantity;
  const match = text === "" ? null : shape.exec(text);
  const suffix = match === null ? undefined : suffixOf(match[4] as string);
  if (match === null || suffix === undefined) return undefined;
  const negative = match[1] === "-";
  const whole = (match[2] as string).replace(/^0+/, "") || "0";
  const fraction = match[3] ?? "";
  if (suffix.format === "BinarySI") {
    const readable = match[2] !== "" || fraction !== "" || suffix.exponent < 50;
    return readable ? parseBinary(text, negative, whole, fraction, suffix.exponent) : undefined;
  }
  const scale = suffix.exponent - fraction.length;
  const digits = whole + fraction;
  // Kubernetes reads a suffix without any digit as zero, unless the amount needs more than 64 bits or nano precision.
  if (scale < -9 && match[2] === "" && fraction === "") return undefined;
  const magnitude = scaleToNano(BigInt(digits), scale);
  const nano = negative ? -magnitude : magnitude;
  // Kubernetes keeps a text that is already in its canonical form, or close enough to it.
  const kept = digits.length <= 18 && scale >= -9 && scale % 3 === 0 && !digits.endsWith("000") && !digits.startsWith("0");
  return kept ? { nano, format: suffix.format, text } : { nano, format: suffix.format };
}

function parseBinary(text: string, negative: boolean, whole: string, fraction: string, exponent: number): Quantity {
  const factor = 1n << BigInt(exponent);
  if (fraction === "" && whole.length <= 14 - Math.trunc(exponent * 0.3)) {
    const magnitude = BigInt(whole);
    const nano = magnitude * factor * nanoPerUnit * (negative ? -1n : 1n);
    return (magnitude & 7n) === 0n ? { nano, format: "BinarySI" } : { nano, format: "BinarySI", text };
  }
  const exact = scaleToNano(BigInt(whole + fraction) * factor, -fraction.length);
  const magnitude = exact > binaryMax ? binaryMax : exact;
  const format = magnitude > 0n && magnitude < nanoPerUnit ? "DecimalSI" : "BinarySI";
  return { nano: negative ? -magnitude : magnitude, format };
}

/** digits × 10^scale in nano units, rounded up. */
function scaleToNano(digits: bigint, scale: number): bigint {
  const shift = scale + 9;
  return shift >= 0 ? digits * 10n ** BigInt(shift) : divideUp(digits, 10n ** BigInt(-shift));
}

/** Away from zero. */
function divideUp(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  if (quotient * by === value) return quotient;
  return value > 0n ? quotient + 1n : quotient - 1n;
}

/** As the API server would print it: the kept text, else the canonical form. */
export function quantityText(quantity: Quantity): string {
  return quantity.text ?? canonicalText(quantity.nano, quantity.format);
}

function canonicalText(nano: bigint, format: QuantityFormat): string {
  if (nano === 0n) return "0";
  const small = nano > -1024n * nanoPerUnit && nano < 1024n * nanoPerUnit;
  if (format === "BinarySI" && !small && nano % nanoPerUnit === 0n) return binaryText(nano / nanoPerUnit);
  let mantissa = nano;
  let thousands = -3;
  // Decimal suffixes end at E (10^18); an exponent has no such end.
  while (mantissa % 1000n === 0n && (format === "DecimalExponent" || thousands < 6)) {
    mantissa /= 1000n;
    thousands += 1;
  }
  if (format === "DecimalExponent") return thousands === 0 ? String(mantissa) : `${mantissa}e${thousands * 3}`;
  return `${mantissa}${decimalSuffixes[thousands + 3]}`;
}

function binaryText(units: bigint): string {
  let mantissa = units;
  let power = 0;
  while (mantissa % 1024n === 0n && power < binarySuffixes.length - 1) {
    mantissa /= 1024n;
    power += 1;
  }
  return `${mantissa}${binarySuffixes[power]}`;
}

/** Integers in the commonest units, whose text is kept as it is: no leading zero, no ending that would be shortened. */
const keptAsIs = /^(?:[1-9]\d{0,2}|[1-9]\d{3,11}(?<!000))m?$|^[1-9]\d{0,4}[KMG]i$/;

/** The text that the API server stores for a quantity; undefined when it is none. */
export function canonicalQuantity(value: unknown): string | undefined {
  if (typeof value === "string" && keptAsIs.test(value)) {
    const binary = value.endsWith("i");
    if (!binary || (Number.parseInt(value, 10) & 7) !== 0) return value;
  }
  const quantity = parseQuantity(value);
  return quantity === undefined ? undefined : quantityText(quantity);
}

export function isZero(quantity: Quantity): boolean {
  return quantity.nano === 0n;
}

/** Negative, zero or positive, as for Array.sort. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0;
}

/** Compares two values as they stand in an object; a missing or unreadable one counts as zero. */
export function compareQuantityValues(a: unknown, b: unknown): number {
  return compareQuantities(parseQuantity(a) ?? zeroQuantity, parseQuantity(b) ?? zeroQuantity);
}

/** The sum keeps the format of `a`, unless `a` is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano + b.nano, format: isZero(a) ? b.format : a.format };
}

export function subtractQuantities(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano - b.nano, format: isZero(a) ? b.format : a.format };
}

export function maxQuantity(a: Quantity, b: Quantity): Quantity {
  return compareQuantities(a, b) < 0 ? b : a;
}

/** Whole units, rounded away from zero. */
export function ceilToUnits(quantity: Quantity): bigint {
  return divideUp(quantity.nano, nanoPerUnit);
}

/** Whole thousandths, rounded away from zero. */
export function ceilToMilli(quantity: Quantity): bigint {
  return divideUp(quantity.nano, nanoPerMilli);
}

/** Rounded away from zero to whole thousandths: what the API server does to every resource amount it stores. */
export function roundUpToMilli(quantity: Quantity): Quantity {
  if (quantity.nano % nanoPerMilli === 0n) return quantity;
  return { nano: ceilToMilli(quantity) * nanoPerMilli, format: quantity.format };
}

export function quantityFromMilli(milli: bigint, format: QuantityFormat = "DecimalSI"): Quantity {
  return { nano: milli * nanoPerMilli, format };
}

export function quantityFromUnits(units: bigint, format: QuantityFormat = "DecimalSI"): Quantity {
  return { nano: units * nanoPerUnit, format };
}

/** For estimates and expressions; loses precision beyond 2^53. */
export function quantityToNumber(quantity: Quantity): number {
  const units = quantity.nano / nanoPerUnit;
  return Number(units) + Number(quantity.nano - units * nanoPerUnit) / 1e9;
}
