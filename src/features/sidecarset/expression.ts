/**
 * The expressions of resourcesPolicy: "max(cpu*50%, 50m)". A value is a number or an amount with a unit, which is exact to a thousandth.
 */
import {
  ceilToMilli,
  ceilToUnits,
  parseQuantity,
  type Quantity,
  type QuantityFormat,
  quantityFromMilli,
  quantityFromUnits,
} from "../../kube/quantity.ts";

export type Value =
  | { readonly kind: "number"; readonly number: number }
  | { readonly kind: "amount"; readonly milli: bigint; readonly format: QuantityFormat };
export type Evaluated = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly problem: string };

export interface Expression {
  readonly root: Tree;
  /** Numbers that cannot be read ("100MB", "1e"). They count as 0, as OpenKruise has them; admission refuses them. */
  readonly malformed: readonly string[];
}
export type ParsedExpression = { readonly ok: true; readonly expression: Expression } | { readonly ok: false; readonly problem: string };

type Tree =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "minus"; readonly of: Tree }
  | { readonly kind: "call"; readonly name: string; readonly first: Tree; readonly second: Tree }
  | { readonly kind: "binary"; readonly operator: Operator; readonly left: Tree; readonly right: Tree };
type Operator = "+" | "-" | "*" | "/";

export const expressionLimits = {
  textMax: 4096, // characters
  depthMax: 200, // brackets and signs within each other
  expressionsMax: 4096, // remembered
} as const;

class ExpressionError extends Error {}

type Token =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "sign"; readonly sign: string };

const numberToken = /(?:\d+(?:\.\d+)?|\.\d+)[A-Za-z0-9_.]*(?:(?<=\d[eE])[+-]\d+[A-Za-z0-9_.]*)?%?/y;
const plainNumber = /^(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?(%?)$/;
const amountText = /^(?:\d+(?:\.\d+)?|\.\d+)(?:[mkMGTP]|[KMGTP]i)$/;
const nameToken = /[A-Za-z_][A-Za-z0-9_]*/y;

const parsed = new Map<string, ParsedExpression>();

/** Remembers what it parsed. */
export function parseExpression(text: string): ParsedExpression {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const result = parse(text);
  if (parsed.size >= expressionLimits.expressionsMax) parsed.clear();
  parsed.set(text, result);
  return result;
}

function parse(text: string): ParsedExpression {
  try {
    if (text.length > expressionLimits.textMax) throw new ExpressionError(`longer than ${expressionLimits.textMax} characters`);
    const malformed: string[] = [];
    return { ok: true, expression: { root: new Parser(tokensOf(text, malformed)).whole(), malformed } };
  } catch (error) {
    if (error instanceof ExpressionError) return { ok: false, problem: error.message };
    throw error;
  }
}

function tokensOf(text: string, malformed: string[]): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    const character = text[at] as string;
    if (/\s/.test(character)) {
      at += 1;
      continue;
    }
    numberToken.lastIndex = at;
    nameToken.lastIndex = at;
    const number = numberToken.exec(text)?.[0];
    const name = number === undefined ? nameToken.exec(text)?.[0] : undefined;
    if (number !== undefined) tokens.push({ kind: "value", value: readNumber(number, malformed) });
    else if (name !== undefined) tokens.push({ kind: "name", name: name.toLowerCase() });
    else if ("+-*/(),".includes(character)) tokens.push({ kind: "sign", sign: character });
    else throw new ExpressionError(`unexpected character ${JSON.stringify(character)}`);
    at += (number ?? name ?? character).length;
  }
  return tokens;
}

function readNumber(text: string, malformed: string[]): Value {
  const percent = plainNumber.exec(text)?.[1];
  if (percent !== undefined) return percent === "" ? number(Number(text)) : number(Number(text.slice(0, -1)) / 100);
  const quantity = amountText.test(text) ? parseQuantity(text) : undefined;
  if (quantity !== undefined) return amountOf(quantity);
  malformed.push(text);
  return number(0);
}

function number(value: number): Value {
  return { kind: "number", number: value };
}

/** An amount, rounded up to thousandths. */
export function amountOf(quantity: Quantity): Value {
  return { kind: "amount", milli: ceilToMilli(quantity), format: quantity.format };
}

class Parser {
  private at = 0;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  whole(): Tree {
    const tree = this.sum();
    const rest = this.tokens[this.at];
    if (rest !== undefined) throw new ExpressionError(`unexpected ${tokenText(rest)}`);
    return tree;
  }

  private takeSign(...signs: readonly string[]): string | undefined {
    const token = this.tokens[this.at];
    if (token?.kind !== "sign" || !signs.includes(token.sign)) return undefined;
    this.at += 1;
    return token.sign;
  }

  private expectSign(sign: string): void {
    if (this.takeSign(sign) === undefined) throw new ExpressionError(`expected ${sign} instead of ${tokenText(this.tokens[this.at])}`);
  }

  private sum(): Tree {
    let left = this.product();
    for (let sign = this.takeSign("+", "-"); sign !== undefined; sign = this.takeSign("+", "-")) {
      left = { kind: "binary", operator: sign as Operator, left, right: this.product() };
    }
    return left;
  }

  private product(): Tree {
    let left = this.factor();
    for (let sign = this.takeSign("*", "/"); sign !== undefined; sign = this.takeSign("*", "/")) {
      left = { kind: "binary", operator: sign as Operator, left, right: this.factor() };
    }
    return left;
  }

  private factor(): Tree {
    this.depth += 1;
    if (this.depth > expressionLimits.depthMax) throw new ExpressionError("nests too deeply");
    const tree = this.bareFactor();
    this.depth -= 1;
    return tree;
  }

  private bareFactor(): Tree {
    if (this.takeSign("-") !== undefined) return { kind: "minus", of: this.factor() };
    if (this.takeSign("(") !== undefined) {
      const inside = this.sum();
      this.expectSign(")");
      return inside;
    }
    const token = this.tokens[this.at];
    this.at += 1;
    if (token?.kind === "value") return token;
    if (token?.kind !== "name") throw new ExpressionError(`expected a value instead of ${tokenText(token)}`);
    if (this.takeSign("(") === undefined) return { kind: "variable", name: token.name };
    return this.call(token.name);
  }

  private call(name: string): Tree {
    if (name !== "max" && name !== "min") throw new ExpressionError(`unknown function ${name}: use max or min`);
    const first = this.sum();
    this.expectSign(",");
    const second = this.sum();
    this.expectSign(")");
    return { kind: "call", name, first, second };
  }
}

function tokenText(token: Token | undefined): string {
  if (token === undefined) return "the end";
  return token.kind === "sign" ? token.sign : token.kind === "name" ? token.name : "a value";
}

/** @param variables by lower-case name */
export function evaluate({ root }: Expression, variables: Readonly<Record<string, Value>>): Evaluated {
  try {
    return { ok: true, value: valueOfTree(root, variables) };
  } catch (error) {
    if (error instanceof ExpressionError) return { ok: false, problem: error.message };
    throw error;
  }
}

function valueOfTree(tree: Tree, variables: Readonly<Record<string, Value>>): Value {
  switch (tree.kind) {
    case "value":
      return tree.value;
    case "variable": {
      const value = Object.hasOwn(variables, tree.name) ? variables[tree.name] : undefined;
      if (value === undefined) throw new ExpressionError(`unknown variable ${tree.name}`);
      return value;
    }
    case "minus": {
      const value = valueOfTree(tree.of, variables);
      return value.kind === "number" ? number(-value.number) : { ...value, milli: -value.milli };
    }
    case "call":
      return choose(tree.name, valueOfTree(tree.first, variables), valueOfTree(tree.second, variables));
    case "binary":
      return combine(tree.operator, valueOfTree(tree.left, variables), valueOfTree(tree.right, variables));
  }
}

type Amount = Extract<Value, { kind: "amount" }>;

/** Finite: what is not has no place among amounts. */
function wholeMilli(milli: number): bigint {
  if (!Number.isFinite(milli)) throw new ExpressionError("the result is too large");
  return BigInt(Math.trunc(milli));
}

function asAmount(value: Value): Amount {
  return value.kind === "amount" ? value : { kind: "amount", milli: wholeMilli(value.number * 1000), format: "DecimalSI" };
}

function combine(operator: Operator, left: Value, right: Value): Value {
  if (left.kind === "number" && right.kind === "number") return number(arithmetic(operator, left.number, right.number));
  if (operator === "+" || operator === "-") return add(asAmount(left), asAmount(right), operator === "+" ? 1n : -1n);
  if (operator === "*") {
    if (left.kind === "amount" && right.kind === "amount") throw new ExpressionError("an amount cannot be multiplied by an amount");
    const [amount, factor] = left.kind === "amount" ? [left, right] : [right, left];
    return scaled(amount as Amount, (milli) => milli * (factor as { number: number }).number);
  }
  if (right.kind === "amount") throw new ExpressionError("nothing can be divided by an amount");
  if (right.number === 0) throw new ExpressionError("division by zero");
  return scaled(left as Amount, (milli) => milli / right.number);
}

function arithmetic(operator: Operator, left: number, right: number): number {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      if (right === 0) throw new ExpressionError("division by zero");
      return left / right;
  }
}

function add(left: Amount, right: Amount, sign: bigint): Amount {
  return { kind: "amount", milli: left.milli + sign * right.milli, format: left.milli === 0n ? right.format : left.format };
}

function scaled(amount: Amount, scale: (milli: number) => number): Amount {
  return { ...amount, milli: wholeMilli(scale(Number(amount.milli))) };
}

function choose(name: string, first: Value, second: Value): Value {
  if (first.kind === "number" && second.kind === "number")
    return (name === "max" ? second.number > first.number : second.number < first.number) ? second : first;
  const [a, b] = [asAmount(first), asAmount(second)];
  return (name === "max" ? b.milli > a.milli : b.milli < a.milli) ? b : a;
}

export type Resource = "cpu" | "memory";

/** The amount of a resource that a value stands for: CPU in thousandths, memory rounded up to whole bytes. Negative: a problem. */
export function resourceAmount(
  value: Value,
  resource: Resource,
): { readonly ok: true; readonly quantity: Quantity } | { readonly ok: false; readonly problem: string } {
  const negative = value.kind === "number" ? value.number < 0 : value.milli < 0n;
  if (negative) return { ok: false, problem: "the result is negative" };
  if (value.kind === "number" && !Number.isFinite(value.number * 1000)) return { ok: false, problem: "the result is not a number" };
  const { milli, format } = asAmount(value);
  const quantity = quantityFromMilli(milli, format);
  return { ok: true, quantity: resource === "cpu" ? quantity : quantityFromUnits(ceilToUnits(quantity), format) };
}
