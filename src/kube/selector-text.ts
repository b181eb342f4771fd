/** Reads the text form of label selectors, as `kubectl -l` and scale subresources have it. */
import type { Requirement } from "./selector.ts";
import type { LabelSelector, LabelSelectorRequirement } from "./types.ts";

export type ParsedSelector =
  | { readonly ok: true; readonly requirements: readonly Requirement[]; readonly selector: LabelSelector }
  | { readonly ok: false; readonly problem: string };

const token = /\s*(?:([(),]|==|!=|=|!|>|<)|([^\s(),=!<>]+))/y;

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  token.lastIndex = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) tokens.push((match[1] ?? match[2]) as string);
  return tokens;
}

const isWord = (part: string | undefined): part is string => part !== undefined && !/^(?:[(),]|==|!=|=|!|>|<)$/.test(part);

/** A cursor over the tokens; `problem` ends the reading. */
class Reader {
  readonly #tokens: readonly string[];
  #at = 0;
  problem: string | undefined;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }
  get next(): string | undefined {
    return this.#tokens[this.#at];
  }
  take(): string | undefined {
    this.#at += 1;
    return this.#tokens[this.#at - 1];
  }
  fail(wanted: string): undefined {
    this.problem ??= `found '${this.next ?? ""}', expected: ${wanted}`;
    return undefined;
  }

  requirement(): Requirement | undefined {
    if (this.next === "!") {
      this.take();
      if (!isWord(this.next)) return this.fail("identifier after '!'");
      return { key: this.take() as string, operator: "DoesNotExist", values: [] };
    }
    if (!isWord(this.next)) return this.fail("!, identifier, or 'end of string'");
    const key = this.take() as string;
    if (this.next === undefined || this.next === ",") return { key, operator: "Exists", values: [] };
    return this.comparison(key, this.take() as string);
  }

  comparison(key: string, operator: string): Requirement | undefined {
    switch (operator) {
      case "=":
      case "==":
        return { key, operator: "In", values: [this.value()], equals: true };
      case "!=":
        return { key, operator: "NotIn", values: [this.value()] };
      case "in":
      case "notin": {
        const values = this.values();
        return values === undefined ? undefined : { key, operator: operator === "in" ? "In" : "NotIn", values };
      }
      default:
        this.problem ??= `found '${operator}', expected: in, notin, =, ==, !=`;
        return undefined;
    }
  }

  /** May be empty: `a=` asks for the empty value. */
  value(): string {
    return isWord(this.next) ? (this.take() as string) : "";
  }

  values(): string[] | undefined {
    if (this.take() !== "(") return this.fail("'('");
    const values = [this.value()];
    while (this.next === ",") {
      this.take();
      values.push(this.value());
    }
    return this.take() === ")" ? values : this.fail("',' or ')'");
  }
}

/** @returns an empty text selects everything; `>` and `<`, which label selectors of objects lack, are refused */
export function parseSelector(text: string): ParsedSelector {
  const reader = new Reader(text);
  const requirements: Requirement[] = [];
  while (reader.next !== undefined && reader.problem === undefined) {
    const requirement = reader.requirement();
    if (requirement === undefined) break;
    requirements.push(requirement);
    if (reader.next === undefined) break;
    if (reader.take() !== ",") return { ok: false, problem: "unable to parse requirement: expected: ',' or 'end of string'" };
    if (reader.next === undefined) return { ok: false, problem: "found '', expected: identifier after ','" };
  }
  if (reader.problem !== undefined) return { ok: false, problem: `unable to parse requirement: ${reader.problem}` };
  return { ok: true, requirements, selector: selectorOf(requirements) };
}

function selectorOf(requirements: readonly Requirement[]): LabelSelector {
  const matchLabels: Record<string, string> = {};
  const matchExpressions: LabelSelectorRequirement[] = [];
  for (const { key, operator, values, equals } of requirements) {
    // Two different values asked of one key select nothing, which a map of labels cannot say.
    if (equals === true && !Object.hasOwn(matchLabels, key) && key !== "__proto__") matchLabels[key] = values[0] as string;
    else matchExpressions.push({ key, operator, ...(values.length > 0 ? { values: [...values] } : {}) });
  }
  return { ...(Object.keys(matchLabels).length > 0 ? { matchLabels } : {}), ...(matchExpressions.length > 0 ? { matchExpressions } : {}) };
}
