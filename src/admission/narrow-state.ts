/**
 * What a webhook configuration says of its own narrowing: an annotation with the pods that everything brings that exists or is just being
 * accepted, and a match condition on each narrowed entry that follows from it. Both change in one write. Pure.
 */
import { fieldsOf, isFields, itemsOf, textOf, withFields } from "../kube/json.ts";
import type { WebhookConfiguration, WebhookEntry } from "./configuration.ts";
import { normalised, type PodScope, scopeClauses } from "./narrow-scope.ts";

/** Of a webhook configuration; the manager's own. */
export const narrowingAnnotation = "kruise.io/narrowing";
/** The name of the match condition that is the manager's own. */
export const narrowingCondition = "kruise.io/narrowing";

export interface NarrowingState {
  /** By source: the pods of all its objects as they were last listed. */
  readonly scopes: Readonly<Record<string, readonly PodScope[]>>;
  /** Objects that were let through, and that a list need not show yet. */
  readonly pending: readonly Pending[];
  /** Until then nothing is narrowed: nobody knows what others may have let through. */
  readonly openUntilMs?: number;
}

export interface Pending {
  readonly source: string;
  readonly scope: PodScope;
  readonly untilMs: number;
}

/** An entry of a configuration that may be narrowed. */
export interface NarrowedEntry {
  readonly name: string;
  /** CEL: pods that always concern it. */
  readonly always: readonly string[];
  /** Names of the sources whose objects bring it more. */
  readonly sources: readonly string[];
  /** The request carries the pod, with its labels. */
  readonly seesPod: boolean;
}

/** undefined: there is none, or none that can be read. */
export function stateOf({ metadata }: WebhookConfiguration): NarrowingState | undefined {
  const text = metadata.annotations?.[narrowingAnnotation];
  if (text === undefined) return undefined;
  try {
    const state: unknown = JSON.parse(text);
    if (!isFields(state) || !isFields(state["scopes"]) || !Array.isArray(state["pending"])) return undefined;
    const { openUntilMs } = state;
    return {
      scopes: Object.fromEntries(Object.entries(state["scopes"]).map(([source, scopes]) => [source, itemsOf(scopes) as PodScope[]])),
      pending: state["pending"] as Pending[],
      ...(typeof openUntilMs === "number" && { openUntilMs }),
    };
  } catch {
    return undefined;
  }
}

/** More pending objects than this are told as "any pod". */
const pendingMax = 500;

/** As many as there are, each scope of a source once, with its latest end. */
export function withPending(state: NarrowingState, added: readonly Pending[]): NarrowingState {
  const found = new Map<string, Pending>();
  for (const each of [...state.pending, ...added]) {
    const id = `${each.source} ${JSON.stringify(normalised([each.scope]))}`;
    const known = found.get(id);
    if (known === undefined || known.untilMs < each.untilMs) found.set(id, each);
  }
  const pending = [...found.values()];
  if (pending.length <= pendingMax) return { ...state, pending };
  const openUntilMs = Math.max(state.openUntilMs ?? 0, ...pending.map(({ untilMs }) => untilMs));
  return { ...state, pending: [], openUntilMs };
}

/** CEL for an entry; undefined: it is not narrowed. */
function expressionFor({ always, sources, seesPod }: NarrowedEntry, { scopes, pending, openUntilMs }: NarrowingState): string | undefined {
  if (openUntilMs !== undefined) return undefined;
  const all = sources.flatMap((source) => [
    ...(scopes[source] ?? [{}]),
    ...pending.filter((each) => each.source === source).map(({ scope }) => scope),
  ]);
  const clauses = [...always, ...scopeClauses(normalised(all), seesPod ? "object" : undefined)];
  if (clauses.includes("true")) return undefined;
  return clauses.length === 0 ? "false" : clauses.map((clause) => `(${clause})`).join(" || ");
}

/**
 * The configuration with this state and what follows from it; the same reference when it says so already.
 * @param state undefined: nothing is narrowed, and nothing is left of it
 * @param onlyWiden entries that are not narrowed now stay as they are
 */
export function withNarrowing(
  live: WebhookConfiguration,
  state: NarrowingState | undefined,
  entries: readonly NarrowedEntry[],
  onlyWiden = false,
): WebhookConfiguration {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const webhooks = (live.webhooks ?? []).map((webhook) => {
    const entry = byName.get(webhook.name);
    const before = narrowingOf(webhook);
    const expression = entry && state && !(onlyWiden && before === undefined) ? expressionFor(entry, state) : undefined;
    return expression === before ? webhook : narrowEntry(webhook, expression);
  });
  const { [narrowingAnnotation]: before, ...others } = live.metadata.annotations ?? {};
  const text = state === undefined ? undefined : JSON.stringify(state);
  if (text === before && webhooks.every((webhook, index) => webhook === live.webhooks?.[index])) return live;
  const annotations = text === undefined ? others : { ...others, [narrowingAnnotation]: text };
  return withFields(live, { metadata: withFields(live.metadata, { annotations }), webhooks });
}

/** The expression of the manager's own condition. */
export function narrowingOf(webhook: WebhookEntry): string | undefined {
  const own = itemsOf(webhook["matchConditions"]).map(fieldsOf).find(isOwn);
  return own === undefined ? undefined : textOf(own["expression"]);
}

const isOwn = (condition: Readonly<Record<string, unknown>>): boolean => condition["name"] === narrowingCondition;

/** The entry with this condition of the manager's own, and everybody else's. */
export function narrowEntry(webhook: WebhookEntry, expression: string | undefined): WebhookEntry {
  if (expression === narrowingOf(webhook)) return webhook;
  const others = itemsOf(webhook["matchConditions"]).filter((condition) => !isOwn(fieldsOf(condition)));
  const conditions = expression === undefined ? others : [...others, { name: narrowingCondition, expression }];
  return withFields(webhook, { matchConditions: conditions.length === 0 ? undefined : conditions });
}

/** Whether an API server that sees `after` asks about other pods than one that sees `before`. */
export function asksOthers(before: WebhookConfiguration, after: WebhookConfiguration): boolean {
  const known = new Map((before.webhooks ?? []).map((webhook) => [webhook.name, webhook]));
  return (after.webhooks ?? []).some((webhook) => {
    const old = known.get(webhook.name);
    return old === undefined || narrowingOf(old) !== narrowingOf(webhook);
  });
}
