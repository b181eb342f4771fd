/** `set resources` and `set serviceaccount`. */
import { parseQuantity } from "../../kube/quantity.ts";
import { command } from "../command.ts";
import { each } from "../each.ts";
import { withAt } from "../edit.ts";
import { dryRunFlags, fileFlags, printFlags, recordFlags, selectFlags } from "../globals.ts";
import { quotedName, targetsOf } from "../objects.ts";
import { Printer } from "../output.ts";
import { Misused, Refused } from "../refused.ts";
import { shapeOf } from "../shapes.ts";
import { causeOf, dryRunOf, write } from "../write.ts";
import { containerName, containersOf, matchesName, withContainers } from "./containers.ts";

const shared = { ...fileFlags, ...printFlags, ...selectFlags, ...dryRunFlags, ...recordFlags } as const;

export const resources = command(
  {
    summary: "Change requests and limits of containers",
    usage: "(TYPE NAME | TYPE/NAME | -f FILE) [--limits=LIMITS] [--requests=REQUESTS] [flags]",
    examples: "  kubectl-kruise set resources cloneset/web -c app --limits=cpu=500m,memory=1Gi",
  },
  {
    ...shared,
    containers: { kind: "string", short: "c", default: "*", help: "names of containers; * any run" },
    limits: { kind: "string", help: "cpu=500m,memory=1Gi; a value of 0 takes one away" },
    requests: { kind: "string", help: "cpu=100m,memory=256Mi" },
    init: { kind: "boolean", help: "init containers too" },
  } as const,
  async ({ words, values, line, session: open }) => {
    const wanted = { limits: amountsIn("limits", values.limits), requests: amountsIn("requests", values.requests) };
    if (wanted.limits === undefined && wanted.requests === undefined)
      throw new Misused("error: you must specify an update to requests or limits (in the form of --requests/--limits)");
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    return each(await targetsOf(session, { words, ...values }), async (target) => {
      const isChosen = (found: Parameters<typeof containerName>[0] & { isInit: boolean }) =>
        (values.init || !found.isInit) && matchesName(values.containers, containerName(found));
      if (!containersOf(target).some(isChosen)) throw new Refused(`error: unable to find container named "${values.containers}"`);
      const object = await write(
        session,
        target,
        (fresh) =>
          withContainers(target, fresh, (found) => {
            if (!isChosen(found)) return undefined;
            let container = found.container;
            for (const field of ["limits", "requests"] as const)
              for (const [name, amount] of Object.entries(wanted[field] ?? {}))
                container = withAt(container, ["resources", field, name], isNothing(amount) ? undefined : amount);
            return container;
          }),
        { dryRun, fieldManager: values["field-manager"], cause: causeOf(target, values.record, line) },
      );
      if (object !== undefined) await printer.print(target, "resource requirements updated", object);
    });
  },
);

function amountsIn(flag: string, text: string): Readonly<Record<string, string>> | undefined {
  if (text === "") return undefined;
  return Object.fromEntries(
    text.split(",").map((pair) => {
      const [name = "", amount = "", ...more] = pair.split("=");
      if (name === "" || more.length > 0 || parseQuantity(amount) === undefined)
        throw new Misused(`error: --${flag}=${text}: "${pair}" is no resource and quantity such as cpu=500m`);
      return [name, amount];
    }),
  );
}

function isNothing(amount: string): boolean {
  return /^0+$/.test(amount);
}

export const serviceAccount = command(
  {
    summary: "Change the service account that pods run under",
    usage: "(TYPE NAME | TYPE/NAME | -f FILE) SERVICE_ACCOUNT [flags]",
    examples: "  kubectl-kruise set serviceaccount cloneset/web robot",
  },
  shared,
  async ({ words, values, line, session: open }) => {
    const account = words.at(-1);
    if (account === undefined || account.includes("/") || (words.length < 2 && values.filename.length === 0))
      throw new Misused("error: serviceaccount is required");
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    return each(await targetsOf(session, { ...values, words: words.slice(0, -1) }), async (target) => {
      const { template, pod } = shapeOf(target.of) ?? {};
      if (pod === undefined || template === undefined)
        throw new Refused(`error: ${quotedName(target)} has no pod template with a service account`);
      const object = await write(session, target, (fresh) => withAt(fresh, [...pod, "serviceAccountName"], account), {
        dryRun,
        fieldManager: values["field-manager"],
        cause: causeOf(target, values.record, line),
      });
      await printer.print(target, "serviceaccount updated", object);
    });
  },
);
