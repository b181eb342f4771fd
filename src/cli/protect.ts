/** `protect` and `unprotect`: the label that keeps objects from being deleted. */
import { label } from "../api/names.ts";
import { command } from "./command.ts";
import { each } from "./each.ts";
import { withAt } from "./edit.ts";
import { dryRunFlags, fileFlags, printFlags, selectFlags } from "./globals.ts";
import { targetsOf } from "./objects.ts";
import { Printer } from "./output.ts";
import { Misused } from "./refused.ts";
import { dryRunOf, write } from "./write.ts";

const flags = { ...fileFlags, ...printFlags, ...selectFlags, ...dryRunFlags } as const;
const usage = "(TYPE NAME | TYPE/NAME | -f FILE) [flags]";
const path = ["metadata", "labels", label.deletionProtection];

export const protect = command(
  { summary: "Keep objects from being deleted", usage, examples: "  kubectl-kruise protect namespace/shop --mode=Cascading" },
  { ...flags, mode: { kind: "string", default: "Always", help: "Always; Cascading: as long as there is something in it" } } as const,
  async ({ words, values, session: open }) => {
    if (values.mode !== "Always" && values.mode !== "Cascading")
      throw new Misused(`error: --mode=${values.mode}: expected Always or Cascading`);
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    return each(await targetsOf(session, { words, ...values }), async (target) => {
      const object = await write(session, target, (fresh) => withAt(fresh, path, values.mode), {
        dryRun,
        fieldManager: values["field-manager"],
      });
      await printer.print(target, "protected", object);
    });
  },
);

export const unprotect = command({ summary: "Let objects be deleted again", usage }, flags, async ({ words, values, session: open }) => {
  const dryRun = dryRunOf(values["dry-run"]);
  const printer = new Printer(values, dryRun);
  const session = await open();
  return each(await targetsOf(session, { words, ...values }), async (target) => {
    const object = await write(session, target, (fresh) => withAt(fresh, path, undefined), {
      dryRun,
      fieldManager: values["field-manager"],
    });
    await printer.print(target, "unprotected", object);
  });
});
