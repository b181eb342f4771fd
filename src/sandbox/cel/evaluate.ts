/** Evaluates expressions of CEL. Types are looked at when they are met, not beforehand. */
import type { Fields } from "../../kube/json.ts";
import { functions } from "./functions.ts";
import { type Expression, parseExpression } from "./parse.ts";
import { fromJson, isList, isMap, isNumber, Optional, Problem, Unsupported, type Value } from "./values.ts";

export const evaluateLimits = {
  /** Parts evaluated for one rule: what takes more is no rule but a program. */
  stepsMax: 1_000_000,
} as const;

export type Names = Readonly<Record<string, unknown>>;

/** Names of types, as `type(x) == int` has them. */
const types: ReadonlySet<string> = new Set(["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"]);

class Evaluation {
  #steps = 0;

  of(expression: Expression, names: Names): Value {
    this.#steps += 1;
    if (this.#steps > evaluateLimits.stepsMax) throw new Problem("operation cancelled: actual cost limit exceeded");
    switch (expression.op) {
      case "literal":
        return expression.value;
      case "name":
        if (Object.hasOwn(names, expression.name)) return fromJson(names[expression.name] ?? null);
        if (types.has(expression.name)) return expression.name;
        throw new Unsupported(`undeclared reference to '${expression.name}'`);
      case "field":
        return this.#field(expression.on, expression.name, expression.optional, names);
      case "index":
        return this.#index(expression, names);
      case "call":
        return this.#call(expression, names);
      case "list":
        return expression.items.map((item) => this.of(item, names));
      case "map":
        return Object.fromEntries(expression.entries.map(([key, value]) => [String(this.of(key, names)), this.of(value, names)]));
    }
  }

  #field(of: Expression, name: string, optional: boolean, names: Names): Value {
    const found = this.of(of, names);
    const on = found instanceof Optional ? found.value : found;
    const isOptional = optional || found instanceof Optional;
    const value = on !== undefined && isMap(on) ? own(on, name) : undefined;
    if (isOptional) return new Optional(value === undefined ? undefined : fromJson(value));
    if (value === undefined) throw new Problem(`no such key: ${name}`);
    return fromJson(value);
  }

  #index({ on: of, index: at, optional }: Extract<Expression, { op: "index" }>, names: Names): Value {
    const found = this.of(of, names);
    const on = found instanceof Optional ? found.value : found;
    const index = this.of(at, names);
    const isOptional = optional || found instanceof Optional;
    let value: unknown;
    if (on !== undefined && isList(on) && isNumber(index)) value = on[Number(index)];
    else if (on !== undefined && isMap(on) && Object.hasOwn(on, String(index))) value = on[String(index)];
    if (isOptional) return new Optional(value === undefined ? undefined : fromJson(value));
    if (value === undefined)
      throw new Problem(on !== undefined && isList(on) ? `index out of bounds: ${index}` : `no such key: ${String(index)}`);
    return fromJson(value);
  }

  #call(call: Extract<Expression, { op: "call" }>, names: Names): Value {
    const { name, on, args } = call;
    switch (name) {
      case "||":
      case "&&":
        return this.#either(args, names, name === "||");
      case "?:":
        return this.of(this.#truth(args[0] as Expression, names) ? (args[1] as Expression) : (args[2] as Expression), names);
      case "has":
        if (args.length !== 1) throw new Unsupported("invalid argument to has() macro");
        return this.#has(args[0] as Expression, names);
      default:
        break;
    }
    const variable = args[0];
    if (on !== undefined && variable?.op === "name" && macros.has(name) && args.length >= 2)
      return this.#macro(name, on, variable.name, args.slice(1), names);
    if (on?.op === "name" && !Object.hasOwn(names, on.name)) return this.#qualified(on.name, name, args, names);
    const values = [...(on === undefined ? [] : [on]), ...args].map((arg) => this.of(arg, names));
    const known = functions[`${name}/${values.length}`];
    if (known === undefined) throw new Unsupported(`undeclared reference to '${name}'`);
    return known(...values);
  }

  /** Functions of a library: `optional.of`, `cel.bind`. */
  #qualified(library: string, name: string, args: readonly Expression[], names: Names): Value {
    const [variable, bound, body] = args;
    if (library === "cel" && name === "bind" && variable?.op === "name" && bound !== undefined && body !== undefined)
      return this.of(body, { ...names, [variable.name]: this.of(bound, names) });
    const known = functions[`${library}.${name}/${args.length}`];
    if (known === undefined) throw new Unsupported(`undeclared reference to '${library}.${name}'`);
    return known(...args.map((arg) => this.of(arg, names)));
  }

  /** A side that decides, decides, even when the other cannot be evaluated. */
  #either([left, right]: readonly Expression[], names: Names, decides: boolean): boolean {
    let failed: unknown;
    for (const side of [left, right]) {
      try {
        if (this.#truth(side as Expression, names) === decides) return decides;
      } catch (error) {
        failed ??= error;
      }
    }
    if (failed !== undefined) throw failed;
    return !decides;
  }

  #truth(expression: Expression, names: Names): boolean {
    const value = this.of(expression, names);
    if (typeof value !== "boolean") throw new Problem("no such overload");
    return value;
  }

  #has(expression: Expression, names: Names): boolean {
    if (expression.op !== "field") throw new Unsupported("invalid argument to has() macro");
    const found = this.of(expression.on, names);
    const on = found instanceof Optional ? found.value : found;
    return on !== undefined && isMap(on) && own(on, expression.name) !== undefined;
  }

  #macro(name: string, on: Expression, variable: string, args: readonly Expression[], names: Names): Value {
    const over = this.of(on, names);
    if (over instanceof Optional) return this.#optional(name, over, variable, args, names);
    if (!isList(over) && !isMap(over)) throw new Problem("no such overload");
    const items: readonly Value[] = isList(over) ? over.map(fromJson) : Object.keys(over);
    const [first, second] = args as readonly [Expression, Expression | undefined];
    const within = (item: Value): Names => ({ ...names, [variable]: item });
    switch (name) {
      case "all":
      case "exists":
        return this.#any(items, first, within, name === "exists");
      case "exists_one":
      case "existsOne":
        return items.filter((item) => this.#truth(first, within(item))).length === 1;
      case "filter":
        return items.filter((item) => this.#truth(first, within(item)));
      default:
        return second === undefined
          ? items.map((item) => this.of(first, within(item)))
          : items.filter((item) => this.#truth(first, within(item))).map((item) => this.of(second, within(item)));
    }
  }

  #any(items: readonly Value[], test: Expression, within: (item: Value) => Names, decides: boolean): boolean {
    let failed: unknown;
    for (const item of items) {
      try {
        if (this.#truth(test, within(item)) === decides) return decides;
      } catch (error) {
        failed ??= error;
      }
    }
    if (failed !== undefined) throw failed;
    return !decides;
  }

  #optional(name: string, { value }: Optional, variable: string, [body]: readonly Expression[], names: Names): Value {
    if (value === undefined) return new Optional(undefined);
    const mapped = this.of(body as Expression, { ...names, [variable]: value });
    return name === "optFlatMap" ? mapped : new Optional(mapped);
  }
}

const escapes: Readonly<Record<string, string>> = { underscores: "__", dot: ".", dash: "-", slash: "/" };

/** Names that an expression cannot spell are escaped: "my__dash__field", "__namespace__". */
function own(on: Fields, name: string): unknown {
  if (Object.hasOwn(on, name) || !name.includes("__")) return Object.hasOwn(on, name) ? on[name] : undefined;
  const plain = /^__[a-z]+__$/.test(name)
    ? name.slice(2, -2)
    : name.replaceAll(/__(underscores|dot|dash|slash)__/g, (_, word: string) => escapes[word] ?? "");
  return Object.hasOwn(on, plain) ? on[plain] : undefined;
}

const macros: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "existsOne", "filter", "map", "optMap", "optFlatMap"]);

const parsed = new Map<string, Expression>();
const parsedMax = 1000;

/** Parsed once. @throws SyntaxProblem */
export function expressionOf(text: string): Expression {
  let known = parsed.get(text);
  if (known === undefined) {
    known = parseExpression(text);
    if (parsed.size >= parsedMax) parsed.clear();
    parsed.set(text, known);
  }
  return known;
}

/** @throws Problem when it cannot be evaluated, Unsupported when it uses what is not known here */
export function evaluate(expression: Expression, names: Names): Value {
  try {
    return new Evaluation().of(expression, names);
  } catch (error) {
    // Numbers and times beyond what there is.
    if (error instanceof RangeError) throw new Problem(`range error: ${error.message}`, { cause: error });
    throw error;
  }
}
