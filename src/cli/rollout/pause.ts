/** `rollout pause` and `rollout resume`: the one switch that the kind has for it. */
import { type Call, command } from "../command.ts";
import { each } from "../each.ts";
import { withAt } from "../edit.ts";
import { dryRunFlags, fileFlags, printFlags, selectFlags } from "../globals.ts";
import { quotedName, type Target, targetsOf } from "../objects.ts";
import { Printer } from "../output.ts";
import { Refused } from "../refused.ts";
import { at, shapeOf } from "../shapes.ts";
import { dryRunOf, write } from "../write.ts";

const flags = {
  ...fileFlags,
  ...printFlags,
  ...selectFlags,
  ...dryRunFlags,
  "ignore-already": { kind: "boolean", help: "an object that is so already is no error" },
} as const;

export const pause = verb({
  summary: "Keep an update from going on",
  wanted: true,
  participle: "paused",
  gerund: "pausing",
  already: "is already paused",
});
export const resume = verb({
  summary: "Let a paused update go on",
  wanted: false,
  participle: "resumed",
  gerund: "resuming",
  already: "is not paused",
});

interface Verb {
  readonly summary: string;
  readonly wanted: boolean;
  readonly participle: string;
  readonly gerund: string;
  readonly already: string;
}

function verb(words: Verb) {
  const usage = "(TYPE NAME | TYPE/NAME | -f FILE) [flags]";
  return command(
    { summary: words.summary, usage, examples: `  kubectl-kruise rollout ${words.wanted ? "pause" : "resume"} cloneset/web` },
    flags,
    (call) => run(call, words),
  );
}

async function run({ words, values, session: open }: Call<typeof flags>, { wanted, participle, gerund, already }: Verb): Promise<number> {
  const dryRun = dryRunOf(values["dry-run"]);
  const printer = new Printer(values, dryRun);
  const session = await open();
  const targets = await targetsOf(session, { words, ...values });
  return each(targets, async (target) => {
    const path = shapeOf(target.of)?.paused;
    if (path === undefined) throw new Refused(`error: ${quotedName(target)} ${gerund} is not supported`);
    if ((at(target.object, path) === true) === wanted) {
      if (values["ignore-already"]) return printer.print(target, participle);
      throw new Refused(`error: ${quotedName(target)} ${already}`);
    }
    const change = (object: Target["object"]) =>
      (at(object, path) === true) === wanted ? undefined : withAt(object, path, wanted || undefined);
    const object = await write(session, target, change, { dryRun, fieldManager: values["field-manager"] });
    await printer.print(target, participle, object);
  });
}
