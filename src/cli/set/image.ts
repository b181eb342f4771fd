/** `set image`: which image containers run. */
import { textOf } from "../../kube/json.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";
import { dryRunFlags, fileFlags, printFlags, recordFlags, selectFlags } from "../globals.ts";
import { targetsOf } from "../objects.ts";
import { note, Printer } from "../output.ts";
import { Misused, Refused } from "../refused.ts";
import { at } from "../shapes.ts";
import { causeOf, dryRunOf, write } from "../write.ts";
import { containerName, containersOf, withContainers } from "./containers.ts";

const flags = { ...fileFlags, ...printFlags, ...selectFlags, ...dryRunFlags, ...recordFlags } as const;

export const image = command(
  {
    summary: "Change the images of containers",
    usage: "(TYPE NAME | TYPE/NAME | -f FILE) CONTAINER=IMAGE ... [flags]",
    examples:
      "  kubectl-kruise set image cloneset/web app=app:v2\n  kubectl-kruise set image sidecarset/logs '*=agent:v3' --dry-run=server",
  },
  flags,
  async ({ words, values, line, session: open }) => {
    const images = new Map<string, string>();
    for (const pair of words.filter((word) => word.includes("="))) {
      const equals = pair.indexOf("=");
      const [name, reference] = [pair.slice(0, equals), pair.slice(equals + 1)];
      if (name === "" || reference === "") throw new Misused(`error: "${pair}": expected CONTAINER=IMAGE`);
      images.set(name, reference);
    }
    if (images.size === 0) throw new Misused("error: at least one image update is required");
    if (images.has("*") && images.size > 1)
      throw new Misused("error: all containers are already specified by *, but saw more than one container_name=container_image pairs");
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    const targets = await targetsOf(session, { ...values, words: words.filter((word) => !word.includes("=")) });
    return each(targets, async (target) => {
      const known = new Set(containersOf(target).map(containerName));
      const missing = [...images.keys()].find((name) => name !== "*" && !known.has(name));
      const object = await write(
        session,
        target,
        (fresh) =>
          withContainers(target, fresh, (found) => {
            const wanted = images.get(containerName(found)) ?? images.get("*");
            return wanted === undefined || textOf(found.container["image"]) === wanted ? undefined : { ...found.container, image: wanted };
          }),
        { dryRun, fieldManager: values["field-manager"], cause: causeOf(target, values.record, line) },
      );
      if (object !== undefined) {
        await printer.print(target, "image updated", object);
        const policy =
          at(object, ["spec", "updateStrategy", "rollingUpdate", "podUpdatePolicy"]) ?? at(object, ["spec", "updateStrategy", "type"]);
        if (target.of.kind === "CloneSet" && !printer.isForPrograms)
          note(`${String(policy ?? "ReCreate").startsWith("InPlace") ? "pods are updated in place" : "pods are created anew"}\n`);
      }
      if (missing !== undefined) throw new Refused(`error: unable to find container named "${missing}"`);
    });
  },
);
