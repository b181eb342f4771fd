/** The regular expressions of RE2, as Go reads them, into a tree. What RE2 refuses (look-around, back references) is refused here. */

/** One character of a set: any of the ranges or tests, or none of them. */
export interface CharacterSet {
  readonly ranges: readonly (readonly [number, number])[];
  readonly tests: readonly ((point: number) => boolean)[];
  readonly negated: boolean;
  /** Upper and lower case are the same. */
  readonly folded: boolean;
}
export type Assertion = "begin" | "end" | "beginLine" | "endLine" | "word" | "notWord";
export type Node =
  | { readonly kind: "empty" }
  | { readonly kind: "set"; readonly set: CharacterSet }
  | { readonly kind: "assert"; readonly what: Assertion }
  | { readonly kind: "all"; readonly nodes: readonly Node[] }
  | { readonly kind: "any"; readonly nodes: readonly Node[] }
  /** `max` absent: without end. */
  | { readonly kind: "repeat"; readonly node: Node; readonly min: number; readonly max?: number };

export const re2Limits = {
  textMax: 4096, // characters of an expression; those that people write are far shorter
  depthMax: 1000, // groups within groups, as in Go
  repeatMax: 1000, // as in RE2
} as const;

/** Why an expression is refused. Thrown inside this file and re2.ts only. */
export class Re2Error extends Error {}

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

type Range = readonly [number, number];
const digit: readonly Range[] = [[48, 57]];
const wordRanges: readonly Range[] = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
const space: readonly Range[] = [
  [9, 10],
  [12, 13],
  [32, 32],
];
const perl: Readonly<Record<string, readonly Range[]>> = { d: digit, w: wordRanges, s: space };
const posix: Readonly<Record<string, readonly Range[]>> = {
  alnum: [
    [48, 57],
    [65, 90],
    [97, 122],
  ],
  alpha: [
    [65, 90],
    [97, 122],
  ],
  ascii: [[0, 127]],
  blank: [
    [9, 9],
    [32, 32],
  ],
  cntrl: [
    [0, 31],
    [127, 127],
  ],
  digit,
  graph: [[33, 126]],
  lower: [[97, 122]],
  print: [[32, 126]],
  punct: [
    [33, 47],
    [58, 64],
    [91, 96],
    [123, 126],
  ],
  space: [
    [9, 13],
    [32, 32],
  ],
  upper: [[65, 90]],
  word: wordRanges,
  xdigit: [
    [48, 57],
    [65, 70],
    [97, 102],
  ],
};
const controls: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
const pointMax = 0x10ffff;

export function isWordPoint(point: number): boolean {
  return inRanges(wordRanges, point);
}

export function inRanges(ranges: readonly Range[], point: number): boolean {
  return ranges.some(([from, to]) => point >= from && point <= to);
}

/** @throws Re2Error */
export function parseRe2(text: string): Node {
  if (text.length > re2Limits.textMax) throw new Re2Error(`longer than ${re2Limits.textMax} characters`);
  return new Parser([...text]).whole();
}

class Parser {
  private at = 0;
  private depth = 0;

  constructor(private readonly characters: readonly string[]) {}

  whole(): Node {
    const node = this.alternatives({ i: false, m: false, s: false });
    if (this.at < this.characters.length) throw new Re2Error("unexpected )");
    return node;
  }

  private looksAt(text: string): boolean {
    return this.characters.slice(this.at, this.at + text.length).join("") === text;
  }

  private take(text: string): boolean {
    if (!this.looksAt(text)) return false;
    this.at += text.length;
    return true;
  }

  /** Until the end of the group; flags set inside hold until there. */
  private alternatives(given: Flags): Node {
    this.depth += 1;
    if (this.depth > re2Limits.depthMax) throw new Re2Error("expression nests too deeply");
    let flags = given;
    const branches: Node[] = [];
    let branch: Node[] = [];
    while (this.at < this.characters.length && !this.looksAt(")")) {
      if (this.take("|")) {
        branches.push(all(branch));
        branch = [];
        continue;
      }
      const set = this.flagsOnly(flags);
      if (set !== undefined) flags = set;
      else branch.push(...this.repeated(flags));
    }
    this.depth -= 1;
    branches.push(all(branch));
    return branches.length === 1 ? (branches[0] as Node) : { kind: "any", nodes: branches };
  }

  /** `(?i)` and the like: the flags from here on; undefined when something else stands here. */
  private flagsOnly(flags: Flags): Flags | undefined {
    const match = /^\(\?([imsU]*)(-[imsU]+)?\)/.exec(this.characters.slice(this.at, this.at + 16).join(""));
    if (match === null || `${match[1]}${match[2] ?? ""}` === "") return undefined;
    this.at += match[0].length;
    return withFlags(flags, match[1] as string, match[2] ?? "");
  }

  private repeated(flags: Flags): Node[] {
    const nodes = this.atom(flags);
    const operator = this.repetition();
    if (operator === undefined) return nodes;
    const last = nodes.pop();
    if (last === undefined) throw new Re2Error("missing argument to repetition operator");
    this.take("?");
    if (this.repetition() !== undefined) throw new Re2Error("invalid nested repetition operator");
    return [...nodes, { kind: "repeat", node: last, ...operator }];
  }

  private repetition(): { min: number; max?: number } | undefined {
    if (this.take("*")) return { min: 0 };
    if (this.take("+")) return { min: 1 };
    if (this.take("?")) return { min: 0, max: 1 };
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.characters.slice(this.at, this.at + 24).join(""));
    if (match === null) return undefined;
    this.at += match[0].length;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? undefined : Number(match[3]);
    if (min > re2Limits.repeatMax || (max ?? 0) > re2Limits.repeatMax || (max !== undefined && max < min))
      throw new Re2Error(`invalid repeat count: ${match[0]}`);
    return max === undefined ? { min } : { min, max };
  }

  private atom(flags: Flags): Node[] {
    const character = this.characters[this.at] as string;
    switch (character) {
      case "(":
        return [this.group(flags)];
      case "[":
        return [this.bracket(flags)];
      case "\\":
        return this.escape(flags);
      case "*":
      case "+":
      case "?":
        throw new Re2Error(`missing argument to repetition operator: ${character}`);
      default:
        this.at += 1;
    }
    if (character === ".")
      return [
        setOf(
          flags.s
            ? [[0, pointMax]]
            : [
                [0, 9],
                [11, pointMax],
              ],
          false,
        ),
      ];
    if (character === "^") return [{ kind: "assert", what: flags.m ? "beginLine" : "begin" }];
    if (character === "$") return [{ kind: "assert", what: flags.m ? "endLine" : "end" }];
    return [literal(character.codePointAt(0) as number, flags)];
  }

  private group(flags: Flags): Node {
    this.at += 1;
    let inside = flags;
    if (this.take("?")) {
      const name = /^(P?<[A-Za-z0-9_]+>)|^([imsU]*)(-[imsU]+)?:/.exec(this.characters.slice(this.at, this.at + 128).join(""));
      if (name === null) throw new Re2Error("invalid or unsupported Perl syntax: (?");
      this.at += name[0].length;
      if (name[1] === undefined) inside = withFlags(flags, name[2] ?? "", name[3] ?? "");
    }
    const node = this.alternatives(inside);
    if (!this.take(")")) throw new Re2Error("missing closing )");
    return node;
  }

  private escape(flags: Flags): Node[] {
    this.at += 1;
    const character = this.characters[this.at];
    if (character === undefined) throw new Re2Error("trailing backslash at end of expression");
    if (character === "Q") return this.quoted(flags);
    const assertion = ({ A: "begin", z: "end", b: "word", B: "notWord" } as const)[character as "A"];
    if (assertion !== undefined) {
      this.at += 1;
      return [{ kind: "assert", what: assertion }];
    }
    const group = this.escapedGroup();
    if (group !== undefined)
      return [{ kind: "set", set: { ranges: group.ranges, tests: group.tests, negated: group.negated, folded: false } }];
    return [literal(this.escapedPoint(), flags)];
  }

  private quoted(flags: Flags): Node[] {
    this.at += 1;
    const nodes: Node[] = [];
    while (this.at < this.characters.length && !this.take("\\E")) {
      nodes.push(literal((this.characters[this.at] as string).codePointAt(0) as number, flags));
      this.at += 1;
    }
    return nodes;
  }

  /** `\d`, `\W`, `\pL`, `\P{Greek}`, after the backslash; undefined when it is a single character. */
  private escapedGroup(): { ranges: readonly Range[]; tests: readonly ((point: number) => boolean)[]; negated: boolean } | undefined {
    const character = this.characters[this.at] as string;
    const ranges = perl[character.toLowerCase()];
    if (ranges !== undefined && /^[dwsDWS]$/.test(character)) {
      this.at += 1;
      return { ranges, tests: [], negated: character !== character.toLowerCase() };
    }
    if (character !== "p" && character !== "P") return undefined;
    const match = /^[pP](?:\{(\^?)([A-Za-z_]+)\}|([A-Z]))/.exec(this.characters.slice(this.at, this.at + 64).join(""));
    const name = match?.[2] ?? match?.[3];
    if (match === null || name === undefined) throw new Re2Error("invalid character class range");
    this.at += match[0].length;
    return { ranges: [], tests: [unicodeTest(name)], negated: (character === "P") !== (match[1] === "^") };
  }

  /** The character that an escape stands for, after the backslash. */
  private escapedPoint(): number {
    const character = this.characters[this.at] as string;
    const rest = this.characters.slice(this.at, this.at + 12).join("");
    const octal = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest);
    const hex = /^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,8})\})/.exec(rest);
    if (octal !== null) {
      this.at += octal[0].length;
      return Number.parseInt(octal[0], 8);
    }
    if (hex !== null) {
      this.at += hex[0].length;
      const point = Number.parseInt(hex[1] ?? (hex[2] as string), 16);
      if (point <= pointMax) return point;
    }
    const control = Object.hasOwn(controls, character) ? controls[character] : undefined;
    if (control === undefined && !/^[!-/:-@[-`{-~ ]$/.test(character)) throw new Re2Error(`invalid escape sequence: \\${character}`);
    this.at += 1;
    return control ?? (character.codePointAt(0) as number);
  }

  private bracket(flags: Flags): Node {
    this.at += 1;
    const negated = this.take("^");
    const ranges: Range[] = [];
    const tests: ((point: number) => boolean)[] = [];
    for (let first = true; first || !this.looksAt("]"); first = false) {
      if (this.at >= this.characters.length) throw new Re2Error("missing closing ]");
      const group = this.bracketGroup();
      if (group === undefined) ranges.push(this.bracketRange());
      else if (group.negated) tests.push((point) => !inRanges(group.ranges, point) && !group.tests.some((test) => test(point)));
      else {
        ranges.push(...group.ranges);
        tests.push(...group.tests);
      }
    }
    this.at += 1;
    // A negated set takes line ends as well, as in Go.
    return { kind: "set", set: { ranges, tests, negated, folded: flags.i } };
  }

  private bracketGroup() {
    if (this.looksAt("[:")) {
      const match = /^\[:(\^?)([a-z]+):\]/.exec(this.characters.slice(this.at, this.at + 16).join(""));
      if (match !== null) {
        const ranges = Object.hasOwn(posix, match[2] as string) ? posix[match[2] as string] : undefined;
        if (ranges === undefined) throw new Re2Error(`invalid character class range: ${match[0]}`);
        this.at += match[0].length;
        return { ranges, tests: [] as readonly ((point: number) => boolean)[], negated: match[1] === "^" };
      }
    }
    if (!this.looksAt("\\")) return undefined;
    this.at += 1;
    if (this.at >= this.characters.length) throw new Re2Error("missing closing ]");
    const group = this.escapedGroup();
    if (group === undefined) this.at -= 1;
    return group;
  }

  private bracketRange(): Range {
    const from = this.bracketPoint();
    const next = this.characters[this.at + 1];
    if (!this.looksAt("-") || next === undefined || next === "]") return [from, from];
    this.at += 1;
    const to = this.bracketPoint();
    if (to < from) throw new Re2Error(`invalid character class range: ${String.fromCodePoint(from)}-${String.fromCodePoint(to)}`);
    return [from, to];
  }

  private bracketPoint(): number {
    const character = this.characters[this.at];
    if (character === undefined) throw new Re2Error("missing closing ]");
    this.at += 1;
    if (character !== "\\") return character.codePointAt(0) as number;
    if (this.at >= this.characters.length) throw new Re2Error("missing closing ]");
    return this.escapedPoint();
  }
}

function all(nodes: readonly Node[]): Node {
  if (nodes.length === 1) return nodes[0] as Node;
  return nodes.length === 0 ? { kind: "empty" } : { kind: "all", nodes };
}

function setOf(ranges: readonly Range[], folded: boolean): Node {
  return { kind: "set", set: { ranges, tests: [], negated: false, folded } };
}

function literal(point: number, { i }: Flags): Node {
  return setOf([[point, point]], i);
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const value = (flag: "i" | "m" | "s"): boolean => (on.includes(flag) || flags[flag]) && !off.includes(flag);
  return { i: value("i"), m: value("m"), s: value("s") };
}

function unicodeTest(name: string): (point: number) => boolean {
  const property = name === "Any" ? name : name.length <= 2 ? `gc=${name}` : `Script=${name}`;
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^\\p{${property}}$`, "u");
  } catch {
    throw new Re2Error(`invalid character class range: \\p{${name}}`);
  }
  return (point) => pattern.test(String.fromCodePoint(point));
}
