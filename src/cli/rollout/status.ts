/** `rollout status`: waits until an update is over, with a line whenever something has changed. */
import { label } from "../../api/names.ts";
import { sleep } from "../../env/env.ts";
import { fieldsOf } from "../../kube/json.ts";
import { pods } from "../../kube/kinds.ts";
import { isActive, isReady } from "../../kube/pod.ts";
import { selectorText } from "../../kube/selector.ts";
import { formatDuration } from "../../kube/time.ts";
import type { LabelSelector } from "../../kube/types.ts";
import { matchesRevision } from "../../workload/revision/index.ts";
import { command } from "../command.ts";
import { globalArgs, kubectl } from "../delegate.ts";
import { fileFlags } from "../globals.ts";
import { nameOf, quotedName, refTo, type Target, targetsOf } from "../objects.ts";
import { out } from "../output.ts";
import { Misused, Refused } from "../refused.ts";
import { must, type Session } from "../session.ts";
import { isBuiltIn } from "../shapes.ts";
import { type Progress, progressOf } from "./progress.ts";

const lookEveryMs = 500;

const flags = {
  ...fileFlags,
  watch: { kind: "boolean", short: "w", default: true, help: "wait until it is over" },
  timeout: { kind: "duration", default: "0s", help: "how long to wait; 0: as long as it takes" },
  detail: { kind: "boolean", short: "d", help: "CloneSet: which updated pods are ready, which are not" },
  revision: { kind: "integer", help: "refuse another revision than this" },
  output: { kind: "string", short: "o", help: "json: one object a line" },
  "exit-zero": { kind: "boolean", help: "with --watch=false: 0 also when it is not over" },
} as const;

export const status = command(
  {
    summary: "Wait until an update is over",
    usage: "(TYPE NAME | TYPE/NAME | -f FILE) [flags]",
    examples: "  kubectl-kruise rollout status cloneset/web --timeout=5m\n  kubectl-kruise rollout status crr/restart-web --watch=false",
  },
  flags,
  async ({ words, values, given, session: open }) => {
    if (values.output !== "" && values.output !== "json") throw new Misused(`error: -o ${values.output}: expected json`);
    const session = await open();
    const targets = await targetsOf(session, { words, ...values }, { bareTypeIsFine: true });
    const [target] = targets;
    if (target === undefined || targets.length > 1)
      throw new Misused(
        `error: rollout status is only supported on individual resources and resource collections - ${targets.length} resources were found`,
      );
    if (isBuiltIn(target.of)) {
      const more = [
        `--watch=${values.watch}`,
        `--timeout=${formatDuration(values.timeout)}`,
        ...(values.revision ? [`--revision=${values.revision}`] : []),
      ];
      return kubectl(["rollout", "status", nameOf(target), ...globalArgs(values, given), ...more, `--namespace=${session.namespace}`]);
    }
    if (progressOf(target.of, target.object) === undefined)
      throw new Refused(`error: no status viewer has been implemented for ${target.of.kind}.${target.of.group}`);
    const tell = async (current: Target, { is, line }: Progress) => {
      if (values.output === "json") return out(`${JSON.stringify({ object: nameOf(current), state: is, message: line })}\n`);
      if (is !== "failed") out(`${line}${values.detail ? await detailOf(session, current) : ""}\n`);
    };
    return follow(session, target, { tell, watch: values.watch, timeoutMs: values.timeout, alwaysZero: values["exit-zero"] });
  },
);

export interface Following {
  readonly tell: (target: Target, progress: Progress) => Promise<void>;
  readonly watch: boolean;
  /** 0: no limit. */
  readonly timeoutMs: number;
  readonly alwaysZero?: boolean;
}

/** @returns the exit code. @throws Refused when it failed, is gone, or takes too long */
export async function follow(session: Session, target: Target, { tell, watch, timeoutMs, alwaysZero }: Following): Promise<number> {
  const { env, client } = session;
  const startMs = env.monotonicMs();
  const told = { line: "" };
  for (let current = target; ; ) {
    const progress = progressOf(current.of, current.object) as Progress;
    if (progress.line !== told.line) await tell(current, progress);
    told.line = progress.line;
    if (progress.is === "failed") throw new Refused(progress.line, "Failed");
    if (progress.is === "done") return 0;
    if (!watch) return alwaysZero ? 0 : 1;
    if (timeoutMs > 0 && env.monotonicMs() - startMs >= timeoutMs)
      throw new Refused(`error: timed out waiting for the condition: ${progress.line}${await whatHolds(session, current)}`, "Timeout");
    await sleep(env, Math.min(lookEveryMs, timeoutMs > 0 ? Math.max(1, timeoutMs - (env.monotonicMs() - startMs)) : lookEveryMs));
    const now = await client.get(target.of, refTo(target));
    if (!now.ok && now.why === "notFound") throw new Refused(`error: object has been deleted: ${quotedName(target)}`, "NotFound");
    // A server that is away for a moment comes back.
    if (!now.ok && now.why === "unavailable") continue;
    const object = must(now);
    if (object.metadata.uid !== target.object.metadata.uid)
      throw new Refused(`error: object has been deleted: ${quotedName(target)} is another one now`, "NotFound");
    current = { of: target.of, object };
  }
}

/** The pods that are not ready, for who waits in vain. */
async function whatHolds(session: Session, target: Target): Promise<string> {
  if (target.of.kind !== "CloneSet") return "";
  const { notReady } = await updatedPods(session, target);
  return notReady.length === 0 ? "" : `; not ready: ${notReady.join(", ")}; kubectl-kruise explain ${nameOf(target)} says what holds them`;
}

async function detailOf(session: Session, target: Target): Promise<string> {
  if (target.of.kind !== "CloneSet") return "";
  const { ready, notReady } = await updatedPods(session, target);
  return `\nUpdated ready pods: [${ready.join(" ")}]\nUpdated not ready pods: [${notReady.join(" ")}]`;
}

async function updatedPods(session: Session, { object }: Target) {
  const { spec, status: seen } = object as { spec?: unknown; status?: unknown };
  const labelSelector = selectorText(fieldsOf(spec)["selector"] as LabelSelector | undefined);
  const revision = String(fieldsOf(seen)["updateRevision"] ?? "");
  const listed = await session.client.list(pods, { namespace: object.metadata.namespace ?? "", labelSelector });
  const updated = (listed.ok ? listed.object : []).filter(
    (pod) => isActive(pod) && matchesRevision(pod.metadata.labels?.[label.controllerRevisionHash], revision),
  );
  const namesOf = (ready: boolean) =>
    updated
      .filter((pod) => isReady(pod) === ready)
      .map(({ metadata }) => metadata.name)
      .sort();
  return { ready: namesOf(true), notReady: namesOf(false) };
}
