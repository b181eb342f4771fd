/** `rollout history`: which revisions there were, and what one of them said. */
import { fieldsOf, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { parseTime } from "../../kube/time.ts";
import { command } from "../command.ts";
import { globalArgs, kubectl } from "../delegate.ts";
import { each } from "../each.ts";
import { ageText } from "../explain.ts";
import { fileFlags, printFlags, selectFlags } from "../globals.ts";
import { nameOf, quotedName, type Target, targetsOf } from "../objects.ts";
import { out, table } from "../output.ts";
import { Misused, Refused } from "../refused.ts";
import type { Session } from "../session.ts";
import { isBuiltIn } from "../shapes.ts";
import { describeContainers, describeTemplate } from "./describe-template.ts";
import { hasRevisions, numbered, type Revision, recordedSpec, revisionsOf } from "./revisions.ts";

const changeCause = "kubernetes.io/change-cause";
const flags = {
  ...fileFlags,
  ...printFlags,
  ...selectFlags,
  revision: { kind: "integer", help: "show this revision's template" },
} as const;

export const history = command(
  {
    summary: "Show the revisions of a workload",
    usage: "(TYPE NAME | TYPE/NAME | -f FILE) [flags]",
    examples: "  kubectl-kruise rollout history cloneset/web\n  kubectl-kruise rollout history cloneset/web --revision=3",
  },
  flags,
  async ({ words, values, given, session: open }) => {
    if (values.revision < 0) throw new Misused(`error: revision must be a positive integer: ${values.revision}`);
    if (!["", "json", "yaml", "wide"].includes(values.output)) throw new Misused(`error: -o ${values.output}: expected wide, json or yaml`);
    const session = await open();
    return each(await targetsOf(session, { words, ...values }, { bareTypeIsFine: true }), async (target) => {
      if (isBuiltIn(target.of)) {
        const args = ["rollout", "history", nameOf(target), ...globalArgs(values, given)];
        const more = [...(values.revision > 0 ? [`--revision=${values.revision}`] : []), ...(values.output ? ["-o", values.output] : [])];
        const code = await kubectl([...args, ...more, `--namespace=${session.namespace}`]);
        if (code !== 0) throw new Refused(`error: kubectl ended with code ${code}`);
        return;
      }
      if (!hasRevisions(target))
        throw new Refused(`error: no history viewer has been implemented for "${target.of.kind}.${target.of.group}"`);
      const revisions = await revisionsOf(session, target);
      if (values.output === "json" || values.output === "yaml") return printObjects(revisions, values.revision, values.output);
      out(
        values.revision > 0
          ? oneText(target, numbered(revisions, values.revision))
          : listText(session, target, revisions, values.output === "wide"),
      );
    });
  },
);

async function printObjects(revisions: readonly Revision[], number: number, format: string): Promise<void> {
  const value = number > 0 ? numbered(revisions, number) : { apiVersion: "v1", kind: "List", items: revisions };
  if (format === "json") return out(`${JSON.stringify(value, null, 4)}\n`);
  const { stringify } = await import("yaml");
  out(stringify(value, { lineWidth: 0 }));
}

function listText(session: Session, target: Target, revisions: readonly Revision[], isWide: boolean): string {
  if (revisions.length === 0) return `${nameOf(target)} \nNo rollout history found.\n`;
  const causeOf = (revision: Revision) => revision.metadata.annotations?.[changeCause] || "<none>";
  const { currentRevision, updateRevision } = fieldsOf(fieldsOf(target.object)["status"]);
  const rows = isWide
    ? [
        ["REVISION", "NAME", "CURRENT", "UPDATE", "AGE", "IMAGES", "CHANGE-CAUSE"],
        ...revisions.map((revision) => [
          String(revision.revision),
          revision.metadata.name,
          revision.metadata.name === currentRevision ? "*" : "",
          revision.metadata.name === updateRevision ? "*" : "",
          ageText(session.env.nowMs() - (parseTime(revision.metadata.creationTimestamp) ?? 0)),
          imagesOf(target, revision).join(","),
          causeOf(revision),
        ]),
      ]
    : [["REVISION", "CHANGE-CAUSE"], ...revisions.map((revision) => [String(revision.revision), causeOf(revision)])];
  return `${nameOf(target)} \n${table(rows)}\n`;
}

function imagesOf(target: Target, revision: Revision): readonly string[] {
  const spec = recordedSpec(target, revision);
  const holder = isFields(spec["template"]) ? fieldsOf(spec["template"]["spec"]) : spec;
  return itemsOf(holder["containers"]).map((container) => textOf(fieldsOf(container)["image"]));
}

function oneText(target: Target, revision: Revision): string {
  const spec = recordedSpec(target, revision);
  if (isFields(spec["template"])) return `${nameOf(target)} with revision #${revision.revision}\n${describeTemplate(spec["template"])}\n`;
  if (!isFields(spec)) throw new Refused(`error: ${quotedName(target)} has no such revision`);
  return `${nameOf(target)} with revision #${revision.revision}\n${describeContainers(spec)}\n`;
}
