/** `create`: our own kinds in short; everything else is kubectl's. */
import { asksForHelp, type Command, groupHelp, named } from "../command.ts";
import { kubectl } from "../delegate.ts";
import { note, out } from "../output.ts";
import { Refused } from "../refused.ts";
import { imageListPullJob, imagePullJob, podUnavailableBudget } from "./pulls.ts";
import { recreate } from "./recreate.ts";

const commands: Readonly<Record<string, Command>> = {
  ContainerRecreateRequest: recreate,
  crr: recreate,
  imagepulljob: imagePullJob,
  imagelistpulljob: imageListPullJob,
  podunavailablebudget: podUnavailableBudget,
  pub: podUnavailableBudget,
};
/** Kinds of OpenKruise that are not here. */
const absent: ReadonlySet<string> = new Set(["broadcastjob", "bcj", "ephemeraljob", "resourcedistribution"]);

export const create: Command = {
  summary: "Create objects from files, or our own kinds in short",
  below: async () => commands,
  async run(args, path) {
    const [word] = args;
    const found = word === undefined ? undefined : named(commands, word);
    if (found !== undefined) return found.command.run(args.slice(1), `${path} ${found.name}`);
    if (word !== undefined && absent.has(word.toLowerCase())) throw new Refused(`error: Kruiser has no ${word}`);
    const help = groupHelp("Create objects. `create -f FILE` and what is not listed here is done by kubectl.", commands, path);
    if (args.length === 0) {
      note(`error: must specify one of -f and -k\n\n${help}`);
      return 1;
    }
    if (asksForHelp(args) && (word?.startsWith("-") ?? true)) {
      out(help);
      return 0;
    }
    return kubectl(["create", ...args]);
  },
};
