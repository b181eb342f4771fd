/** `migrate CloneSet --from Deployment`: another workload takes over, pod by pod, and never with fewer pods than before. */
import { cloneSets } from "../api/cloneset.ts";
import { sleep } from "../env/env.ts";
import { type Fields, fieldsOf } from "../kube/json.ts";
import type { Kind } from "../kube/kind.ts";
import { deployments } from "../kube/kinds.ts";
import type { KubeObject, WorkloadObject } from "../kube/types.ts";
import { command } from "./command.ts";
import { withAt } from "./edit.ts";
import { note } from "./output.ts";
import { Misused, Refused, refusal } from "./refused.ts";
import { must, type Session } from "./session.ts";
import { write } from "./write.ts";

const lookEveryMs = 200;
const tellEveryMs = 1000;

const flags = {
  from: { kind: "string", help: "Deployment" },
  "src-name": { kind: "string", help: "name of the Deployment" },
  "dst-name": { kind: "string", help: "name of the CloneSet; default: that of the Deployment" },
  create: { kind: "boolean", help: "create the CloneSet; without: move replicas" },
  copy: { kind: "boolean", help: "with --create: as many replicas as the Deployment; without: none" },
  replicas: { kind: "integer", default: -1, help: "how many to move; -1: all" },
  "max-surge": { kind: "integer", default: 1, help: "how many pods there may be beyond those before" },
  "timeout-seconds": { kind: "integer", default: -1, help: "when to give up; -1: never" },
} as const;

export const migrate = command(
  {
    summary: "Move a Deployment's pods to a CloneSet",
    usage: "CloneSet --from Deployment -n NAMESPACE --src-name NAME --dst-name NAME [--create] [flags]",
    examples:
      "  kubectl-kruise migrate CloneSet --from Deployment -n shop --src-name web --dst-name web --create\n  kubectl-kruise migrate CloneSet --from Deployment -n shop --src-name web --dst-name web --max-surge=2",
  },
  flags,
  async ({ words, values, session: open }) => {
    const [to = ""] = words;
    if (words.length !== 1 || !["cloneset", "clone"].includes(to.toLowerCase()))
      throw new Misused("error: must specify the destination: CloneSet");
    if (values.from.toLowerCase() !== "deployment")
      throw new Misused(`error: --from=${values.from}: only Deployment can be migrated to CloneSet`);
    if (values.namespace === "") throw new Misused("error: must specify -n");
    if (values["src-name"] === "") throw new Misused("error: must specify --src-name");
    const names: Names = { source: values["src-name"], target: values["dst-name"] || (values.create ? values["src-name"] : "") };
    if (names.target === "") throw new Misused("error: must specify --dst-name");
    const session = await open();
    if (values.create) return createFrom(session, names, values.copy);
    return move(session, names, {
      replicas: values.replicas,
      surge: Math.max(1, values["max-surge"]),
      timeoutSeconds: values["timeout-seconds"],
    });
  },
);

interface Names {
  readonly source: string;
  readonly target: string;
}

const strangers = /^(kubectl\.kubernetes\.io\/last-applied-configuration$|deployment\.kubernetes\.io\/)/;

async function createFrom(session: Session, { source, target }: Names, copy: boolean): Promise<number> {
  const { namespace } = session;
  const { metadata, spec: from = {} } = must(await session.client.get(deployments, { namespace, name: source })) as WorkloadObject & {
    spec?: Fields;
  };
  const rolling = fieldsOf(fieldsOf(from["strategy"])["rollingUpdate"]);
  const annotations = Object.fromEntries(Object.entries(metadata.annotations ?? {}).filter(([key]) => !strangers.test(key)));
  const kept = ["revisionHistoryLimit", "minReadySeconds", "progressDeadlineSeconds"].filter((field) => from[field] !== undefined);
  const update = {
    ...pick(rolling, ["maxUnavailable", "maxSurge"]),
    ...(from["paused"] === true ? { paused: true } : {}),
    podUpdatePolicy: "ReCreate",
  };
  const made = await session.client.create(
    cloneSets as Kind,
    {
      metadata: {
        name: target,
        namespace,
        ...(metadata.labels ? { labels: metadata.labels } : {}),
        ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      },
      spec: {
        replicas: copy ? (from["replicas"] ?? 1) : 0,
        selector: from["selector"],
        template: from["template"],
        ...pick(from, kept),
        updateStrategy: { type: "RollingUpdate", rollingUpdate: update },
      },
    } as never,
  );
  if (!made.ok) throw refusal(made);
  note(`Successfully created from Deployment/${source} to CloneSet/${target}\n`);
  return 0;
}

function pick(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]));
}

interface Moving {
  /** -1: all. */
  readonly replicas: number;
  readonly surge: number;
  /** -1: no limit. */
  readonly timeoutSeconds: number;
}

/**
 * Everything that has to be known stands in the two objects: a command that was interrupted is simply given again.
 * @returns 0 when the CloneSet has taken over as many as asked
 */
async function move(session: Session, { source, target }: Names, { replicas, surge, timeoutSeconds }: Moving): Promise<number> {
  const { env } = session;
  const look = async () => ({ source: await seen(session, deployments, source), target: await seen(session, cloneSets as Kind, target) });
  const first = await look();
  await warnOfAutoscalers(session, source);
  if (replicas > first.source.wanted) note(`Deployment/${source} has ${first.source.wanted} replicas: as many are moved\n`);
  const total = replicas < 0 ? first.source.wanted : Math.min(replicas, first.source.wanted);
  const endMs = timeoutSeconds < 0 ? Number.POSITIVE_INFINITY : env.monotonicMs() + timeoutSeconds * 1000;
  let toldMs = env.monotonicMs();
  for (;;) {
    const now = await look();
    const outMoved = now.target.wanted - first.target.wanted;
    const inMoved = first.source.wanted - now.source.wanted;
    if (outMoved >= total && inMoved >= total) break;
    if (now.source.isSeen && now.target.isSeen) {
      const more = Math.min(surge - (outMoved - inMoved), total - outMoved);
      const fewer = Math.min(now.source.wanted, total - inMoved, outMoved - inMoved);
      if (more > 0) await rescale(session, cloneSets as Kind, now.target.object, more);
      else if (fewer > 0 && now.target.available === now.target.wanted) await rescale(session, deployments, now.source.object, -fewer);
    }
    if (env.monotonicMs() - toldMs >= tellEveryMs) {
      toldMs = env.monotonicMs();
      note(`Migration progress: Deployment/${source} scale in ${inMoved}, CloneSet/${target} scale out ${outMoved}\n`);
    }
    if (env.monotonicMs() >= endMs)
      throw new Refused(
        `error: failed to migrate: timed out: ${inMoved} of ${total} replicas moved from Deployment/${source} to CloneSet/${target}; give the command again with --replicas=${total - inMoved} to go on`,
        "Timeout",
      );
    await sleep(env, lookEveryMs);
  }
  note(`Successfully migrated ${total} replicas from Deployment/${source} to CloneSet/${target}\n`);
  return 0;
}

const autoscalers: Kind = {
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  namespaced: true,
};

/** It would put back what is taken away here. */
async function warnOfAutoscalers(session: Session, source: string): Promise<void> {
  const listed = await session.client.list(autoscalers, { namespace: session.namespace });
  for (const autoscaler of listed.ok ? listed.object : []) {
    const { kind, name } = fieldsOf(fieldsOf(fieldsOf(autoscaler)["spec"])["scaleTargetRef"]);
    if (kind === "Deployment" && name === source)
      note(
        `Warning: HorizontalPodAutoscaler/${autoscaler.metadata.name} scales Deployment/${source}: delete it first, or point it at the CloneSet\n`,
      );
  }
}

async function seen(session: Session, of: Kind, name: string) {
  const answer = await session.client.get(of, { namespace: session.namespace, name });
  if (!answer.ok) {
    const problem = refusal(answer);
    throw new Refused(`error: failed to migrate: ${problem.message}`, problem.reason, problem.code);
  }
  const object = answer.object;
  const [spec, status] = [fieldsOf(fieldsOf(object)["spec"]), fieldsOf(fieldsOf(object)["status"])];
  return {
    object,
    wanted: Number(spec["replicas"] ?? 1),
    available: Number(status["availableReplicas"] ?? 0),
    isSeen: Number(status["observedGeneration"] ?? 0) >= (object.metadata.generation ?? 0),
  };
}

async function rescale(session: Session, of: Kind, object: Readonly<KubeObject>, by: number): Promise<void> {
  const change = (fresh: Readonly<KubeObject>) => {
    const replicas = Number(fieldsOf(fieldsOf(fresh)["spec"])["replicas"] ?? 1);
    return withAt(fresh as KubeObject, ["spec", "replicas"], Math.max(0, replicas + by));
  };
  await write(session, { of, object }, change, { dryRun: "none" });
}
