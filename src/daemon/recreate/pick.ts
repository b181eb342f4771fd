/** Several requests for one pod follow one another: which is worked on now, and which are told to wait? */
import type { ContainerRecreateRequest } from "../../api/containerrecreaterequest.ts";
import { compareUtf8 } from "../../kube/json.ts";
import { parseTime } from "../../kube/time.ts";

export type Request = Readonly<ContainerRecreateRequest>;

export interface Picked {
  readonly current: Request | undefined;
  /** Those that nobody has told yet that they wait. */
  readonly waiting: readonly Request[];
}

const weight: Readonly<Record<string, number>> = { Recreating: 0, Pending: 1 };

/** Over, or on its way out. */
export function isOver(request: Request): boolean {
  return (
    request.metadata.deletionTimestamp !== undefined ||
    request.status?.completionTime !== undefined ||
    request.status?.phase === "Completed"
  );
}

/** What has begun goes on; then the oldest, and of equals the first by name. */
export function pick(requests: readonly Request[]): Picked {
  const open = requests.filter((request) => !isOver(request)).sort(compare);
  const [current, ...later] = open;
  return { current, waiting: later.filter((request) => !request.status?.phase) };
}

function compare(a: Request, b: Request): number {
  return (
    rank(a) - rank(b) ||
    (parseTime(a.metadata.creationTimestamp) ?? 0) - (parseTime(b.metadata.creationTimestamp) ?? 0) ||
    compareUtf8(a.metadata.name, b.metadata.name)
  );
}

function rank(request: Request): number {
  return weight[request.status?.phase ?? ""] ?? 2;
}
