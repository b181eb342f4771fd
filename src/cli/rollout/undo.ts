/** `rollout undo`: the workload says again what one of its revisions recorded, exactly. */
import { deepEqual, type Fields, fieldsOf, isAbsent, isFields } from "../../kube/json.ts";
import type { KubeObject } from "../../kube/types.ts";
import { templateData } from "../../workload/revision/index.ts";
import { command } from "../command.ts";
import { globalArgs, kubectl } from "../delegate.ts";
import { each } from "../each.ts";
import { withAt } from "../edit.ts";
import { dryRunFlags, fileFlags, printFlags, selectFlags } from "../globals.ts";
import { nameOf, targetsOf } from "../objects.ts";
import { out, Printer } from "../output.ts";
import { Misused, Refused } from "../refused.ts";
import { isBuiltIn } from "../shapes.ts";
import { dryRunOf, write } from "../write.ts";
import { describeContainers, describeTemplate } from "./describe-template.ts";
import { hasRevisions, numbered, type Revision, recordedSpec, revisionsOf } from "./revisions.ts";

const flags = {
  ...fileFlags,
  ...printFlags,
  ...selectFlags,
  ...dryRunFlags,
  "to-revision": { kind: "integer", help: "number of the revision; 0: the one before the last" },
} as const;

export const undo = command(
  {
    summary: "Go back to an earlier revision",
    usage: "(TYPE NAME | TYPE/NAME | -f FILE) [flags]",
    examples: "  kubectl-kruise rollout undo cloneset/web\n  kubectl-kruise rollout undo cloneset/web --to-revision=3 --dry-run=client",
  },
  flags,
  async ({ words, values, given, session: open }) => {
    const number = values["to-revision"];
    if (number < 0) throw new Misused(`error: revision must be a positive integer: ${number}`);
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    return each(await targetsOf(session, { words, ...values }), async (target) => {
      if (isBuiltIn(target.of)) {
        const more = [`--to-revision=${number}`, `--dry-run=${dryRun}`, ...(values.output ? ["-o", values.output] : [])];
        const code = await kubectl([
          "rollout",
          "undo",
          nameOf(target),
          ...globalArgs(values, given),
          ...more,
          `--namespace=${session.namespace}`,
        ]);
        if (code !== 0) throw new Refused(`error: kubectl ended with code ${code}`);
        return;
      }
      if (!hasRevisions(target)) throw new Refused(`error: no rollbacker has been implemented for "${target.of.kind}.${target.of.group}"`);
      const revision = chosen(await revisionsOf(session, target), number);
      const recorded = recordedSpec(target, revision);
      if (saysAlready(target.object, recorded))
        return printer.print(target, `skipped rollback (current template already matches revision ${revision.revision})`);
      if (dryRun === "client" && !printer.isForPrograms) {
        const template = recorded["template"];
        const text = isFields(template) ? describeTemplate(template) : describeContainers(recorded);
        return out(`${nameOf(target)} will roll back to ${text.trimEnd()} (dry run)\n`);
      }
      const change = (object: Readonly<KubeObject>) => (saysAlready(object, recorded) ? undefined : restored(object, recorded));
      const object = await write(session, target, change, { dryRun, fieldManager: values["field-manager"] });
      await printer.print(target, "rolled back", object);
    });
  },
);

function chosen(revisions: readonly Revision[], number: number): Revision {
  if (number > 0) return numbered(revisions, number);
  const before = revisions.at(-2);
  if (before === undefined) throw new Refused("error: no last revision to roll back to");
  return before;
}

/** Whatever is absent, null or empty says the same. */
function saysAlready(object: Readonly<KubeObject>, recorded: Fields): boolean {
  const spec = fieldsOf(fieldsOf(object)["spec"]);
  return Object.keys(recorded).every((field) => {
    const [now, then] = [spec[field], recorded[field]];
    if (field === "template" && isFields(now) && isFields(then)) return templateData(now) === templateData(then);
    return deepEqual(bare(now), bare(then));
  });
}

function bare(value: unknown): unknown {
  return isAbsent(value) || (Array.isArray(value) && value.length === 0) || (isFields(value) && Object.keys(value).length === 0)
    ? undefined
    : value;
}

function restored(object: Readonly<KubeObject>, recorded: Fields): KubeObject {
  let next = object as KubeObject;
  for (const field of Object.keys(recorded)) next = withAt(next, ["spec", field], bare(recorded[field]));
  return next;
}
