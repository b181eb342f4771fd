import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  addQuantities,
  canonicalQuantity,
  ceilToMilli,
  ceilToUnits,
  compareQuantityValues,
  isZero,
  parseQuantity,
  type Quantity,
  quantityFormatError,
  quantityFromMilli,
  quantityProblem,
  quantitySuffixError,
  quantityText,
  quantityToNumber,
  roundUpToMilli,
  subtractQuantities,
} from "./quantity.ts";

const parsed = (text: string | number): Quantity => {
  const quantity = parseQuantity(text);
  if (quantity === undefined) throw new Error(`${text} is no quantity`);
  return quantity;
};

describe("stored text", () => {
  test.each([
    ["1000m", "1"],
    ["0.5", "500m"],
    ["1.5", "1500m"],
    ["1.500", "1.500"],
    ["12.345", "12.345"],
    ["2.000", "2"],
    ["1000", "1k"],
    ["1500", "1500"],
    ["1500000", "1500k"],
    ["0.1", "100m"],
    ["1024Mi", "1Gi"],
    ["1000Mi", "1000Mi"],
    ["2048Ki", "2Mi"],
    ["1.5Gi", "1536Mi"],
    ["0.5Gi", "512Mi"],
    ["0.1Gi", "107374182400m"],
    ["1.5G", "1500M"],
    ["1000k", "1M"],
    ["1e3", "1e3"],
    ["12e2", "1200"],
    ["100000m", "100"],
    ["+1", "+1"],
    ["001", "001"],
    ["0", "0"],
    ["0.0", "0"],
    ["-0", "0"],
    ["0Ki", "0"],
    ["00m", "0"],
    ["1n", "1n"],
    ["0.5n", "1n"],
    ["-0.5n", "-1n"],
    ["-5Mi", "-5Mi"],
    ["8Mi", "8Mi"],
    ["8", "8"],
    ["1e-3", "1e-3"],
    ["1E3", "1E3"],
    ["1E", "1E"],
    ["1e1", "10"],
    ["1e+3", "1e+3"],
    ["100Ki", "100Ki"],
    ["512Ki", "512Ki"],
    ["0.5Ki", "512"],
    ["1023.5Ki", "1048064"],
    ["99999999999999999999", "99999999999999999999"],
    ["9Ei", "9223372036854775807"],
    [".5", "500m"],
    ["1.", "1."],
    [" 2 ", "2"],
  ])("%s is stored as %s", (text, stored) => expect(canonicalQuantity(text)).toBe(stored));

  test("a JSON number is read like its text", () => {
    expect(canonicalQuantity(2)).toBe("2");
    expect(canonicalQuantity(0.5)).toBe("500m");
  });

  test("whatever was stored stays as it is", () =>
    fc.assert(
      fc.property(anyQuantity, (text) => {
        const once = canonicalQuantity(text);
        expect(once).toBeDefined();
        expect(compareQuantityValues(once, text)).toBe(0);
        expect(quantityText(parsed(once as string))).toBe(once as string);
      }),
    ));
});

test.each([
  ["", quantityFormatError],
  ["abc", quantityFormatError],
  ["1 0", quantityFormatError],
  ["1Mi5", quantitySuffixError],
  ["1ki", quantitySuffixError],
  ["1e", quantitySuffixError],
  ["5-3", quantitySuffixError],
  ["1e101", quantitySuffixError],
  ["1e99999999999", quantitySuffixError],
  [`1${"0".repeat(300)}`, quantityFormatError],
  [null, quantityFormatError],
  [{}, quantityFormatError],
  [Number.NaN, quantityFormatError],
])("%p is refused", (value, why) => {
  expect(parseQuantity(value)).toBeUndefined();
  expect(quantityProblem(value)).toBe(why);
});

test("no text makes the parser throw", () => fc.assert(fc.property(fc.anything(), (value) => void canonicalQuantity(value))));

test("arithmetic is exact", () => {
  expect(quantityText(addQuantities(parsed("100m"), parsed("900m")))).toBe("1");
  expect(quantityText(addQuantities(parsed("0"), parsed("1Gi")))).toBe("1Gi");
  expect(quantityText(subtractQuantities(parsed("2Gi"), parsed("1024Mi")))).toBe("1Gi");
  expect(ceilToUnits(parsed("1500m"))).toBe(2n);
  expect(ceilToUnits(parsed("-1500m"))).toBe(-2n);
  expect(ceilToMilli(parsed("1.5n"))).toBe(1n);
  expect(quantityText(roundUpToMilli(parsed("1500u")))).toBe("2m");
  expect(quantityText(roundUpToMilli(parsed("1.500")))).toBe("1.500");
  expect(quantityText(quantityFromMilli(1500n))).toBe("1500m");
  expect(quantityToNumber(parsed("1500m"))).toBe(1.5);
  expect(isZero(parsed("0.000"))).toBe(true);
  expect(compareQuantityValues(undefined, "0")).toBe(0);
  expect(compareQuantityValues("1Gi", "1G")).toBe(1);
  expect(compareQuantityValues("1", "1000m")).toBe(0);
});

const digits = fc.stringMatching(/^\d{1,12}$/);
const anyQuantity = fc
  .tuple(
    fc.constantFrom("", "-", "+"),
    digits,
    fc.option(fc.stringMatching(/^\d{0,8}$/)),
    fc.constantFrom("", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-2", "E1"),
  )
  .map(([sign, whole, fraction, suffix]) => `${sign}${whole}${fraction === null ? "" : `.${fraction}`}${suffix}`);

test("the commonest texts cost a microsecond or two", () => {
  const texts = ["100m", "1", "512Mi", "1Gi", "250m"];
  const startNs = Bun.nanoseconds();
  for (let index = 0; index < 100_000; index += 1) canonicalQuantity(texts[index % texts.length]);
  expect((Bun.nanoseconds() - startNs) / 1e6).toBeLessThan(1000);
});
