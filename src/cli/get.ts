/** `get all`: every object of Kruise in a namespace, in the columns that `kubectl get` has. A single type is kubectl's to show. */
import type { ServedResource } from "../kube/discovery.ts";
import { resourceName } from "../kube/kind.ts";
import { collectionPath, withQuery } from "../kube/path.ts";
import { asksForHelp, type Command, command } from "./command.ts";
import { kubectl } from "./delegate.ts";
import { note, out, table } from "./output.ts";
import { Refused } from "./refused.ts";
import { must, type Session } from "./session.ts";

const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

interface Table {
  readonly columnDefinitions?: readonly { readonly name: string; readonly priority?: number }[];
  readonly rows?: readonly {
    readonly cells: readonly unknown[];
    readonly object?: { readonly metadata?: { readonly namespace?: string } };
  }[];
}

const all = command(
  {
    summary: "Show all objects of Kruise, or of one type",
    usage: "all | TYPE [NAME] [flags]",
    examples: "  kubectl-kruise get all -n shop\n  kubectl-kruise get clone -o wide",
  },
  {
    "all-namespaces": { kind: "boolean", short: "A", help: "in all namespaces" },
    selector: { kind: "string", short: "l", help: "label selector" },
    output: { kind: "string", short: "o", help: "wide" },
    "no-headers": { kind: "boolean", help: "without headings" },
  } as const,
  async ({ values, session: open }) => {
    if (values.output !== "" && values.output !== "wide") throw new Refused(`error: get all -o ${values.output}: expected wide`);
    const session = await open();
    const namespace = values["all-namespaces"] ? undefined : session.namespace;
    let shown = 0;
    for (const resource of ours(session)) {
      const path = withQuery(collectionPath(resource.kind, namespace), { labelSelector: values.selector, limit: 500 });
      const answer = await session.client.raw<Table>("GET", path, { accept: tableAccept });
      // What was taken away a moment ago, and what is not for this user to see, must not hide the rest.
      if (!answer.ok && answer.why === "notFound") continue;
      if (!answer.ok && answer.why === "denied") {
        note(`Error from server (${answer.reason}): ${answer.message}\n`);
        continue;
      }
      const rows = must(answer).rows ?? [];
      if (rows.length === 0) continue;
      shown += rows.length;
      const withNamespace = values["all-namespaces"] && resource.kind.namespaced;
      out(`\n${resourceName(resource.kind)}:\n${tableText(must(answer), withNamespace, values.output === "wide", values["no-headers"])}`);
    }
    if (shown === 0) note(`No resources found${namespace === undefined ? "" : ` in ${namespace} namespace`}.\n`);
    return 0;
  },
);

/** Each once, in its preferred version. */
function ours(session: Session): readonly ServedResource[] {
  const seen = new Set<string>();
  return session.discovery.resources.filter(({ kind, verbs }) => {
    const name = resourceName(kind);
    if (!kind.group.endsWith("kruise.io") || !verbs.includes("list") || seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}

function tableText({ columnDefinitions = [], rows = [] }: Table, withNamespace: boolean, wide: boolean, bare: boolean): string {
  const columns = columnDefinitions.flatMap(({ name, priority = 0 }, index) => (wide || priority === 0 ? [{ name, index }] : []));
  const lines = rows.map(({ cells, object }) => [
    ...(withNamespace ? [object?.metadata?.namespace ?? ""] : []),
    ...columns.map(({ index }) => cellText(cells[index])),
  ]);
  const head = [...(withNamespace ? ["NAMESPACE"] : []), ...columns.map(({ name }) => name.toUpperCase())];
  return table(bare ? lines : [head, ...lines], 3);
}

function cellText(cell: unknown): string {
  return cell === null || cell === undefined || cell === "" ? "<none>" : String(cell);
}

export const get: Command = {
  summary: "Show all objects of Kruise, or of one type",
  async run(args, path) {
    const word = args.find((arg) => !arg.startsWith("-"));
    if (word === "all" || (word === undefined && asksForHelp(args)))
      return all.run(
        args.filter((arg) => arg !== "all"),
        path,
      );
    return kubectl(["get", ...args]);
  },
};
