import { expect, test } from "bun:test";
import fc from "fast-check";
import { compileRe2 } from "./re2.ts";

function matches(pattern: string, text: string): boolean {
  const compiled = compileRe2(pattern);
  if (!compiled.ok) throw new Error(compiled.problem);
  return compiled.re2.matches(text);
}

test.each<[string, string, boolean]>([
  [".*", "", true],
  ["^app", "app-1", true],
  ["^app", "my-app", false],
  ["app", "my-app", true],
  ["^key.*$", "other", false],
  ["^(app1|app2)$", "app2", true],
  ["^(app1|app2)$", "app3", false],
  ["a{2,3}$", "xaa", true],
  ["^a{2,3}$", "aaaa", false],
  ["^a{,3}$", "a{,3}", true],
  ["^[a-c]+[^d-z]$", "abc1", true],
  ["^[]a]$", "]", true],
  ["^[a-]$", "-", true],
  ["^[[:alpha:]]+$", "abC", true],
  ["^[[:^alpha:]]+$", "123", true],
  ["(?i)APP", "app", true],
  ["a(?i)b|c", "aC", true],
  ["(?i:A)b", "ab", true],
  ["(?i:A)b", "aB", false],
  ["(?P<name>x)y", "xy", true],
  ["^\\Qa.b\\E$", "a.b", true],
  ["^\\Qa.b\\E$", "axb", false],
  ["\\Aa\\z", "a", true],
  ["^\\x61\\x{62}\\143$", "abc", true],
  ["\\bapp\\b", "my app 1", true],
  ["\\bapp\\b", "myapp", false],
  ["^.$", "\n", false],
  ["(?s)^.$", "\n", true],
  ["(?m)^b$", "a\nb\nc", true],
  ["^\\pL+$", "äb", true],
  ["^\\p{Greek}$", "α", true],
  ["^\\P{Greek}$", "α", false],
  ["^(a|b)*?c$", "ababc", true],
  ["^[^a]$", "\n", true],
  ["istio\\.io/.*", "istio.io/rev", true],
])("%s on %j: %p", (pattern, text, expected) => expect(matches(pattern, text)).toBe(expected));

test.each([
  "(",
  ")",
  "a**",
  "*a",
  "a{1001}",
  "a{3,2}",
  "[a",
  "[b-a]",
  "(?=a)",
  "(?<!a)",
  "\\1",
  "\\k<a>",
  "a\\",
  "\\C",
  "\\pQ",
  "[[:foo:]]",
  "(?x)a",
  "(?:(?:a{1000}){1000})",
])("%s is refused", (pattern) => expect(compileRe2(pattern).ok).toBe(false));

test("where the dialects agree, so do we", () =>
  fc.assert(
    fc.property(
      fc.stringMatching(/^(?:[ab]|\[ab\]|\.|\(a\|b\)|b\?|a\*|\(ab\)\+){0,8}$/),
      fc.stringMatching(/^[abc]{0,10}$/),
      (pattern, text) => {
        expect(matches(pattern, text)).toBe(new RegExp(pattern).test(text));
      },
    ),
  ));

test("any text gets an answer", () =>
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."ab()[]{}|*+?^$\\.-,:0123<>Pi".split("")), maxLength: 20 }),
      fc.string({ maxLength: 10 }),
      (pattern, text) => {
        const compiled = compileRe2(pattern);
        if (compiled.ok) compiled.re2.matches(text);
      },
    ),
  ));

test("no expression makes a name expensive: with backtracking these would not end within the test's deadline", () => {
  expect(matches("(a+)+(a*)*$b", "a".repeat(63))).toBe(false);
  expect(matches("(x+x+)+y", "x".repeat(63))).toBe(false);
});
