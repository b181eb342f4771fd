/** `expose cloneset/NAME`: a service for its pods. Other kinds are kubectl's. */
import { fieldsOf, itemsOf } from "../kube/json.ts";
import { services } from "../kube/kinds.ts";
import { type Command, command } from "./command.ts";
import { make } from "./create/make.ts";
import { kubectl } from "./delegate.ts";
import { dryRunFlags, printFlags } from "./globals.ts";
import { nameOf, targetsOf } from "./objects.ts";
import { Printer } from "./output.ts";
import { Misused, Refused } from "./refused.ts";
import { dryRunOf } from "./write.ts";

const nameLengthMax = 63;

const exposeCloneSet = command(
  {
    summary: "Make a service for a workload's pods",
    usage: "(TYPE NAME | TYPE/NAME) [--port=PORT] [flags]",
    examples: "  kubectl-kruise expose cloneset/web --port=80 --target-port=8080",
  },
  {
    ...printFlags,
    ...dryRunFlags,
    port: { kind: "list", help: "ports of the service; default: those of the containers" },
    "target-port": { kind: "string", help: "port of the containers, by number or name; default: the same" },
    protocol: { kind: "string", help: "TCP, UDP or SCTP" },
    type: { kind: "string", help: "ClusterIP, NodePort, LoadBalancer" },
    name: { kind: "string", help: "of the service; default: that of the workload" },
    selector: { kind: "string", help: "a=b,c=d instead of the workload's" },
    labels: { kind: "string", short: "l", help: "a=b,c=d instead of the workload's" },
    "cluster-ip": { kind: "string", help: "None for a headless service" },
    "external-ip": { kind: "string", help: "a further address" },
    "load-balancer-ip": { kind: "string", help: "address of the load balancer" },
    "session-affinity": { kind: "string", help: "None or ClientIP" },
  } as const,
  async ({ words, values, session: open }) => {
    const dryRun = dryRunOf(values["dry-run"]);
    const printer = new Printer(values, dryRun);
    const session = await open();
    const [target, ...more] = await targetsOf(session, { words });
    if (target === undefined || more.length > 0) throw new Misused("error: one object at a time");
    const spec = fieldsOf(fieldsOf(target.object)["spec"]);
    const { matchLabels, matchExpressions } = fieldsOf(spec["selector"]);
    if (values.selector === "" && (itemsOf(matchExpressions).length > 0 || Object.keys(fieldsOf(matchLabels)).length === 0))
      throw new Refused(`error: couldn't convert expressions of ${nameOf(target)} to a map based selector: give --selector`);
    const given = values.port.map((port) => ({ port: numberOf(port), ...(values.protocol ? { protocol: values.protocol } : {}) }));
    const ports = given.length > 0 ? given : portsOf(spec);
    if (ports.length === 0) throw new Refused("error: couldn't find port via --port flag or introspection");
    const labels = values.labels === "" ? target.object.metadata.labels : pairsOf(values.labels);
    const extras = {
      type: values.type,
      clusterIP: values["cluster-ip"],
      loadBalancerIP: values["load-balancer-ip"],
      sessionAffinity: values["session-affinity"],
    };
    const draft = {
      metadata: {
        name: (values.name || target.object.metadata.name).slice(0, nameLengthMax),
        namespace: session.namespace,
        ...(labels ? { labels } : {}),
      },
      spec: {
        ports: ports.map((port, index) => ({
          ...(ports.length > 1 ? { name: `port-${index + 1}` } : {}),
          protocol: "TCP",
          ...port,
          targetPort: values["target-port"] === "" ? port.port : numeric(values["target-port"]),
        })),
        selector: values.selector === "" ? matchLabels : pairsOf(values.selector),
        ...Object.fromEntries(Object.entries(extras).filter(([, text]) => text !== "")),
        ...(values["external-ip"] === "" ? {} : { externalIPs: [values["external-ip"]] }),
      },
    };
    await make(session, printer, services, draft, { dryRun, fieldManager: values["field-manager"] }, "exposed");
    return 0;
  },
);

function portsOf(spec: object): readonly { readonly port: number; readonly protocol?: string }[] {
  const pod = fieldsOf(fieldsOf(fieldsOf(spec)["template"])["spec"]);
  return itemsOf(pod["containers"]).flatMap((container) =>
    itemsOf(fieldsOf(container)["ports"]).map((each) => {
      const { containerPort, protocol } = fieldsOf(each);
      return { port: Number(containerPort), ...(typeof protocol === "string" ? { protocol } : {}) };
    }),
  );
}

function numberOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new Misused(`error: --port=${text}: expected a number`);
  return Number(text);
}
function numeric(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}
function pairsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(",").map((pair) => {
      const [key = "", value, ...more] = pair.split("=");
      if (key === "" || value === undefined || more.length > 0) throw new Misused(`error: "${text}": expected a=b,c=d`);
      return [key, value];
    }),
  );
}

const own = /^(cloneset|clonesets|clone)(\.[a-z0-9.]+)?$/i;

export const expose: Command = {
  summary: "Make a service for a workload's pods",
  async run(args, path) {
    const [word = ""] = args.filter((arg) => !arg.startsWith("-"));
    if (own.test(word.split("/")[0] ?? "") || args.includes("--help") || args.includes("-h")) return exposeCloneSet.run(args, path);
    return kubectl(["expose", ...args]);
  },
};
