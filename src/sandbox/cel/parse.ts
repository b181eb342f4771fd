/** Expressions of CEL, as validation rules of custom kinds and match conditions of webhooks are written: from text to a tree. */

export type Expression =
  | { readonly op: "literal"; readonly value: null | boolean | bigint | number | string }
  | { readonly op: "name"; readonly name: string }
  | { readonly op: "field"; readonly on: Expression; readonly name: string; readonly optional: boolean }
  | { readonly op: "index"; readonly on: Expression; readonly index: Expression; readonly optional: boolean }
  | { readonly op: "call"; readonly name: string; readonly on: Expression | undefined; readonly args: readonly Expression[] }
  | { readonly op: "list"; readonly items: readonly Expression[] }
  | { readonly op: "map"; readonly entries: readonly (readonly [Expression, Expression])[] };

export class SyntaxProblem extends Error {}

export const parseLimits = {
  /** Parentheses, lists and calls within each other. */
  depthMax: 100,
  /** Characters of an expression. */
  lengthMax: 8000,
} as const;

interface Token {
  readonly type: "name" | "number" | "string" | "sign" | "end";
  readonly text: string;
  readonly at: number;
  readonly value?: bigint | number | string;
}

const pattern =
  /\s+|\/\/[^\n]*|(?<string>[bB]?[rR]?(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))|(?<number>0x[0-9a-fA-F]+u?|(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+)|\d+[uU]?)|(?<name>`[^`]+`|[_a-zA-Z]\w*)|(?<sign>\|\||&&|[<>=!]=|\.\?|\[\?|[-+*/%<>!?:.,()[\]{}])/y;

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07" };

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw new SyntaxProblem(`token recognition error at: '${text.slice(at, at + 10)}'`);
    const { string, number, name, sign } = match.groups ?? {};
    if (string !== undefined) tokens.push({ type: "string", text: string, at, value: stringValue(string) });
    else if (number !== undefined) tokens.push({ type: "number", text: number, at, value: numberValue(number) });
    else if (name !== undefined) tokens.push({ type: "name", text: name.replaceAll("`", ""), at });
    else if (sign !== undefined) tokens.push({ type: "sign", text: sign, at });
  }
  tokens.push({ type: "end", text: "<EOF>", at: text.length });
  return tokens;
}

function numberValue(text: string): bigint | number {
  if (text.startsWith("0x")) return BigInt(text.replace(/u$/, ""));
  return /[.eE]/.test(text) ? Number(text) : BigInt(text.replace(/[uU]$/, ""));
}

function stringValue(text: string): string {
  const [, prefix = "", quoted = ""] = /^([bBrR]*)([\s\S]*)$/.exec(text) ?? [];
  const width = quoted.startsWith('"""') || quoted.startsWith("'''") ? 3 : 1;
  const body = quoted.slice(width, -width);
  if (/r/i.test(prefix)) return body;
  return body.replaceAll(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]))/g,
    (_, x, u, long, octal, one) => {
      const hex: string | undefined = x ?? u ?? long;
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      return octal === undefined ? (escapes[one as string] ?? (one as string)) : String.fromCodePoint(Number.parseInt(octal as string, 8));
    },
  );
}

const relations: ReadonlySet<string> = new Set(["<", "<=", ">", ">=", "==", "!=", "in"]);

class Parser {
  #at = 0;
  #depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  whole(): Expression {
    const expression = this.#ternary();
    if (this.#next.type !== "end") throw this.#unexpected();
    return expression;
  }

  get #next(): Token {
    return this.tokens[this.#at] as Token;
  }

  #unexpected(): SyntaxProblem {
    return new SyntaxProblem(`Syntax error: unexpected '${this.#next.text}' at ${this.#next.at + 1}`);
  }

  #isSign(text: string): boolean {
    return this.#next.type === "sign" && this.#next.text === text;
  }
  #take(text: string): boolean {
    if (!this.#isSign(text)) return false;
    this.#at += 1;
    return true;
  }
  #expect(text: string): void {
    if (!this.#take(text)) throw this.#unexpected();
  }

  #ternary(): Expression {
    this.#depth += 1;
    if (this.#depth > parseLimits.depthMax) throw new SyntaxProblem("expression recursion limit exceeded");
    const condition = this.#or();
    let result = condition;
    if (this.#take("?")) {
      const then = this.#or();
      this.#expect(":");
      result = call("?:", condition, then, this.#ternary());
    }
    this.#depth -= 1;
    return result;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#take("||")) left = call("||", left, this.#and());
    return left;
  }

  #and(): Expression {
    let left = this.#relation();
    while (this.#take("&&")) left = call("&&", left, this.#relation());
    return left;
  }

  #relation(): Expression {
    let left = this.#sum();
    while (relations.has(this.#next.text) && (this.#next.type === "sign" || this.#next.text === "in")) {
      const { text } = this.#next;
      this.#at += 1;
      left = call(text, left, this.#sum());
    }
    return left;
  }

  #sum(): Expression {
    let left = this.#product();
    for (;;) {
      if (this.#take("+")) left = call("+", left, this.#product());
      else if (this.#take("-")) left = call("-", left, this.#product());
      else return left;
    }
  }

  #product(): Expression {
    let left = this.#unary();
    for (;;) {
      const sign = ["*", "/", "%"].find((text) => this.#take(text));
      if (sign === undefined) return left;
      left = call(sign, left, this.#unary());
    }
  }

  #unary(): Expression {
    const signs: string[] = [];
    for (;;) {
      if (this.#take("!")) signs.push("!");
      else if (this.#take("-")) signs.push("negate");
      else break;
    }
    return signs.reduceRight((inner, name) => call(name, inner), this.#member());
  }

  #member(): Expression {
    let on = this.#primary();
    for (;;) {
      if (this.#isSign(".") || this.#isSign(".?")) {
        const optional = this.#take(".?");
        if (!optional) this.#expect(".");
        if (this.#next.type !== "name") throw this.#unexpected();
        const name = this.#next.text;
        this.#at += 1;
        on = !optional && this.#take("(") ? { op: "call", name, on, args: this.#list(")") } : { op: "field", on, name, optional };
      } else if (this.#isSign("[") || this.#isSign("[?")) {
        const optional = this.#take("[?");
        if (!optional) this.#expect("[");
        on = { op: "index", on, index: this.#ternary(), optional };
        this.#expect("]");
      } else return on;
    }
  }

  #primary(): Expression {
    const token = this.#next;
    this.#at += 1;
    if (token.type === "number" || token.type === "string") return { op: "literal", value: token.value ?? null };
    if (token.type === "name") return this.#named(token.text);
    if (token.text === "(") {
      const inner = this.#ternary();
      this.#expect(")");
      return inner;
    }
    if (token.text === "[") return { op: "list", items: this.#list("]") };
    if (token.text === "{") return { op: "map", entries: this.#entries() };
    // A leading dot names what is outermost, where everything is here.
    if (token.text === "." && this.#next.type === "name") return this.#primary();
    this.#at -= 1;
    throw this.#unexpected();
  }

  #named(name: string): Expression {
    if (name === "true" || name === "false") return { op: "literal", value: name === "true" };
    if (name === "null") return { op: "literal", value: null };
    return this.#take("(") ? { op: "call", name, on: undefined, args: this.#list(")") } : { op: "name", name };
  }

  #list(end: string): Expression[] {
    const items: Expression[] = [];
    while (!this.#take(end)) {
      items.push(this.#ternary());
      if (!this.#isSign(end)) this.#expect(",");
    }
    return items;
  }

  #entries(): (readonly [Expression, Expression])[] {
    const entries: (readonly [Expression, Expression])[] = [];
    while (!this.#take("}")) {
      const key = this.#ternary();
      this.#expect(":");
      entries.push([key, this.#ternary()]);
      if (!this.#isSign("}")) this.#expect(",");
    }
    return entries;
  }
}

function call(name: string, ...args: readonly Expression[]): Expression {
  return { op: "call", name, on: undefined, args };
}

/** @throws SyntaxProblem */
export function parseExpression(text: string): Expression {
  if (text.length > parseLimits.lengthMax)
    throw new SyntaxProblem(`expression code point size exceeds limit: size: ${text.length}, limit ${parseLimits.lengthMax}`);
  return new Parser(tokensOf(text)).whole();
}

/** Whether the name is read anywhere: rules that read `oldSelf` are for updates only. */
export function reads(expression: Expression, name: string): boolean {
  switch (expression.op) {
    case "literal":
      return false;
    case "name":
      return expression.name === name;
    case "field":
      return reads(expression.on, name);
    case "index":
      return reads(expression.on, name) || reads(expression.index, name);
    case "call":
      return (expression.on !== undefined && reads(expression.on, name)) || expression.args.some((arg) => reads(arg, name));
    case "list":
      return expression.items.some((item) => reads(item, name));
    case "map":
      return expression.entries.some(([key, value]) => reads(key, name) || reads(value, name));
  }
}
