/**
 * The one way in which commands change objects: computed from the object as it is, sent as a JSON patch that holds for exactly that version,
 * again after a conflict; and not sent at all where the user only wants to see.
 */

import { sleep } from "../env/env.ts";
import { applyJsonPatch, type JsonPatchOperation, jsonPatchOf } from "../kube/patch/json-patch.ts";
import type { KubeObject } from "../kube/types.ts";
import { withAt } from "./edit.ts";
import { refTo, type Target } from "./objects.ts";
import { Misused, Refused, refusal } from "./refused.ts";
import { must, type Session } from "./session.ts";

export type DryRun = "none" | "client" | "server";

export interface WriteFlags {
  readonly dryRun: DryRun;
  readonly fieldManager?: string | undefined;
  /** The command line, to be recorded as the cause of the change. */
  readonly cause?: string | undefined;
}

const changeCause = "kubernetes.io/change-cause";
const triesMax = 5;
const againMs = 100;

export function dryRunOf(text: string): DryRun {
  switch (text) {
    case "none":
    case "false":
      return "none";
    case "client":
    case "true":
      return "client";
    case "server":
      return "server";
    default:
      throw new Misused(`error: invalid dry-run value "${text}": must be "none", "server" or "client"`);
  }
}

/** What the object is to be like; undefined: it stays as it is. @throws Refused where it cannot be changed so */
export type Change = (object: Readonly<KubeObject>) => KubeObject | undefined;

/** @returns the object afterwards; undefined: there was nothing to change */
export async function write(
  session: Session,
  target: Target,
  change: Change,
  flags: WriteFlags,
): Promise<Readonly<KubeObject> | undefined> {
  let { object } = target;
  for (let tries = 1; ; tries += 1) {
    const wanted = change(object);
    if (wanted === undefined || jsonPatchOf(object, wanted).length === 0) return undefined;
    const patch = jsonPatchOf(object, withCause(wanted, flags.cause));
    if (flags.dryRun === "client") return patched(object, patch);
    const version: JsonPatchOperation = { op: "test", path: "/metadata/resourceVersion", value: object.metadata.resourceVersion };
    const written = await session.client.patch(refTo({ ...target, object }), "json", [version, ...patch], {
      dryRun: flags.dryRun === "server",
      ...(flags.fieldManager ? { fieldManager: flags.fieldManager } : {}),
    });
    if (written.ok) return written.object;
    if (written.why !== "conflict" || tries >= triesMax) throw refusal(written);
    await sleep(session.env, againMs * tries * (1 + session.env.random()));
    const fresh = must(await session.client.get(target.of, refTo(target)));
    if (fresh.metadata.uid !== object.metadata.uid)
      throw new Refused(`error: ${object.metadata.name} was deleted and created again meanwhile`);
    object = fresh;
  }
}

function patched(object: Readonly<KubeObject>, patch: readonly JsonPatchOperation[]): Readonly<KubeObject> {
  const result = applyJsonPatch(object, patch);
  if (!result.ok) throw new Error(`a patch of our own does not fit: ${result.problem}`);
  return result.value as KubeObject;
}

function withCause(wanted: KubeObject, cause: string | undefined): KubeObject {
  return cause === undefined ? wanted : withAt(wanted, ["metadata", "annotations", changeCause], cause);
}

/** Asked for with --record, or written there before: then it is kept true. */
export function causeOf(target: Target, isAsked: boolean, line: string): string | undefined {
  return isAsked || target.object.metadata.annotations?.[changeCause] !== undefined ? line : undefined;
}
