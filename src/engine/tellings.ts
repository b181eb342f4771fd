/** From outcomes to Events: one for each thing that happened, naming all it happened to, not one for each object. */
import { utf8Length } from "../kube/json.ts";
import { keyText, type Ref } from "../kube/kind.ts";
import { failureText } from "../kube/outcome.ts";
import { engineLimits } from "./limits.ts";
import type { Action, EventDraft, Outcome } from "./plan.ts";

/**
 * The Events of one plan's outcomes, in the order in which they first occur. Done ones are grouped by reason and text, failed ones by the
 * failure as well. Conflicts, throttling and what was so already are not told: they are no news, and the next plan settles them.
 */
export function tellings(outcomes: readonly Outcome[]): readonly EventDraft[] {
  const groups = new Map<string, Group>();
  for (const outcome of outcomes) {
    const said = wordsOf(outcome);
    if (said === undefined) continue;
    const on = outcome.action.tell?.onSubject && outcome.action.do !== "create" ? outcome.action.on : undefined;
    const id = `${said.type}\n${said.reason}\n${said.text}\n${said.failure}\n${on === undefined ? "" : keyText(on)}`;
    const group = groups.get(id);
    const name = subjectOf(outcome.action);
    if (group === undefined) groups.set(id, { ...said, names: [name], on });
    else group.names.push(name);
  }
  return [...groups.values()].map(({ type, reason, text, counted, failure, names, on }) => {
    const message = sentence(counted ? `${text} (${names.length})` : text, names, failure);
    return on === undefined ? { type, reason, message } : { type, reason, message, on };
  });
}

interface Words {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly text: string;
  readonly counted?: boolean | undefined;
  /** "" when nothing failed. */
  readonly failure: string;
}
interface Group extends Words {
  readonly names: string[];
  readonly on: Ref | undefined;
}

function wordsOf(outcome: Outcome): Words | undefined {
  const { tell } = outcome.action;
  switch (outcome.result) {
    case "done":
      if (outcome.unchanged || tell?.done === undefined) return undefined;
      return { type: "Normal", reason: tell.done.reason, text: tell.done.text, counted: tell.done.counted, failure: "" };
    case "failed": {
      const { why } = outcome.failure;
      if (tell?.failed === undefined || why === "conflict" || why === "throttled") return undefined;
      const { reason, text, type } = tell.failed;
      return { type: type ?? "Warning", reason, text, failure: failureText(outcome.failure) };
    }
    case "skipped":
      return undefined;
  }
}

/** The name of the object an action is about. */
export function subjectOf(action: Action): string {
  return action.do === "create" ? (action.object.metadata.name ?? "") : action.on.name;
}

/** "created pod web-1, web-2 and 7 more", "failed to create pod web-1: exceeded quota": at most `bytesMax` bytes. */
export function sentence(text: string, names: readonly string[], failure: string, bytesMax: number = engineLimits.eventBytesMax): string {
  const tail = failure === "" ? "" : `: ${cut(failure, Math.min(engineLimits.eventFailureBytesMax, bytesMax))}`;
  const room = bytesMax - utf8Length(tail);
  let line = cut(text, room);
  let shown = 0;
  for (const name of names) {
    const longer = `${line}${shown === 0 ? " " : ", "}${name}`;
    const left = names.length - shown - 1;
    if (utf8Length(longer) + (left > 0 ? utf8Length(andMore(left)) : 0) > room) break;
    line = longer;
    shown += 1;
  }
  if (shown < names.length && utf8Length(line) + utf8Length(andMore(names.length - shown)) <= room) line += andMore(names.length - shown);
  return line + tail;
}

function andMore(count: number): string {
  return ` and ${count} more`;
}

/** The beginning of `text` that has at most `bytesMax` bytes; never half a character. */
export function cut(text: string, bytesMax: number): string {
  if (utf8Length(text) <= bytesMax) return text;
  const mark = "…";
  let kept = "";
  let bytes = utf8Length(mark);
  for (const character of text) {
    bytes += utf8Length(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept + mark;
}
