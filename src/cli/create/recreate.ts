/** `create ContainerRecreateRequest`: restart containers where they are, of one pod or of all pods of a workload in waves. */
import { type ContainerRecreateRequest, containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import { fieldsOf } from "../../kube/json.ts";
import { pods } from "../../kube/kinds.ts";
import { isActive } from "../../kube/pod.ts";
import { selectorText } from "../../kube/selector.ts";
import type { LabelSelector, Pod } from "../../kube/types.ts";
import { type Call, command } from "../command.ts";
import { dryRunFlags, printFlags } from "../globals.ts";
import { targetsOf } from "../objects.ts";
import { note, Printer } from "../output.ts";
import { Misused, Refused } from "../refused.ts";
import { follow } from "../rollout/status.ts";
import { must, type Session } from "../session.ts";
import { dryRunOf } from "../write.ts";
import { make } from "./make.ts";

const seconds = (help: string, more: object = {}) => ({ kind: "integer" as const, help, ...more });
const flags = {
  ...printFlags,
  ...dryRunFlags,
  pod: { kind: "string", short: "p", help: "the pod" },
  containers: { kind: "list", short: "c", help: "its containers, in this order; default: all" },
  unreadyGracePeriodSeconds: seconds("out of service so long before the first stop; default 3", { short: "u" }),
  "unready-grace-period-seconds": seconds("the same", { hidden: true }),
  minStartedSeconds: seconds("so long a new container has to run to count; default 3", { short: "m" }),
  "min-started-seconds": seconds("the same", { hidden: true }),
  terminationGracePeriodSeconds: seconds("until a container is killed; default: the pod's"),
  "termination-grace-period-seconds": seconds("the same", { hidden: true }),
  "active-deadline-seconds": seconds("when it is given up", { default: 300 }),
  ttl: seconds("seconds until an ended request is deleted", { default: 1800 }),
  ordered: { kind: "boolean", help: "the next container only when the one before is ready again" },
  force: { kind: "boolean", help: "also what was restarted meanwhile" },
  "failure-policy": { kind: "string", default: "Fail", help: "Fail or Ignore" },
  "max-unavailable": { kind: "integer", default: 1, help: "of a workload: so many pods at a time" },
  wait: { kind: "duration", bare: "1h", default: "0s", help: "until it has ended; the exit code is 0 when all containers succeeded" },
} as const;
type Flags = typeof flags;

export const recreate = command(
  {
    summary: "Restart containers of a pod, or of all pods of a workload, in place",
    usage: "[NAME] --pod=POD [flags] | create crr TYPE/NAME [flags]",
    examples:
      "  kubectl-kruise create ContainerRecreateRequest restart-web --pod=web-x2x9k --containers=app --wait\n  kubectl-kruise create crr cloneset/web --containers=app --max-unavailable=2",
  },
  flags,
  async (call) => {
    const { words, values } = call;
    const [word] = words;
    if (words.length > 1) throw new Misused(`error: exactly one NAME is required, got ${words.length}`);
    if (word?.includes("/")) return forWorkload(call, word);
    if (values.pod === "") throw new Misused("error: --pod is required");
    const session = await call.session();
    const pod = must(await session.client.get(pods, { namespace: session.namespace, name: values.pod }));
    const printer = new Printer(values, dryRunOf(values["dry-run"]));
    const made = await request(call, session, printer, pod, word);
    return values.wait > 0 && made !== undefined ? ended(session, printer, made, values.wait) : 0;
  },
);

async function request(
  call: Call<Flags>,
  session: Session,
  printer: Printer,
  pod: Pod,
  name: string | undefined,
): Promise<ContainerRecreateRequest | undefined> {
  const { values } = call;
  const given = (...names: (keyof Flags & string)[]): number | undefined => {
    const found = names.find((each) => call.given.has(each));
    return found === undefined ? undefined : (values[found] as number);
  };
  const known = pod.spec.containers.map((container) => container.name);
  const wanted = values.containers.length > 0 ? values.containers : known;
  const grace = given("terminationGracePeriodSeconds", "termination-grace-period-seconds");
  const draft = {
    metadata: { ...(name === undefined ? { generateName: `${pod.metadata.name}-` } : { name }), namespace: session.namespace },
    spec: {
      podName: pod.metadata.name,
      containers: wanted.map((container) => ({ name: container })),
      strategy: {
        failurePolicy: values["failure-policy"],
        orderedRecreate: values.ordered,
        ...(values.force ? { forceRecreate: true } : {}),
        ...(grace === undefined ? {} : { terminationGracePeriodSeconds: grace }),
        unreadyGracePeriodSeconds: given("unreadyGracePeriodSeconds", "unready-grace-period-seconds") ?? 3,
        minStartedSeconds: given("minStartedSeconds", "min-started-seconds") ?? 3,
      },
      activeDeadlineSeconds: values["active-deadline-seconds"],
      ttlSecondsAfterFinished: values.ttl,
    },
  };
  return make(session, printer, containerRecreateRequests, draft, {
    dryRun: dryRunOf(values["dry-run"]),
    fieldManager: values["field-manager"],
  });
}

async function ended(session: Session, printer: Printer, made: ContainerRecreateRequest, timeoutMs: number): Promise<number> {
  const tell = async (_: unknown, { line }: { readonly line: string }) => {
    if (!printer.isForPrograms) note(`${line}\n`);
  };
  return follow(session, { of: containerRecreateRequests, object: made }, { tell, watch: true, timeoutMs });
}

/** One wave after the other; the first that does not succeed ends it. */
async function forWorkload(call: Call<Flags>, word: string): Promise<number> {
  const { values } = call;
  if (values.pod !== "") throw new Misused("error: give --pod or TYPE/NAME, not both");
  if (values["max-unavailable"] < 1) throw new Misused(`error: --max-unavailable=${values["max-unavailable"]}: at least 1`);
  const session = await call.session();
  const [target] = await targetsOf(session, { words: [word] });
  if (target === undefined) return 0;
  const selector = fieldsOf(fieldsOf(target.object)["spec"])["selector"] as LabelSelector | undefined;
  const { uid, namespace = "" } = target.object.metadata;
  const listed = selector === undefined ? [] : must(await session.client.list(pods, { namespace, labelSelector: selectorText(selector) }));
  const own = listed.filter(
    (pod) => isActive(pod) && pod.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.controller === true),
  );
  if (own.length === 0) throw new Refused(`error: ${word} has no pods`);
  const printer = new Printer(values, dryRunOf(values["dry-run"]));
  for (let at = 0; at < own.length; at += values["max-unavailable"]) {
    const wave = await Promise.all(
      own.slice(at, at + values["max-unavailable"]).map((pod) => request(call, session, printer, pod, undefined)),
    );
    const made = wave.filter((each) => each !== undefined);
    await Promise.all(made.map((each) => ended(session, printer, each, values.wait > 0 ? values.wait : 3_600_000)));
  }
  return 0;
}
