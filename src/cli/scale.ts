/** `scale`: how many, through the scale subresource. */
import { sleep } from "../env/env.ts";
import { fieldsOf } from "../kube/json.ts";
import { command } from "./command.ts";
import { each } from "./each.ts";
import { dryRunFlags, fileFlags, printFlags, recordFlags, selectFlags } from "./globals.ts";
import { quotedName, refTo, type Target, targetsOf } from "./objects.ts";
import { Printer } from "./output.ts";
import { Misused, Refused, refusal } from "./refused.ts";
import { must, type Session } from "./session.ts";
import { dryRunOf } from "./write.ts";

const lookEveryMs = 200;

const flags = {
  ...fileFlags,
  ...printFlags,
  ...selectFlags,
  ...dryRunFlags,
  ...recordFlags,
  replicas: { kind: "integer", help: "how many there are to be" },
  "current-replicas": { kind: "integer", default: -1, help: "only if there are so many now" },
  "resource-version": { kind: "string", help: "only if it is at this version" },
  timeout: { kind: "duration", default: "0s", help: "wait so long until there are; 0: do not wait" },
} as const;

export const scale = command(
  {
    summary: "Set how many pods a workload has",
    usage: "--replicas=COUNT (TYPE NAME | TYPE/NAME | -f FILE) [flags]",
    examples: "  kubectl-kruise scale cloneset/web --replicas=7",
  },
  flags,
  async ({ words, values, given, session: open }) => {
    const { replicas } = values;
    if (!given.has("replicas") || replicas < 0)
      throw new Misused("error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    return each(await targetsOf(session, { words, ...values }), async (target) => {
      await check(session, target, values["current-replicas"], values["resource-version"]);
      if (dryRun !== "client") {
        const precondition = values["resource-version"] ? { metadata: { resourceVersion: values["resource-version"] } } : {};
        const options = { subresource: "scale" as const, dryRun: dryRun === "server", fieldManager: values["field-manager"] };
        const written = await session.client.patch(refTo(target), "merge", { ...precondition, spec: { replicas } }, options);
        if (!written.ok) throw refusal(written);
        if (values.timeout > 0 && dryRun === "none") await settled(session, target, replicas, values.timeout);
      }
      await printer.print(target, "scaled", {
        ...target.object,
        spec: { ...fieldsOf(fieldsOf(target.object)["spec"]), replicas },
      } as typeof target.object);
    });
  },
);

async function check(session: Session, target: Target, current: number, version: string): Promise<void> {
  if (current >= 0) {
    const { replicas } = must(await session.client.scale(target.of, refTo(target)));
    if (replicas !== current) throw new Refused(`error: Expected replicas to be ${current}, was ${replicas}`);
  }
  if (version !== "" && target.object.metadata.resourceVersion !== version)
    throw new Refused(`error: Expected resource version to be ${version}, was ${target.object.metadata.resourceVersion}`);
}

async function settled(session: Session, target: Target, replicas: number, timeoutMs: number): Promise<void> {
  const endMs = session.env.monotonicMs() + timeoutMs;
  for (;;) {
    const object = must(await session.client.get(target.of, refTo(target)));
    const seen = fieldsOf(fieldsOf(object)["status"]);
    const isSeen = Number(seen["observedGeneration"] ?? object.metadata.generation ?? 0) >= (object.metadata.generation ?? 0);
    if (isSeen && Number(seen["replicas"] ?? 0) === replicas) return;
    if (session.env.monotonicMs() >= endMs) throw new Refused(`error: timed out waiting for ${quotedName(target)} to be synced`, "Timeout");
    await sleep(session.env, lookEveryMs);
  }
}
