/** Expressions as custom kinds and webhooks write them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { evaluate } from "./evaluate.ts";
import { parseExpression, reads, SyntaxProblem } from "./parse.ts";
import { Problem, Unsupported } from "./values.ts";

const names = {
  self: {
    replicas: 3,
    max: 5,
    name: "web-1",
    ratio: 0.5,
    list: [3, 1, 2],
    tags: ["a", "b"],
    parts: [
      { name: "x", size: 1 },
      { name: "y", size: 2 },
    ],
    labels: { app: "web", "example.com/x": "1" },
    cpu: "500m",
    wait: "1m30s",
    time: "2026-01-02T03:04:05Z",
    none: null,
  },
  oldSelf: { replicas: 2 },
};
const of = (text: string) => evaluate(parseExpression(text), names);

describe("true", () => {
  for (const text of [
    "self.replicas <= self.max && self.replicas >= 1",
    "self.replicas == 3 ? self.max > 4 : false",
    "!has(self.missing) && has(self.name)",
    "has(self.missing.deeper) || true",
    "self.missing == 1 || self.max == 5",
    "7 / 2 == 3 && 7 % 2 == 1 && -7 / 2 == -3 && 7.0 / 2.0 == 3.5",
    "1 + 2 * 3 - 4 == 3",
    "self.ratio < 1",
    "self.name.startsWith('web') && self.name.matches('^[a-z]+-[0-9]+$') && self.name.size() == 5",
    "size(self.list) == 3 && self.list.all(x, x > 0) && self.list.exists(x, x == 2) && self.list.exists_one(x, x == 1)",
    "self.list.map(x, x * 2) == [6, 2, 4] && self.list.filter(x, x > 1).size() == 2 && self.list.map(x, x > 1, x) == [3, 2]",
    "self.list.sum() == 6 && self.list.max() == 3 && !self.list.isSorted() && self.list.indexOf(1) == 1",
    "self.parts.exists(p, p.name == 'x' && p.size == 1)",
    "self.parts.all(p, self.parts.exists_one(q, q.name == p.name))",
    "'app' in self.labels && 'a' in self.tags && !('c' in self.tags)",
    "self.labels['example.com/x'] == '1' && self.labels.all(k, k.size() > 0)",
    "self.none == null && type(self.replicas) == int && type(self.name) == string",
    "int('5') == 5 && string(5) == '5' && double('1.5') == 1.5",
    "duration(self.wait) > duration('1m') && timestamp(self.time) < timestamp('2027-01-01T00:00:00Z')",
    "timestamp(self.time) + duration('1h') > timestamp(self.time) && timestamp(self.time).getFullYear() == 2026",
    "quantity(self.cpu).isLessThan(quantity('1')) && isQuantity('1Gi') && !isQuantity('x')",
    "'a,b,c'.split(',') == ['a', 'b', 'c'] && ['a', 'b'].join('-') == 'a-b' && 'Abc'.lowerAscii() == 'abc'",
    "'hello'.substring(1, 3) == 'el' && 'hello'.replace('l', 'L') == 'heLLo' && ' x '.trim() == 'x'",
    "self.?missing.orValue(4) == 4 && self.?replicas.orValue(4) == 3 && !self.?missing.hasValue()",
    "cel.bind(r, self.replicas, r + r == 6)",
    "'%s has %d'.format(['a', 2]) == 'a has 2'",
    "{'a': 1}.a == 1 && {'a': 1} == {'a': 1} && [1, 2] + [3] == [1, 2, 3]",
    'r"\\d" == "\\\\d" && """x""" == "x" && "\\u0041" == "A"',
    "isURL('https://example.com:8443/x') && url('https://example.com:8443/x').getHostname() == 'example.com'",
  ])
    test(text, () => expect(of(text)).toBe(true));
});

describe("problems", () => {
  for (const [text, says] of [
    ["self.missing", "no such key: missing"],
    ["self.list[9]", "index out of bounds: 9"],
    ["1 / 0", "division by zero"],
    ["'a' < 1", "no such overload"],
    ["self.nothing(1)", "undeclared reference to 'nothing'"],
    ["9223372036854775807 + 1", "integer overflow"],
    ["int(1.0 / 0.0)", "range error"],
    ["has()", "invalid argument to has() macro"],
  ] as const)
    test(text, () => expect(() => of(text)).toThrow(says));
  for (const text of ["1 +", "(1", "a b", "#", "[1,,2]", "'open"])
    test(`no expression: ${text}`, () => expect(() => parseExpression(text)).toThrow());
  test("too deep", () => expect(() => parseExpression("(".repeat(500))).toThrow("recursion limit"));
  test("without end", () => {
    const numbers = `[${Array.from({ length: 60 }, () => 1).join(",")}]`;
    expect(() => of(`${numbers}.all(a, ${numbers}.all(b, ${numbers}.all(c, ${numbers}.all(d, true))))`)).toThrow("cost limit");
  });
});

test("whatever is written, the answer is a value or a problem", () => {
  const piece = fc.constantFrom(
    "self",
    ".list",
    ".name",
    "[0]",
    "?",
    ":",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "(",
    ")",
    "1",
    "'a'",
    "==",
    " in ",
    ".all(x, x > 0)",
    ".size()",
    "[",
    "]",
    ",",
    "has(",
    ".?x",
    '"',
    "{",
    "}",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(piece, { maxLength: 12 }).map((parts) => parts.join("")),
        fc.string(),
      ),
      (text) => {
        try {
          of(text);
        } catch (error) {
          expect(error instanceof SyntaxProblem || error instanceof Problem || error instanceof Unsupported).toBe(true);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test("long and deep ones", () => {
  expect(of(`${"!".repeat(5000)}true`)).toBe(true);
  expect(of(Array.from({ length: 1500 }, () => "1").join(" + "))).toBe(1500n);
  expect(() => of("1 + ".repeat(3000))).toThrow(SyntaxProblem);
});

test("which names it reads", () => {
  expect(reads(parseExpression("self.list.all(x, x == oldSelf.replicas)"), "oldSelf")).toBe(true);
  expect(reads(parseExpression("self.oldSelf == {'oldSelf': 1}"), "oldSelf")).toBe(false);
});
