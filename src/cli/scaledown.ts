/** `scaledown`: fewer pods, and exactly which ones. */
import { label } from "../api/names.ts";
import { fieldsOf, itemsOf } from "../kube/json.ts";
import { pods } from "../kube/kinds.ts";
import { isActive } from "../kube/pod.ts";
import type { KubeObject, Pod } from "../kube/types.ts";
import { command } from "./command.ts";
import { each } from "./each.ts";
import { withAt } from "./edit.ts";
import { dryRunFlags, printFlags } from "./globals.ts";
import { quotedName, type Target, targetsOf } from "./objects.ts";
import { out, Printer } from "./output.ts";
import { Misused, Refused } from "./refused.ts";
import { must, type Session } from "./session.ts";
import { dryRunOf, write } from "./write.ts";

const flags = {
  ...printFlags,
  ...dryRunFlags,
  pods: { kind: "list", help: "names of the pods to delete" },
  "keep-replicas": { kind: "boolean", help: "replace the pods instead: as many stay" },
  replace: { kind: "boolean", help: "the same", hidden: true },
} as const;

export const scaledown = command(
  {
    summary: "Delete chosen pods of a CloneSet, and scale it down by as many",
    usage: "CLONESET --pods=POD,POD [flags]",
    examples: "  kubectl-kruise scaledown cloneset/web --pods=web-x2x9k,web-p4b7n",
  },
  flags,
  async ({ words, values, session: open }) => {
    const names = [...new Set(values.pods.map((name) => name.replace(/^pods?\//, "")).filter((name) => name !== ""))];
    if (names.length === 0) throw new Misused("error: --pods is required: name the pods to delete");
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    const targets = await targetsOf(session, { words }, { type: "clonesets.apps.kruise.io" });
    if (targets.length > 1) throw new Misused("error: only one CloneSet at a time: write --pods=a,b without blanks");
    return each(targets, async (target) => {
      if (target.of.kind !== "CloneSet") throw new Refused(`error: ${quotedName(target)}: selective pod deletion is for CloneSets`);
      const chosen = await Promise.all(names.map((name) => podOf(session, target, name)));
      if (values["keep-replicas"] || values.replace) {
        for (const pod of chosen)
          await write(session, { of: pods, object: pod }, (fresh) => withAt(fresh, ["metadata", "labels", label.specifiedDelete], "true"), {
            dryRun,
          });
        return printer.print(target, `pods replaced: ${names.join(", ")}`);
      }
      const object = await write(session, target, (fresh) => without(target, fresh, names), {
        dryRun,
        fieldManager: values["field-manager"],
      });
      if (!printer.isForPrograms) out(`# ${target.object.metadata.name} delete pods [${names.join(" ")}] successfully\n`);
      await printer.print(target, "selective pod deletion", object);
    });
  },
);

async function podOf(session: Session, target: Target, name: string): Promise<Pod> {
  const { namespace = "", uid } = target.object.metadata;
  const pod = must(await session.client.get(pods, { namespace, name }));
  if (!pod.metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid))
    throw new Refused(`error: pod "${name}" does not belong to ${quotedName(target)}`);
  if (!isActive(pod)) throw new Refused(`error: pod "${name}" is on its way out already`);
  return pod;
}

function without(target: Target, object: Readonly<KubeObject>, names: readonly string[]): KubeObject {
  const { replicas = 1, scaleStrategy } = fieldsOf(fieldsOf(object)["spec"]);
  const listed = itemsOf(fieldsOf(scaleStrategy)["podsToDelete"]);
  const again = names.find((name) => listed.includes(name));
  if (again !== undefined)
    throw new Refused(`error: pod "${again}" is in spec.scaleStrategy.podsToDelete of ${quotedName(target)} already`);
  const left = Number(replicas) - names.length;
  if (left < 0) throw new Refused(`error: ${quotedName(target)} has ${String(replicas)} replicas, and ${names.length} pods were named`);
  return withAt(withAt(object as KubeObject, ["spec", "replicas"], left), ["spec", "scaleStrategy", "podsToDelete"], [...listed, ...names]);
}
