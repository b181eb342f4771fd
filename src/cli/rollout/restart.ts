/**
 * `rollout restart`: new pods from the same template. Kubernetes' kinds are told by an annotation of the template, ours by a variable of each
 * container: an annotation would be taken over in place, without a restart.
 */
import { type Fields, fieldsOf, itemsOf } from "../../kube/json.ts";
import { formatTime } from "../../kube/time.ts";
import type { KubeObject } from "../../kube/types.ts";
import { command } from "../command.ts";
import { recreate } from "../create/recreate.ts";
import { globalArgs } from "../delegate.ts";
import { each } from "../each.ts";
import { withAt } from "../edit.ts";
import { dryRunFlags, fileFlags, printFlags, selectFlags } from "../globals.ts";
import { nameOf, quotedName, targetsOf } from "../objects.ts";
import { Printer } from "../output.ts";
import { Misused, Refused } from "../refused.ts";
import { at, isBuiltIn, shapeOf } from "../shapes.ts";
import { dryRunOf, write } from "../write.ts";

const variable = "RESTARTED_AT";
const annotation = "kubectl.kubernetes.io/restartedAt";
const restartable: ReadonlySet<string> = new Set(["Deployment", "DaemonSet", "StatefulSet", "CloneSet"]);

const flags = {
  ...fileFlags,
  ...printFlags,
  ...selectFlags,
  ...dryRunFlags,
  "in-place": { kind: "boolean", help: "restart the containers where they are, pod by pod, and wait for each" },
  "max-unavailable": { kind: "integer", default: 1, help: "with --in-place: so many pods at a time" },
  containers: { kind: "list", short: "c", help: "with --in-place: only these containers" },
} as const;

export const restart = command(
  {
    summary: "Restart the pods of a workload, by its own update strategy",
    usage: "(TYPE NAME | TYPE/NAME | -f FILE) [flags]",
    examples: "  kubectl-kruise rollout restart cloneset/web\n  kubectl-kruise rollout restart cloneset/web --in-place --max-unavailable=2",
  },
  flags,
  async ({ words, values, given, session: open }) => {
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    const time = formatTime(session.env.nowMs());
    return each(await targetsOf(session, { words, ...values }), async (target) => {
      const { kind } = target.of;
      if (values.containers.length > 0 && !values["in-place"])
        throw new Misused("error: --containers goes with --in-place: other restarts replace whole pods");
      if (values["in-place"]) {
        const more = [
          ...(values.containers.length > 0 ? [`--containers=${values.containers.join(",")}`] : []),
          `--max-unavailable=${values["max-unavailable"]}`,
          `--dry-run=${dryRun}`,
          ...(values.output ? ["-o", values.output] : []),
        ];
        const code = await recreate.run(
          [nameOf(target), ...more, ...globalArgs(values, given), `--namespace=${session.namespace}`],
          "create crr",
        );
        if (code !== 0) throw new Refused(`error: ${quotedName(target)} was not restarted`);
        return;
      }
      if (!restartable.has(kind) || shapeOf(target.of)?.template === undefined)
        throw new Refused(`error: ${quotedName(target)} restarting is not supported`);
      if (kind === "Deployment" && at(target.object, ["spec", "paused"]) === true)
        throw new Refused("error: can't restart paused deployment (run rollout resume first)");
      const change = isBuiltIn(target.of) ? annotated(time) : marked(time);
      const object = await write(session, target, change, { dryRun, fieldManager: values["field-manager"] });
      await printer.print(target, "restarted", object);
    });
  },
);

function annotated(time: string) {
  return (object: Readonly<KubeObject>) => withAt(object, ["spec", "template", "metadata", "annotations", annotation], time);
}

function marked(time: string) {
  return (object: Readonly<KubeObject>) => {
    const path = ["spec", "template", "spec", "containers"];
    return withAt(
      object,
      path,
      itemsOf(at(object, path)).map((container) => withVariable(fieldsOf(container), time)),
    );
  };
}

function withVariable(container: Fields, value: string): Fields {
  const env = itemsOf(container["env"]);
  const isThere = env.some((entry) => fieldsOf(entry)["name"] === variable);
  const marked = isThere
    ? env.map((entry) => (fieldsOf(entry)["name"] === variable ? { name: variable, value } : entry))
    : [...env, { name: variable, value }];
  return { ...container, env: marked };
}
