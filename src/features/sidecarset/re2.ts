/**
 * Matching RE2 expressions in time linear in the text. They come from users and are matched against names that other users choose, inside
 * the creation of pods: an engine that backtracks could be made to think for ever.
 */
import { type Assertion, type CharacterSet, inRanges, isWordPoint, type Node, parseRe2, Re2Error } from "./re2-parse.ts";

export interface Re2 {
  /** Whether any part of the text matches. */
  matches(text: string): boolean;
}
export type CompiledRe2 = { readonly ok: true; readonly re2: Re2 } | { readonly ok: false; readonly problem: string };

const instructionsMax = 20_000; // of one program; nested repetitions multiply
const compiledMax = 1024; // expressions remembered

type Instruction =
  | { readonly op: "set"; readonly set: CharacterSet }
  | { readonly op: "assert"; readonly what: Assertion }
  /** Goes on at both. */
  | { readonly op: "split"; first: number; second: number }
  | { readonly op: "jump"; to: number }
  | { readonly op: "match" };

const known = new Map<string, CompiledRe2>();

/** Remembers what it compiled. */
export function compileRe2(text: string): CompiledRe2 {
  const found = known.get(text);
  if (found !== undefined) return found;
  const compiled = compile(text);
  if (known.size >= compiledMax) known.clear();
  known.set(text, compiled);
  return compiled;
}

function compile(text: string): CompiledRe2 {
  try {
    const program: Instruction[] = [];
    emit(parseRe2(text), program);
    program.push({ op: "match" });
    return { ok: true, re2: { matches: (input) => run(program, input) } };
  } catch (error) {
    if (error instanceof Re2Error) return { ok: false, problem: `error parsing regexp: ${error.message}` };
    throw error;
  }
}

function emit(node: Node, program: Instruction[]): void {
  if (program.length > instructionsMax) throw new Re2Error("expression too large");
  switch (node.kind) {
    case "empty":
      return;
    case "set":
      program.push({ op: "set", set: node.set });
      return;
    case "assert":
      program.push({ op: "assert", what: node.what });
      return;
    case "all":
      for (const child of node.nodes) emit(child, program);
      return;
    case "any":
      emitAny(node.nodes, program);
      return;
    case "repeat":
      emitRepeat(node, program);
  }
}

function emitAny(nodes: readonly Node[], program: Instruction[]): void {
  const ends: { op: "jump"; to: number }[] = [];
  for (const [index, child] of nodes.entries()) {
    if (index === nodes.length - 1) {
      emit(child, program);
      break;
    }
    const split = { op: "split" as const, first: program.length + 1, second: 0 };
    program.push(split);
    emit(child, program);
    const end = { op: "jump" as const, to: 0 };
    program.push(end);
    ends.push(end);
    split.second = program.length;
  }
  for (const end of ends) end.to = program.length;
}

function emitRepeat({ node, min, max }: Extract<Node, { kind: "repeat" }>, program: Instruction[]): void {
  for (let count = 0; count < min; count += 1) emit(node, program);
  if (max === undefined) {
    const split = { op: "split" as const, first: program.length + 1, second: 0 };
    const start = program.push(split) - 1;
    emit(node, program);
    program.push({ op: "jump", to: start });
    split.second = program.length;
    return;
  }
  const splits: { second: number }[] = [];
  for (let count = min; count < max; count += 1) {
    const split = { op: "split" as const, first: program.length + 1, second: 0 };
    program.push(split);
    splits.push(split);
    emit(node, program);
  }
  for (const split of splits) split.second = program.length;
}

/** All threads of the program step together, one character at a time. */
function run(program: readonly Instruction[], text: string): boolean {
  const points = Array.from(text, (character) => character.codePointAt(0) as number);
  const marks = new Int32Array(program.length).fill(-1);
  let threads: number[] = [];
  for (let index = 0; index <= points.length; index += 1) {
    const waiting: number[] = [];
    // An unanchored search may begin anywhere.
    for (const start of [...threads, 0]) if (follow(program, start, points, index, marks, waiting)) return true;
    const point = points[index];
    if (point === undefined) return false;
    threads = [];
    for (const at of waiting) {
      const instruction = program[at] as Extract<Instruction, { op: "set" }>;
      if (contains(instruction.set, point)) threads.push(at + 1);
    }
  }
  return false;
}

/** Adds the sets that a thread waits at; true when it reaches the end. Each instruction is visited once a position. */
function follow(
  program: readonly Instruction[],
  start: number,
  points: readonly number[],
  index: number,
  marks: Int32Array,
  waiting: number[],
): boolean {
  const open = [start];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (marks[at] === index) continue;
    marks[at] = index;
    const instruction = program[at] as Instruction;
    switch (instruction.op) {
      case "match":
        return true;
      case "set":
        waiting.push(at);
        break;
      case "jump":
        open.push(instruction.to);
        break;
      case "split":
        open.push(instruction.second, instruction.first);
        break;
      case "assert":
        if (holds(instruction.what, points[index - 1], points[index])) open.push(at + 1);
    }
  }
  return false;
}

const lineEnd = 10;

function holds(what: Assertion, before: number | undefined, after: number | undefined): boolean {
  const isBoundary = (before !== undefined && isWordPoint(before)) !== (after !== undefined && isWordPoint(after));
  switch (what) {
    case "begin":
      return before === undefined;
    case "end":
      return after === undefined;
    case "beginLine":
      return before === undefined || before === lineEnd;
    case "endLine":
      return after === undefined || after === lineEnd;
    case "word":
      return isBoundary;
    case "notWord":
      return !isBoundary;
  }
}

function contains({ ranges, tests, negated, folded }: CharacterSet, point: number): boolean {
  const has = (candidate: number): boolean => inRanges(ranges, candidate) || tests.some((test) => test(candidate));
  return (has(point) || (folded && otherCases(point).some(has))) !== negated;
}

function otherCases(point: number): readonly number[] {
  const character = String.fromCodePoint(point);
  return [character.toLowerCase(), character.toUpperCase()].flatMap((text) =>
    [...text].length === 1 ? [text.codePointAt(0) as number] : [],
  );
}
