import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileSelector, isEmptySelector, matcherOf, requirementsText, selectorMatches, selectorText } from "./selector.ts";
import { selectorsLooselyOverlap, selectorsOverlap } from "./selector-overlap.ts";
import { parseSelector } from "./selector-text.ts";
import type { LabelSelector } from "./types.ts";

const expression = (key: string, operator: string, ...values: string[]): LabelSelector => ({
  matchExpressions: [{ key, operator, ...(values.length > 0 ? { values } : {}) }],
});

describe("matching", () => {
  test.each<[LabelSelector | null | undefined, Record<string, string> | undefined, boolean, string]>([
    [undefined, { a: "1" }, false, "absent matches nothing"],
    [null, {}, false, "absent matches nothing"],
    [{}, undefined, true, "empty matches everything"],
    [{ matchLabels: {}, matchExpressions: [] }, { a: "1" }, true, "empty matches everything"],
    [{ matchLabels: { a: "1" } }, { a: "1", b: "2" }, true, ""],
    [{ matchLabels: { a: "1" } }, { a: "2" }, false, ""],
    [{ matchLabels: { a: "" } }, {}, false, "the empty value is a value"],
    [expression("a", "In", "1", "2"), { a: "2" }, true, ""],
    [expression("a", "In", "1", "2"), undefined, false, ""],
    [expression("a", "In"), { a: "" }, false, "In nothing"],
    [expression("a", "NotIn", "1"), {}, true, "NotIn does not need the key"],
    [expression("a", "NotIn", "1"), { a: "1" }, false, ""],
    [expression("a", "Exists"), { a: "" }, true, ""],
    [expression("a", "DoesNotExist"), { a: "" }, false, ""],
    [expression("toString", "Exists"), {}, false, "only own labels are labels"],
    [expression("a", "Equals", "1"), { a: "1" }, false, "an unknown operator"],
  ])("%j on %j: %p %s", (selector, labels, matches) => expect(selectorMatches(selector, labels)).toBe(matches));

  test("an unknown operator is named", () => {
    expect(compileSelector(expression("a", "Equals", "1"))).toEqual({
      ok: false,
      problem: '"Equals" is not a valid label selector operator',
    });
  });

  test("emptiness", () => {
    expect(isEmptySelector({ matchLabels: {} })).toBe(true);
    expect(isEmptySelector(undefined)).toBe(true);
    expect(isEmptySelector({ matchLabels: { a: "" } })).toBe(false);
  });
});

describe("text", () => {
  test.each<[LabelSelector | undefined, string]>([
    [{ matchLabels: { b: "2", a: "1" } }, "a=1,b=2"],
    [{ matchLabels: { b: "2" }, matchExpressions: [{ key: "a", operator: "In", values: ["z", "y"] }] }, "a in (y,z),b=2"],
    [expression("a", "In", "x"), "a in (x)"],
    [expression("a", "NotIn", "x", "w"), "a notin (w,x)"],
    [expression("a", "Exists"), "a"],
    [expression("a", "DoesNotExist"), "!a"],
    [{}, ""],
    [undefined, ""],
  ])("%j is %p", (selector, text) => expect(selectorText(selector)).toBe(text));

  test.each([
    ["a=1", "a=1"],
    ["a==1", "a=1"],
    [" b != 2 , a in ( y , x ) ", "a in (x,y),b notin (2)"],
    ["a=", "a="],
    ["!a,b", "!a,b"],
    ["a in (1,)", "a in (,1)"],
    ["x.io/a notin (1)", "x.io/a notin (1)"],
    ["a=1,a=2", "a=1,a=2"],
    ["", ""],
  ])("%p reads as %p", (text, printed) => {
    const parsed = parseSelector(text);
    expect(parsed.ok && requirementsText(parsed.requirements)).toBe(printed);
  });

  test.each(["a=1,", ",", "a in", "a in 1", "a in (1", "a > 1", "!", "=1", "a b", "a!", "!a=1"])("%p is refused", (text) =>
    expect(parseSelector(text).ok).toBe(false),
  );

  test("two values asked of one key select nothing", () => {
    const parsed = parseSelector("a=1,a=2");
    expect(parsed.ok && parsed.selector).toEqual({
      matchLabels: { a: "1" },
      matchExpressions: [{ key: "a", operator: "In", values: ["2"] }],
    });
    expect(parsed.ok && selectorMatches(parsed.selector, { a: "1" })).toBe(false);
  });

  const key = fc.constantFrom("a", "b", "c.io/d");
  const values = fc.array(fc.constantFrom("x", "y", "z"), { minLength: 1, maxLength: 3 });
  const anySelector: fc.Arbitrary<LabelSelector> = fc.record({
    matchLabels: fc.dictionary(key, fc.constantFrom("x", "y")),
    matchExpressions: fc.array(
      fc.oneof(
        fc.record({ key, operator: fc.constantFrom("In", "NotIn"), values }),
        fc.record({ key, operator: fc.constantFrom("Exists", "DoesNotExist") }),
      ),
      { maxLength: 3 },
    ),
  });

  test("a selector means the same after a trip through its text", () =>
    fc.assert(
      fc.property(anySelector, fc.dictionary(key, fc.constantFrom("x", "y", "z")), (selector, labels) => {
        const parsed = parseSelector(selectorText(selector));
        expect(parsed.ok && matcherOf(parsed.requirements).matches(labels)).toBe(selectorMatches(selector, labels));
        expect(parsed.ok && selectorMatches(parsed.selector, labels)).toBe(selectorMatches(selector, labels));
      }),
    ));

  test("no text makes the parser throw", () => fc.assert(fc.property(fc.string(), (text) => void parseSelector(text))));
});

describe("overlap", () => {
  test.each<[LabelSelector, LabelSelector, boolean, string]>([
    [{ matchLabels: { a: "1" } }, { matchLabels: { a: "1" } }, true, "same"],
    [{ matchLabels: { a: "1" } }, { matchLabels: { a: "2" } }, false, "other value"],
    [{ matchLabels: { a: "1" } }, { matchLabels: { b: "1" } }, true, "other key"],
    [{ matchLabels: { a: "1" } }, expression("a", "NotIn", "1", "2"), false, "excluded"],
    [expression("a", "In", "1", "3"), expression("a", "NotIn", "1", "2"), true, "partly excluded"],
    [expression("a", "Exists"), expression("a", "In", "1"), true, "any value"],
    [expression("a", "Exists"), expression("a", "DoesNotExist"), false, "there or not"],
    [expression("a", "Exists"), { matchLabels: { b: "1" } }, false, "a known quirk"],
    [{}, expression("a", "DoesNotExist"), true, "nothing is known"],
  ])("%j and %j: %p, %s", (a, b, overlap) => {
    expect(selectorsOverlap(a, b)).toBe(overlap);
    expect(selectorsOverlap(b, a)).toBe(overlap);
  });

  test.each<[LabelSelector | undefined, LabelSelector, boolean, string]>([
    [{ matchLabels: { a: "1" } }, { matchLabels: { a: "1" } }, true, "same"],
    [{ matchLabels: { a: "1" } }, { matchLabels: { a: "1", b: "2" } }, false, "other keys, although they intersect"],
    [{ matchLabels: { a: "1" } }, expression("a", "In", "2", "1"), true, "shares a value"],
    [{ matchLabels: { a: "1" } }, expression("a", "In", "2"), false, "shares none"],
    [{ matchLabels: { a: "1" } }, expression("a", "NotIn", "1", "2"), false, "excluded"],
    [expression("a", "In", "1", "3"), expression("a", "NotIn", "1", "2"), true, "not all excluded"],
    [expression("a", "In", "1"), expression("a", "Exists"), true, ""],
    [expression("a", "In", "1"), expression("a", "DoesNotExist"), false, ""],
    [expression("a", "NotIn", "1"), expression("a", "NotIn", "2"), true, ""],
    [expression("a", "NotIn", "1"), expression("a", "DoesNotExist"), true, ""],
    [expression("a", "NotIn", "1"), expression("a", "Exists"), true, ""],
    [expression("a", "Exists"), expression("a", "Exists"), true, ""],
    [expression("a", "Exists"), expression("a", "DoesNotExist"), false, ""],
    [expression("a", "DoesNotExist"), expression("a", "DoesNotExist"), true, ""],
    [
      { matchLabels: { a: "1" }, matchExpressions: [{ key: "a", operator: "DoesNotExist" }] },
      { matchLabels: { a: "1" } },
      true,
      "matchLabels wins",
    ],
    [undefined, { matchLabels: { a: "1" } }, false, "absent matches nothing"],
  ])("loosely %j and %j: %p %s", (a, b, overlap) => {
    expect(selectorsLooselyOverlap(a, b)).toBe(overlap);
    expect(selectorsLooselyOverlap(b, a)).toBe(overlap);
  });
});
