/** What a round of a budget looks at. */
import { podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import type { Settings } from "../../api/settings.ts";
import type { Context } from "../../engine/controller.ts";
import type { Key } from "../../kube/kind.ts";
import { pods } from "../../kube/kinds.ts";
import { isActive } from "../../kube/pod.ts";
import type { Pod } from "../../kube/types.ts";
import { isAvailableFor, relatedBudget } from "../../workload/budget/index.ts";
import { cachedBelongings, watchedWorkloads } from "./belongings.ts";
import { type CensusTaken, takeCensus } from "./census.ts";
import { type Budget, covers, isLeaving } from "./covers.ts";
import { overdue, recordLimits, vanished } from "./records.ts";

export interface Observed {
  readonly budget: Budget;
  readonly settings: Pick<Settings, "gates">;
  readonly taken: CensusTaken;
  /** Pods of this budget that carry no name of a budget, or that of one which does not have them any more. */
  readonly unmarked: readonly Readonly<Pod>[];
  podNamed(name: string): Readonly<Pod> | undefined;
  /** Pods that should have gone, or been down, by now, and of which the server itself says what the cache says. */
  readonly confirmed: ReadonlySet<string>;
  /** Pods that the cache does not show, and of which the server itself says that they are not there. */
  readonly gone: ReadonlySet<string>;
}

/** Undefined: the budget is gone, or going. */
export async function observe(context: Context, key: Key): Promise<Observed | undefined> {
  const { read, settings } = context;
  const budget = read.get(podUnavailableBudgets, key);
  if (budget === undefined || isLeaving(budget)) return undefined;
  const podNamed = (name: string) => read.get(pods, { namespace: key.namespace, name });
  const counts = (pod: Readonly<Pod>) => isAvailableFor(pod, settings.gates);
  const records = budget.status ?? {};
  const lost = vanished(records, { podNamed }, context.nowMs());
  const asked = [...overdue(records, { podNamed, counts }, context.nowMs()), ...lost].slice(0, recordLimits.asksMax);
  const [taken, ...live] = await Promise.all([
    takeCensus(context, budget),
    ...asked.map((name) => read.live.get(pods, { namespace: key.namespace, name })),
  ]);
  const gone = asked.filter((name, index) => {
    const answer = live[index];
    return answer?.ok === false && answer.why === "notFound" && podNamed(name) === undefined;
  });
  const confirmed = asked.filter((name, index) => {
    const [answer, cached] = [live[index], podNamed(name)];
    if (answer === undefined || !answer.ok || answer.object.metadata.uid !== cached?.metadata.uid) return false;
    return isActive(answer.object) && counts(answer.object) === counts(cached);
  });
  const unmarked = taken.ok ? taken.census.pods.filter((pod) => isUnmarked(pod, budget, context)) : [];
  return { budget, settings, taken, unmarked, podNamed, confirmed: new Set(confirmed), gone: new Set(gone) };
}

/** Pods that another budget has, or that share two, stay with the one whose name they carry. */
function isUnmarked(pod: Readonly<Pod>, budget: Budget, { read, settings }: Context): boolean {
  const name = relatedBudget(pod);
  if (name === budget.metadata.name) return false;
  if (name === "") return true;
  const other = read.get(podUnavailableBudgets, { namespace: pod.metadata.namespace ?? "", name });
  if (other === undefined || isLeaving(other)) return true;
  return !covers(other, pod, cachedBelongings(pod, read, watchedWorkloads(settings)));
}
