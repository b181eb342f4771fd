/** The command line as kubectl's users type it. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type CliFlags, parseArgs } from "./args.ts";
import { firstWord } from "./command.ts";
import { pairsIn } from "./set/env.ts";

const flags = {
  namespace: { kind: "string", short: "n", help: "" },
  stdin: { kind: "boolean", short: "i", help: "" },
  tty: { kind: "boolean", short: "t", help: "" },
  watch: { kind: "boolean", default: true, help: "" },
  "dry-run": { kind: "string", default: "none", bare: "client", help: "" },
  filename: { kind: "list", short: "f", help: "" },
  env: { kind: "array", short: "e", help: "" },
  replicas: { kind: "integer", help: "" },
  timeout: { kind: "duration", help: "" },
} as const satisfies CliFlags;

test.each<[string, object, readonly string[]]>([
  ["-n shop web", { namespace: "shop" }, ["web"]],
  ["web -nshop", { namespace: "shop" }, ["web"]],
  ["-n=shop", { namespace: "shop" }, []],
  ["--namespace shop a b", { namespace: "shop" }, ["a", "b"]],
  ["-it pod", { stdin: true, tty: true }, ["pod"]],
  ["-itn shop", { stdin: true, tty: true, namespace: "shop" }, []],
  ["--watch=false x", { watch: false }, ["x"]],
  ["--watch false", { watch: true }, ["false"]],
  ["--dry-run x", { "dry-run": "client" }, ["x"]],
  ["--dry_run=server", { "dry-run": "server" }, []],
  ["-f a,b -f c", { filename: ["a", "b", "c"] }, []],
  ["-e A=1,2 -e B=3", { env: ["A=1,2", "B=3"] }, []],
  ["-f -", { filename: ["-"] }, []],
  ["--replicas 3 --timeout=1m30s", { replicas: 3, timeout: 90_000 }, []],
  ["-", {}, ["-"]],
])("%s", (line, values, words) => {
  const parsed = parseArgs(flags, line.split(" "));
  if (typeof parsed === "string") throw new Error(parsed);
  expect(parsed.values).toMatchObject(values);
  expect(parsed.words).toEqual(words);
});

test.each([
  ["--nope", "unknown flag: --nope"],
  ["-x", "unknown shorthand flag: 'x' in -x"],
  ["--namespace", "flag needs an argument: --namespace"],
  ["--replicas=x", 'invalid argument "x" for "--replicas" flag: expected a whole number'],
  ["--stdin=maybe", 'invalid argument "maybe" for "--stdin" flag: expected true or false'],
])("%s is refused", (line, problem) => {
  expect(parseArgs(flags, line.split(" "))).toBe(problem);
});

test("what follows -- is not ours", () => {
  expect(parseArgs(flags, ["pod", "-i", "--", "sh", "-c", "-n"])).toMatchObject({ words: ["pod"], rest: ["sh", "-c", "-n"] });
});

test("any words are answered", () => {
  fc.assert(fc.property(fc.array(fc.string()), (args) => void parseArgs(flags, args)));
});

test.each<[string, string | undefined, string]>([
  ["rollout status x", "rollout", "status x"],
  ["-n shop rollout status", "rollout", "status -n shop"],
  ["--as=me exec p -- ls -n", "exec", "p --as=me -- ls -n"],
  ["--help", undefined, "--help"],
])("the command in %s", (line, word, rest) => {
  expect(firstWord(line.split(" "))).toEqual({ word, rest: rest.split(" ") });
});

test("variables among the words", () => {
  expect(pairsIn(["cloneset/web", "A=1", "B-", "C=x=y"])).toEqual({
    pairs: [{ name: "A", value: "1" }, { remove: "B" }, { name: "C", value: "x=y" }],
    others: ["cloneset/web"],
  });
});
