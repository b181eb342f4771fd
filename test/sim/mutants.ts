/**
 * Deliberate defects, which the simulator has to find: each perturbs what a controller plans from, what is carried out, or what the engine
 * stands on. The product's code stays as it is.
 */
import type { CloneSet } from "../../src/api/cloneset.ts";
import type { ImagePullJob } from "../../src/api/imagepulljob.ts";
import type { PodUnavailableBudget } from "../../src/api/podunavailablebudget.ts";
import type { SidecarSet } from "../../src/api/sidecarset.ts";
import type { Controller } from "../../src/engine/controller.ts";
import type { Executor } from "../../src/engine/executor.ts";
import type { Action, Plan } from "../../src/engine/plan.ts";
import type { RunnerPorts } from "../../src/engine/runner.ts";
import type { Feature } from "../../src/features/feature.ts";
import type { Writer } from "../../src/kube/access.ts";
import { pods } from "../../src/kube/kinds.ts";
import type { Pod } from "../../src/kube/types.ts";

export interface Mutant {
  readonly name: string;
  /** The world in which it shows. */
  readonly feature: string;
  readonly controller?: (controller: Controller) => Controller;
  readonly ports?: (ports: RunnerPorts) => RunnerPorts;
  readonly executor?: (executor: Executor) => Executor;
  readonly features?: (features: readonly Feature[]) => readonly Feature[];
  /** Reviews do not wait until the caches they read from are filled. */
  readonly answersEarly?: true;
  /** What writes answer does not show in the cache before the watch brings it. */
  readonly forgetsWrites?: true;
}

const only = (name: string, change: (controller: Controller) => Partial<Controller>) => (controller: Controller) =>
  controller.name === name ? { ...controller, planInParts: undefined, ...change(controller) } : controller;

type Seen = { readonly cloneSet: CloneSet; readonly pods: readonly Pod[] };

/** The plan is made from a world that is not quite the one that was seen. */
const planningFrom = (change: (seen: Seen) => Partial<Record<string, unknown>>) =>
  only("cloneset-controller", (controller) => ({
    plan: (observed, nowMs) => controller.plan({ ...(observed as Seen), ...change(observed as Seen) }, nowMs),
  }));

const withRolling = (change: (rolling: Readonly<Record<string, unknown>>) => object) =>
  planningFrom(({ cloneSet }) => {
    const rolling = cloneSet.spec.updateStrategy?.rollingUpdate ?? {};
    const updateStrategy = { ...cloneSet.spec.updateStrategy, rollingUpdate: { ...rolling, ...change(rolling) } };
    return { cloneSet: { ...cloneSet, spec: { ...cloneSet.spec, updateStrategy } } };
  });

const withLifecycle = (change: (lifecycle: Readonly<NonNullable<CloneSet["spec"]["lifecycle"]>>) => object) =>
  planningFrom(({ cloneSet }) => ({
    cloneSet: { ...cloneSet, spec: { ...cloneSet.spec, lifecycle: change(cloneSet.spec.lifecycle ?? {}) } },
  }));

type SetSeen = { readonly set: SidecarSet };
const ofSidecarSet = (change: (strategy: Readonly<Record<string, unknown>>) => object) =>
  only("sidecarset-controller", (controller) => ({
    plan: (observed, nowMs) => {
      const { set } = observed as SetSeen;
      const updateStrategy = { ...set.spec.updateStrategy, ...change(set.spec.updateStrategy ?? {}) };
      return controller.plan({ ...(observed as SetSeen), set: { ...set, spec: { ...set.spec, updateStrategy } } }, nowMs);
    },
  }));

const changed = (feature: string, change: (feature: Feature) => Partial<Feature>) => (features: readonly Feature[]) =>
  features.map((each) => (each.name === feature ? { ...each, ...change(each) } : each));

const planned = (change: (plan: Plan) => Plan) =>
  only("cloneset-controller", (controller) => ({ plan: (observed, nowMs) => change(controller.plan(observed, nowMs)) }));

const oneMore = (value: unknown, absent: number): unknown =>
  typeof value === "string" ? `${Number(value.replace("%", "")) + 30}%` : Number(value ?? absent) + 1;

const acting =
  (change: (actions: readonly Action[]) => readonly Action[]) =>
  (executor: Executor): Executor => ({ run: (actions, context) => executor.run(change(actions), context) });

export const mutants: readonly Mutant[] = [
  {
    name: "maxUnavailable is one more",
    feature: "cloneset",
    controller: withRolling((rolling) => ({ maxUnavailable: oneMore(rolling["maxUnavailable"], 1) })),
  },
  {
    name: "maxSurge is one more",
    feature: "cloneset",
    controller: withRolling((rolling) => ({ maxSurge: oneMore(rolling["maxSurge"], 0) })),
  },
  { name: "partition is ignored", feature: "cloneset", controller: withRolling(() => ({ partition: 0 })) },
  {
    name: "partition is one less",
    feature: "cloneset",
    controller: withRolling(({ partition }) => (typeof partition === "number" && partition > 0 ? { partition: partition - 1 } : {})),
  },
  { name: "paused is ignored", feature: "cloneset", controller: withRolling(() => ({ paused: false })) },
  {
    name: "no requeue",
    feature: "cloneset",
    controller: planned(({ requeueAfterMs: _, ...plan }) => plan),
  },
  {
    name: "no reasons",
    feature: "cloneset",
    controller: planned((plan) => ({ ...plan, reasons: [] })),
  },
  {
    name: "the status is left alone while anything is done, and forgotten",
    feature: "cloneset",
    controller: planned((plan) => {
      const { status, ...rest } = plan;
      return status !== undefined && plan.actions.length === 0 && plan.requeueAfterMs === undefined ? rest : plan;
    }),
  },
  {
    name: "the status never settles",
    feature: "cloneset",
    controller: planned((plan) => {
      const { status } = plan;
      let turn = 0;
      return status === undefined
        ? plan
        : {
            ...plan,
            status: (outcomes) => {
              turns += 1;
              turn = turns;
              return { ...(status(outcomes) as object), collisionCount: turn % 7 };
            },
            requeueAfterMs: Math.min(plan.requeueAfterMs ?? 30_000, 30_000),
          };
    }),
  },
  { name: "writes are not shown in the cache", feature: "cloneset", forgetsWrites: true },
  {
    name: "unclear writes are taken for not happened",
    feature: "cloneset",
    executor: (executor) => ({ run: (actions, context) => executor.run(actions, { ...context, unclear: () => {} }) }),
  },
  {
    name: "deletions without a version",
    feature: "cloneset",
    executor: acting((actions) =>
      actions.map((action) => (action.do === "delete" ? { ...action, resourceVersion: undefined } : action) as Action),
    ),
  },
  {
    name: "the image before the readiness gate",
    feature: "cloneset",
    executor: acting((actions) =>
      actions.map((action) =>
        action.do === "change" && action.id.startsWith("update:")
          ? { ...action, steps: action.steps.filter((step) => !("conditions" in step)) }
          : action,
      ),
    ),
  },
  {
    name: "changes of pods wake nobody",
    feature: "cloneset",
    controller: only("cloneset-controller", (controller) => ({
      watches: controller.watches.map((watch) => (watch.of === (pods as unknown) ? { ...watch, wakes: () => [] } : watch)),
    })),
  },
  {
    name: "old revisions stay",
    feature: "cloneset",
    executor: acting((actions) => actions.filter((action) => !(action.do === "delete" && action.on.of.kind === "ControllerRevision"))),
  },
  {
    name: "pods of nobody are taken",
    feature: "cloneset",
    controller: only("cloneset-controller", (controller) => ({
      observe: async (context, key) => {
        const observed = (await controller.observe(context, key)) as Seen | undefined;
        if (observed === undefined) return undefined;
        const orphans = context.read.list(pods, key.namespace).filter((pod) => (pod.metadata.ownerReferences ?? []).length === 0);
        return { ...observed, pods: [...observed.pods, ...orphans] };
      },
    })),
  },
  {
    name: "claims go before their pods",
    feature: "cloneset",
    executor: acting((actions) => actions.map((action) => (action.do === "delete" ? { ...action, after: [] } : action))),
  },
  {
    name: "hooks do not hold deletions",
    feature: "cloneset",
    controller: withLifecycle(({ preDelete: _, ...rest }) => rest),
  },
  {
    name: "hooks do not hold updates",
    feature: "cloneset",
    controller: withLifecycle(({ inPlaceUpdate: _, ...rest }) => rest),
  },
  {
    name: "maxUnavailable is one more",
    feature: "sidecarset",
    controller: ofSidecarSet(({ maxUnavailable }) => ({ maxUnavailable: oneMore(maxUnavailable, 1) })),
  },
  { name: "partition is ignored", feature: "sidecarset", controller: ofSidecarSet(() => ({ partition: 0 })) },
  { name: "paused is ignored", feature: "sidecarset", controller: ofSidecarSet(() => ({ paused: false })) },
  {
    name: "injection is left out now and then",
    feature: "sidecarset",
    features: changed("sidecarset", ({ podMutations = [] }) => ({
      podMutations: podMutations.map((mutation) => ({
        ...mutation,
        mutate: (pod, request, context) => (context.random() < 0.1 ? pod : mutation.mutate(pod, request, context)),
      })),
    })),
  },
  { name: "reviews before the caches are filled", feature: "sidecarset", answersEarly: true },
  {
    name: "the review of pods forgets to write down what it let through",
    feature: "podunavailablebudget",
    features: changed("podunavailablebudget", ({ podGuards = [] }) => ({
      podGuards: podGuards.map((guard) => ({
        ...guard,
        review: (request, context) => guard.review({ ...request, dryRun: true }, { ...context, write: dryWriter(context.write) }),
      })),
    })),
  },
  {
    name: "evictions are let through",
    feature: "podunavailablebudget",
    features: changed("podunavailablebudget", ({ podGuards = [] }) => ({
      podGuards: podGuards.map((guard) => ({
        ...guard,
        review: (request, context) => (request.operation === "CREATE" ? { allowed: true } : guard.review(request, context)),
      })),
    })),
  },
  {
    name: "one pod fewer has to be available",
    feature: "podunavailablebudget",
    controller: only("podunavailablebudget-controller", (controller) => ({
      plan: (observed, nowMs) => {
        const { budget } = observed as { budget: PodUnavailableBudget };
        const { minAvailable, maxUnavailable } = budget.spec;
        const spec =
          minAvailable === undefined
            ? { ...budget.spec, maxUnavailable: oneMore(maxUnavailable, 0) }
            : { ...budget.spec, minAvailable: typeof minAvailable === "number" ? Math.max(0, minAvailable - 1) : "30%" };
        return controller.plan({ ...(observed as object), budget: { ...budget, spec } }, nowMs);
      },
    })),
  },
  {
    name: "updates of a CloneSet are not charged",
    feature: "podunavailablebudget",
    controller: planningFrom(() => ({ budgetOf: undefined })),
  },
  {
    name: "pods that wait for their hook out of service are not charged",
    feature: "podunavailablebudget",
    executor: acting((actions) =>
      actions
        .filter(({ id }) => !actions.some((other) => other.id === `hold:${id.slice("budget:".length)}`))
        .map((action) => (action.id.startsWith("hold:") ? { ...action, after: [] } : action)),
    ),
  },
  {
    name: "pods that were down are moved though they have come up",
    feature: "podunavailablebudget",
    executor: acting((actions) =>
      actions.map((action) => (action.do === "change" ? { ...action, ofVersion: undefined } : action) as Action),
    ),
  },
  {
    name: "one node more pulls at once",
    feature: "imagepulling",
    controller: only("imagepulljob-controller", (controller) => ({
      plan: (observed, nowMs) => {
        const { job } = observed as { job: ImagePullJob };
        const { parallelism } = job.spec;
        if (parallelism === undefined) return controller.plan(observed, nowMs);
        return controller.plan(
          { ...(observed as object), job: { ...job, spec: { ...job.spec, parallelism: Number(parallelism) + 1 } } },
          nowMs,
        );
      },
    })),
  },
  {
    name: "requests wait for their node for ever",
    feature: "containerrecreate",
    controller: only("containerrecreaterequest-controller", (controller) => ({
      plan: (observed, nowMs) => {
        const { requeueAfterMs: _, ...plan } = controller.plan(observed, nowMs);
        return plan;
      },
    })),
  },
  {
    name: "protection is not asked about workloads",
    feature: "deletion-protection",
    features: changed("cloneset", ({ webhooks = [] }) => ({
      webhooks: webhooks.map((webhook) => ({
        ...webhook,
        review: (request, context) => (request.operation === "DELETE" ? { allowed: true } : webhook.review(request, context)),
      })),
    })),
  },
  {
    name: "all barriers open at once",
    feature: "launch-priority",
    executor: acting((actions) =>
      actions.map((action) => {
        if (action.do !== "create") return action;
        const data = { p_0: "true", "p_-1": "true", "p_-2": "true" };
        return { ...action, object: { ...action.object, data } } as Action;
      }),
    ),
  },
  {
    name: "requests that came to nothing are not made again",
    feature: "sidecarterminator",
    controller: only("sidecarterminator-controller", (controller) => ({
      plan: (observed, nowMs) => {
        const { requeueAfterMs: _, ...plan } = controller.plan(observed, nowMs);
        return plan;
      },
    })),
  },
];
let turns = 0;

/** Writes that only look as if. */
function dryWriter(write: Writer): Writer {
  return {
    ...write,
    create: (kind, object, options) => write.create(kind, object, { ...options, dryRun: true }),
    update: (kind, object, options) => write.update(kind, object, { ...options, dryRun: true }),
    patch: (ref, type, body, options) => write.patch(ref, type, body, { ...options, dryRun: true }),
    apply: (ref, body, manager, options) => write.apply(ref, body, manager, { ...options, dryRun: true }),
    delete: (ref, options) => write.delete(ref, { ...options, dryRun: true }),
    evict: (ref, options) => write.evict(ref, { ...options, dryRun: true }),
  };
}
