/** `exec`: a command in a container of a pod, of a workload's best pod, or in the sidecar container that works now. Carried out by kubectl. */
import { annotation } from "../api/names.ts";
import { sleep } from "../env/env.ts";
import { type Fields, fieldsOf, isFields } from "../kube/json.ts";
import { pods } from "../kube/kinds.ts";
import { isFinished, isReady, isTerminating } from "../kube/pod.ts";
import { selectorText } from "../kube/selector.ts";
import { parseTime } from "../kube/time.ts";
import type { LabelSelector, Pod } from "../kube/types.ts";
import { command } from "./command.ts";
import { globalArgs, kubectl } from "./delegate.ts";
import { targetsOf } from "./objects.ts";
import { note } from "./output.ts";
import { Misused, Refused } from "./refused.ts";
import { must, type Session } from "./session.ts";

const lookEveryMs = 500;
const defaultContainer = "kubectl.kubernetes.io/default-container";

export const exec = command(
  {
    summary: "Run a command in a container",
    usage: "(POD | TYPE/NAME) [-c CONTAINER | -S SIDECAR] [-it] -- COMMAND [args]",
    examples: "  kubectl-kruise exec web-x2x9k -S envoy -- date\n  kubectl-kruise exec cloneset/web -it -- sh",
  },
  {
    container: { kind: "string", short: "c", help: "default: what the pod names as such, else the first" },
    sidecar: { kind: "string", short: "S", help: "container of a SidecarSet: of two that upgrade each other, the one that works" },
    stdin: { kind: "boolean", short: "i", help: "pass the standard input on" },
    tty: { kind: "boolean", short: "t", help: "it is a terminal" },
    quiet: { kind: "boolean", short: "q", help: "only what the command says" },
    filename: { kind: "list", short: "f", help: "file with the object" },
    "pod-running-timeout": { kind: "duration", default: "1m", help: "how long to wait for a pod of a workload" },
  } as const,
  async ({ words, rest, values, given, session: open }) => {
    const [word, ...more] = words;
    const line = rest ?? [];
    if (line.length === 0)
      throw new Misused(
        more.length > 0 ? "error: put -- before the command" : "error: you must specify at least one command for the container",
      );
    const session = await open();
    const pod = await podOf(session, word, values.filename, values["pod-running-timeout"]);
    if (isFinished(pod)) throw new Refused(`error: cannot exec into a container in a completed pod; current phase is ${pod.status?.phase}`);
    const container = containerFor(pod, values.sidecar, values.container);
    const flags = [...(values.stdin ? ["-i"] : []), ...(values.tty ? ["-t"] : []), ...(values.quiet ? ["-q"] : [])];
    const where = [...globalArgs(values, given), `--namespace=${pod.metadata.namespace}`];
    return kubectl(["exec", pod.metadata.name, ...where, "-c", container, ...flags, "--", ...line]);
  },
);

async function podOf(session: Session, word: string | undefined, filename: readonly string[], timeoutMs: number): Promise<Pod> {
  const endMs = session.env.monotonicMs() + timeoutMs;
  const words = word === undefined ? [] : [word];
  for (;;) {
    const [target] = await targetsOf(session, { words, filename }, { type: "pods" });
    if (target === undefined) throw new Misused("error: pod or type/name must be specified");
    if (target.of.kind === "Pod") return target.object as Pod;
    const { selector, template } = fieldsOf(fieldsOf(target.object)["spec"]);
    if (!isFields(selector)) throw new Refused(`error: cannot choose a pod of ${word}: it has no selector`);
    const labels = template === undefined ? { matchLabels: selector as Record<string, string> } : (selector as LabelSelector);
    const found = must(
      await session.client.list(pods, { namespace: target.object.metadata.namespace ?? "", labelSelector: selectorText(labels) }),
    );
    const [best] = found.filter((pod) => !isFinished(pod)).sort(better);
    if (best?.status?.phase === "Running") return best;
    if (session.env.monotonicMs() >= endMs) throw new Refused(`error: timed out waiting for a pod of ${word} to run`, "Timeout");
    await sleep(session.env, lookEveryMs);
  }
}

/** Running, staying, ready, old: in this order. */
function better(a: Pod, b: Pod): number {
  const rank = (pod: Pod) => (pod.status?.phase === "Running" ? 0 : 4) + (isTerminating(pod) ? 2 : 0) + (isReady(pod) ? 0 : 1);
  return rank(a) - rank(b) || (parseTime(a.metadata.creationTimestamp) ?? 0) - (parseTime(b.metadata.creationTimestamp) ?? 0);
}

export function containerFor(pod: Pick<Pod, "metadata" | "spec">, sidecar: string, container: string): string {
  const names = pod.spec.containers.map(({ name }) => name);
  if (sidecar !== "") {
    const working = workingOf(pod)[sidecar];
    if (typeof working === "string") {
      note(`Enter working container ${working} of SidecarSet.\n`);
      return working;
    }
    if (names.includes(sidecar)) return sidecar;
    const known = Object.keys(workingOf(pod)).join(", ") || "none";
    throw new Refused(`error: pod ${pod.metadata.name} has no sidecar "${sidecar}" (it has: ${known})`);
  }
  if (container !== "") return container;
  const chosen = pod.metadata.annotations?.[defaultContainer];
  if (chosen !== undefined && names.includes(chosen)) return chosen;
  const [first = ""] = names;
  if (names.length > 1) note(`Defaulted container "${first}" out of: ${names.join(", ")}\n`);
  return first;
}

function workingOf({ metadata }: Pick<Pod, "metadata">): Fields {
  try {
    const parsed: unknown = JSON.parse(metadata.annotations?.[annotation.sidecarSetWorkingHotUpgradeContainer] ?? "{}");
    return isFields(parsed) ? parsed : {};
  } catch {
    return {};
  }
}
