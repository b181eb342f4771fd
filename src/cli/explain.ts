/** `kruise explain KIND/NAME`: what would happen next, and what holds each part. Reads with the user's own rights and writes nothing. */
import { complain, say } from "../env/stdio.ts";
import type { Explainer, Explanation } from "../features/feature.ts";
import { features } from "../features/index.ts";
import type { Kind } from "../kube/kind.ts";
import { flagsHelp, parseArgs } from "./args.ts";
import { type Connected, connect } from "./connect.ts";
import { askFlags } from "./flags.ts";

const usage = `kruise explain KIND/NAME [-n NAMESPACE] [-o json]

Says in plain words what the manager would do next with an object, and what holds each part of it and since when.
Exit code: 0 at rest, 1 something is still to be done or held, 2 the question could not be answered.
`;

export async function explainCommand(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    say(`${usage}\n${flagsHelp(askFlags)}\n`);
    return 0;
  }
  const parsed = parseArgs(askFlags, args);
  if (typeof parsed === "string") return wrong(parsed);
  const target = targetOf(parsed.words);
  if (typeof target === "string") return wrong(target);
  const { output } = parsed.values;
  if (output !== "" && output !== "json") return wrong(`--output=${output}: expected json`);

  const explainers = explainersOf(target.kind);
  if (explainers.length === 0) return wrong(`nothing is known about "${target.kind}": expected ${known().join(", ")}`);
  const result = await connect(parsed.values);
  if (!result.ok) return wrong(result.message);
  const { connected } = result;
  try {
    const answer = await ask(explainers, target.name, connected);
    if (typeof answer === "string") return wrong(answer);
    const nowMs = connected.context.nowMs();
    say(output === "json" ? `${JSON.stringify(answer, null, 2)}\n` : answerText(answer, nowMs));
    return answer.state === "rest" ? 0 : 1;
  } finally {
    connected.close();
  }
}

/** A feature's view of the object. */
interface View extends Explanation {
  readonly feature: string;
}
/** All views as one, and each of them where several features have one. */
export interface Answer extends Explanation {
  readonly views?: readonly View[];
}
interface Asked extends Explainer {
  readonly feature: string;
}

/** What each feature has to say about the object, as one answer. */
async function ask(explainers: readonly Asked[], name: string, connected: Connected): Promise<Answer | string> {
  const { of } = explainers[0] as Asked;
  // What the cluster does not serve holds nothing.
  const reads = explainers
    .flatMap(({ reads: needed, alsoReads = [] }) => [...needed, ...alsoReads])
    .filter((kind) => connected.discovery.servesVersion(kind));
  const namespace = of.namespaced ? connected.namespace : "";
  const kinds = [...new Set([of, ...reads])];
  const hidden = await connected.unreadable(kinds);
  const { able, refusal, notes } = whatIsLeft(explainers, of, hidden, connected.namespace);
  if (refusal !== undefined) return refusal;
  for (const note of notes) complain(`note: ${note}\n`);
  const unread = await connected.load(
    kinds.filter((kind) => !hidden.includes(kind)),
    hidden,
  );
  if (unread !== undefined) return `cannot read what the answer needs: ${unread}`;
  const views = await Promise.all(
    able.map(async ({ feature, explain }) => {
      const explanation = await explain(connected.context, { namespace, name });
      return explanation === undefined ? [] : [{ feature, ...explanation }];
    }),
  );
  return merged(views.flat()) ?? `${of.plural} "${name}" not found${namespace === "" ? "" : ` in namespace "${namespace}"`}`;
}

/**
 * Who can answer for a user that may not look at everything. What belongs to the whole cluster is not for everybody to see, and mostly
 * matters little: the answer goes without it, and says so.
 */
export function whatIsLeft<E extends Pick<Asked, "feature" | "reads">>(
  explainers: readonly E[],
  of: Kind,
  hidden: readonly Kind[],
  namespace: string,
): { readonly able: readonly E[]; readonly notes: readonly string[]; readonly refusal?: string } {
  const namesOf = (kinds: readonly Kind[]): string => kinds.map(({ plural }) => plural).join(", ");
  const missing = (explainer: E): readonly Kind[] =>
    hidden.filter((kind) => kind === of || (kind.namespaced && explainer.reads.includes(kind)));
  const able = explainers.filter((explainer) => missing(explainer).length === 0);
  const [first] = explainers;
  if (able.length === 0 && first !== undefined) {
    const refusal = `the answer needs the right to list and watch ${namesOf(missing(first))}${of.namespaced ? ` in namespace "${namespace}"` : ""}`;
    return { able, notes: [], refusal };
  }
  const wide = hidden.filter((kind) => !kind.namespaced);
  return {
    able,
    notes: [
      ...explainers
        .filter((explainer) => !able.includes(explainer))
        .map((explainer) => `nothing about ${explainer.feature}: that needs the right to list and watch ${namesOf(missing(explainer))}`),
      ...(wide.length > 0 ? [`you may not list and watch ${namesOf(wide)}: answered as if there were none`] : []),
    ],
  };
}

/** The worst state is that of the whole; undefined when nobody has anything to say. */
export function merged(views: readonly View[]): Answer | undefined {
  const [first, ...more] = views;
  if (first === undefined) return undefined;
  if (more.length === 0) {
    const { feature: _, ...explanation } = first;
    return explanation;
  }
  const states = new Set(views.map(({ state }) => state));
  return {
    state: states.has("held") ? "held" : states.has("moving") ? "moving" : "rest",
    summary: views.map(({ summary }) => summary).join("\n"),
    next: views.flatMap(({ next }) => next),
    held: views.flatMap(({ held }) => held),
    views,
  };
}

/** One section a feature, where there are several. */
export function answerText(answer: Answer, nowMs: number): string {
  if (answer.views === undefined) return textOf(answer, nowMs);
  return answer.views
    .map((view) => {
      const lines = textOf(view, nowMs).trimEnd().split("\n");
      return [`${view.feature}:`, ...lines.map((line) => (line === "" ? "" : `  ${line}`)), ""].join("\n");
    })
    .join("\n");
}

function explainersOf(word: string): readonly Asked[] {
  const asked = word.toLowerCase().split(".")[0] ?? "";
  return features
    .flatMap(({ name, explain = [] }) => explain.map((explainer) => ({ ...explainer, feature: name })))
    .filter(({ of, aliases }) => asked === of.kind.toLowerCase() || asked === of.plural || aliases.includes(asked));
}

/** Whether something is known about this kind. */
export function isExplained(word: string): boolean {
  return explainersOf(word).length > 0;
}

function known(): string[] {
  const names = features.flatMap((feature) => feature.explain ?? []).map(({ of }) => `${of.kind.toLowerCase()}/NAME`);
  return [...new Set(names)];
}

/** "cloneset/web" or "cloneset web". */
export function targetOf(words: readonly string[]): { kind: string; name: string } | string {
  const [first = "", second] = words;
  if (words.length > 2) return `expected one object, got "${words.join(" ")}"`;
  const [kind = "", name = second ?? "", ...more] = first.split("/");
  if (kind === "" || name === "" || more.length > 0 || (first.includes("/") && second !== undefined))
    return `expected KIND/NAME, such as cloneset/web, got "${words.join(" ")}"`;
  return { kind, name };
}

export function textOf(explanation: Explanation, nowMs: number): string {
  const lines = [explanation.summary];
  if (explanation.next.length > 0) lines.push("", "Next:", ...explanation.next.map((text) => `  ${text}`));
  if (explanation.held.length > 0)
    lines.push(
      "",
      "Held:",
      ...explanation.held.map(({ on, text, sinceMs }) => {
        const since = sinceMs === undefined ? "" : ` (for ${ageText(nowMs - sinceMs)})`;
        return `  ${on === "" ? "" : `${on}: `}${text}${since}`;
      }),
    );
  return `${lines.join("\n")}\n`;
}

/** As kubectl shows ages: the largest unit, and the next where it matters. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

function wrong(message: string): number {
  complain(`error: ${message}\n`);
  return 2;
}
