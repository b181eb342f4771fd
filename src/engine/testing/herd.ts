/** A whole small controller, for tests of the engine: keeps `replicas` pods, and moves them to `revision` in place, `moving` at a time. */
import { isOfKind, type Key, refOf } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import type { Pod } from "../../kube/types.ts";
import { type Controller, controller, watch } from "../controller.ts";
import { type Action, change, create, type Reason, remove } from "../plan.ts";
import { type Herd, herds, labelsPatch, podDraft, podsOfHerd } from "./kinds.ts";

interface Observed {
  readonly herd: Readonly<Herd>;
  readonly pods: readonly Readonly<Pod>[];
  /** Drawn here, so that `plan` stays pure. */
  readonly suffix: string;
}

const tell = (verb: string, reason: string) => ({
  done: { reason: `Successful${reason}`, text: `${verb} pod` },
  failed: { reason: `Failed${reason}`, text: `failed: ${verb} pod` },
});

export function herdController(options: { readonly moving?: number; readonly workers?: number } = {}): Controller {
  return controller<Observed, Herd["status"]>({
    name: "herd-controller",
    of: herds,
    workers: { flag: "herd-workers", count: options.workers ?? 3 },
    watches: [watch<Pod>(pods, ({ before, after }) => owners(after ?? before))],
    observe({ read, random }, key) {
      const herd = read.get(herds, key);
      if (herd === undefined) return undefined;
      return { herd, pods: read.find(podsOfHerd, herd.metadata.uid), suffix: Math.floor(random() * 2 ** 32).toString(36) };
    },
    plan({ herd, pods: all, suffix }) {
      const alive = all
        .filter((pod) => pod.metadata.deletionTimestamp === undefined)
        .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      const { replicas, revision } = herd.spec;
      const isUpdated = (pod: Readonly<Pod>) => pod.metadata.labels?.["revision"] === revision;
      const actions: Action[] = [];
      const reasons: Reason[] = [];
      for (let index = alive.length; index < replicas; index += 1) {
        const name = `${herd.metadata.name}-${suffix}-${index}`;
        actions.push(
          create<Pod>({
            id: name,
            of: pods,
            object: podDraft(name, refOf(herds, herd), revision),
            tell: tell("create", "Create"),
            move: { revision, how: "create" },
          }),
        );
      }
      for (const pod of alive.slice(replicas))
        actions.push(
          remove({ id: pod.metadata.name, on: refOf(pods, pod), tell: tell("delete", "Delete"), move: { revision, how: "delete" } }),
        );
      const old = alive.slice(0, replicas).filter((pod) => !isUpdated(pod));
      const movingMax = options.moving ?? Number.POSITIVE_INFINITY;
      for (const [index, pod] of old.entries()) {
        if (index >= movingMax) {
          reasons.push({ on: pod.metadata.name, code: "HeldByMoving", figures: { max: movingMax } });
          continue;
        }
        actions.push(
          change<Pod>({
            id: pod.metadata.name,
            on: refOf(pods, pod),
            tell: tell("update", "Update"),
            move: { revision, how: "inPlace" },
            steps: [
              {
                name: "image",
                precondition: "version",
                onConflict: "retry",
                write: (fresh) =>
                  fresh.metadata.labels?.["revision"] === revision
                    ? undefined
                    : {
                        patch: "strategic",
                        body: { metadata: { labels: { revision } }, spec: { containers: [{ name: "main", image: `app:${revision}` }] } },
                      },
              },
              {
                name: "note",
                precondition: "uid",
                onConflict: "retry",
                write: (fresh) => labelsPatch({ ...fresh.metadata.labels, moved: revision }),
              },
            ],
          }),
        );
      }
      return {
        actions,
        reasons,
        status: (outcomes) => {
          const failed = outcomes.find((outcome) => outcome.result === "failed");
          return {
            replicas: alive.length,
            updated: alive.filter(isUpdated).length,
            ...(failed?.result === "failed" ? { message: failed.failure.message } : {}),
          };
        },
        landed: (on, to) => to === revision && !old.some((pod) => pod.metadata.name === on),
      };
    },
  });
}

function owners(pod: Readonly<Pod> | undefined): readonly Key[] {
  const owner = pod?.metadata.ownerReferences?.find((reference) => reference.controller && isOfKind(reference, herds));
  return owner === undefined ? [] : [{ namespace: pod?.metadata.namespace ?? "", name: owner.name }];
}
