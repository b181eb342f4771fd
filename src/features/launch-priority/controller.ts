/** Lets the containers of a pod start, from the highest priority down. */
import { annotation } from "../../api/names.ts";
import { controller } from "../../engine/controller.ts";
import { type Action, change, create, type Plan, remove, type WriteStep } from "../../engine/plan.ts";
import { refOf } from "../../kube/kind.ts";
import { configMaps, pods } from "../../kube/kinds.ts";
import { type Failure, failureText } from "../../kube/outcome.ts";
import type { ConfigMap, KubeObject, Pod } from "../../kube/types.ts";
import { barrierKey, barrierName, concernsLaunch, isCompleted, launchOf } from "./barrier.ts";

export interface Observed {
  readonly pod: Readonly<Pod>;
  /** Read live: watching every ConfigMap of the cluster for the few that are barriers would cost more than it saves. */
  readonly barrier: { readonly ok: true; readonly object: Readonly<ConfigMap> } | Failure;
}

export const launchPriorityController = controller<Observed, never>({
  name: "container-launch-priority-controller",
  of: pods,
  workers: { count: 4 },
  watches: [],
  concerns: ({ after }) => after !== undefined && concernsLaunch(after as Readonly<KubeObject> as Readonly<Pod>),
  observe: async ({ read }, key) => {
    const pod = read.get(pods, key);
    if (pod === undefined || !concernsLaunch(pod)) return undefined;
    const barrier = await read.live.get(configMaps, { namespace: key.namespace, name: barrierName(key.name) });
    return { pod, barrier };
  },
  plan: planLaunch,
});

const barrierId = "barrier";
/** ms until the barrier of a pod is looked for again that has been let go and has not started everything. */
const missingAgainMs = 30_000;

export function planLaunch({ pod, barrier }: Observed): Plan<never> {
  if (!barrier.ok && barrier.why !== "notFound") return { actions: [], retry: `reading the barrier: ${failureText(barrier)}` };
  const { all, waiting } = launchOf(pod);
  // Everything down to the highest that is not ready may run: also after the ConfigMap got lost on the way.
  const open = isCompleted(pod) ? all : all.filter((priority) => waiting[0] === undefined || priority >= waiting[0]);
  const actions = [...openBarrier(pod, open, barrier.ok ? barrier.object : undefined)];
  // Nobody tells when a barrier goes: as long as a container may miss it, it is looked for.
  if (isCompleted(pod)) return { actions, requeueAfterMs: missingAgainMs };
  const isLast = waiting.length <= 1 || (barrier.ok && isOf(barrier.object, pod) && hasKey(barrier.object, waiting.at(-1)));
  if (isLast) {
    const after = actions.length > 0 ? [barrierId] : [];
    actions.push(change<Pod>({ id: "completed", on: refOf(pods, pod), after, steps: [complete] }));
  }
  return { actions };
}

const hasKey = (barrier: Readonly<ConfigMap>, priority: number | undefined): boolean =>
  priority !== undefined && Object.hasOwn(barrier.data ?? {}, barrierKey(priority));

/** A ConfigMap without an owner is somebody's own and is added to; one of an earlier pod of this name has all its keys already. */
function isOf(barrier: Readonly<ConfigMap>, pod: Readonly<Pod>): boolean {
  const owners = barrier.metadata.ownerReferences?.filter(({ kind }) => kind === "Pod") ?? [];
  return owners.length === 0 || owners.some(({ uid }) => uid === pod.metadata.uid);
}

function openBarrier(pod: Readonly<Pod>, open: readonly number[], barrier: Readonly<ConfigMap> | undefined): readonly Action[] {
  const data = Object.fromEntries(open.map((priority) => [barrierKey(priority), "true"]));
  if (barrier === undefined) return [createBarrier(pod, data)];
  if (!isOf(barrier, pod)) {
    const gone = remove<ConfigMap>({ id: "barrier-of-before", on: refOf(configMaps, barrier) });
    return [gone, createBarrier(pod, data, gone.id)];
  }
  if (open.every((priority) => hasKey(barrier, priority))) return [];
  const step: WriteStep<ConfigMap> = {
    name: "open",
    precondition: "uid",
    onConflict: "retry",
    write: (fresh) => {
      const missing = Object.entries(data).filter(([key]) => !Object.hasOwn(fresh.data ?? {}, key));
      return missing.length === 0 ? undefined : { patch: "merge", body: { data: Object.fromEntries(missing) } };
    },
  };
  return [change<ConfigMap>({ id: barrierId, on: refOf(configMaps, barrier), steps: [step], goneIsFine: false })];
}

function createBarrier(pod: Readonly<Pod>, data: Record<string, string>, after?: string): Action {
  const { name, namespace, uid } = pod.metadata;
  return create<ConfigMap>({
    id: barrierId,
    of: configMaps,
    object: {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: barrierName(name), namespace, ownerReferences: [{ apiVersion: "v1", kind: "Pod", name, uid }] },
      data,
    },
    ...(after === undefined ? {} : { after: [after] }),
  });
}

const complete: WriteStep<Pod> = {
  name: "completed",
  precondition: "uid",
  onConflict: "retry",
  write: (fresh) =>
    isCompleted(fresh)
      ? undefined
      : { patch: "strategic", body: { metadata: { annotations: { [annotation.containerLaunchPriorityCompleted]: "true" } } } },
};
