/** `create imagepulljob`, `create imagelistpulljob` and `create podunavailablebudget`: the short way to what is short. */
import { imageListPullJobs } from "../../api/imagelistpulljob.ts";
import { type ImagePullJob, imagePullJobs } from "../../api/imagepulljob.ts";
import { podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import { apiVersion } from "../../kube/kind.ts";
import { parseSelector } from "../../kube/selector-text.ts";
import { command } from "../command.ts";
import { dryRunFlags, printFlags } from "../globals.ts";
import { kindNamed } from "../objects.ts";
import { note, Printer } from "../output.ts";
import { Misused } from "../refused.ts";
import { follow } from "../rollout/status.ts";
import { dryRunOf } from "../write.ts";
import { make } from "./make.ts";

const jobFlags = {
  ...printFlags,
  ...dryRunFlags,
  image: { kind: "list", help: "what to pull; several for a list" },
  nodes: { kind: "list", help: "names of nodes" },
  selector: { kind: "string", short: "l", help: "label selector of nodes" },
  "pod-selector": { kind: "string", help: "label selector of pods: the nodes that they are on" },
  parallelism: { kind: "integer", default: 1, help: "nodes at once" },
  "pull-secret": { kind: "list", help: "names of secrets" },
  "timeout-seconds": { kind: "integer", default: 600, help: "of one attempt" },
  "backoff-limit": { kind: "integer", default: 3, help: "attempts after the first" },
  ttl: { kind: "integer", default: -1, help: "seconds until an ended job is deleted; -1: never" },
  wait: { kind: "duration", bare: "1h", default: "0s", help: "until it has ended; the exit code is 0 when every node has the image" },
} as const;

export const imagePullJob = command(
  {
    summary: "Pull an image on nodes ahead",
    usage: "NAME --image=IMAGE [--nodes=A,B | --selector=LABELS | --pod-selector=LABELS] [flags]",
    examples: "  kubectl-kruise create imagepulljob model --image=registry.test/model:v7 -l pool=gpu --parallelism=10 --wait",
  },
  jobFlags,
  (call) => pullJob(call, imagePullJobs),
);

export const imageListPullJob = command(
  {
    summary: "Pull several images on nodes ahead",
    usage: "NAME --image=IMAGE,IMAGE [--nodes=A,B | --selector=LABELS | --pod-selector=LABELS] [flags]",
  },
  jobFlags,
  (call) => pullJob(call, imageListPullJobs),
);

type JobCall = Parameters<Parameters<typeof command<typeof jobFlags>>[2]>[0];

async function pullJob(
  { words, values, given, session: open }: JobCall,
  of: typeof imagePullJobs | typeof imageListPullJobs,
): Promise<number> {
  const [name] = words;
  const isList = of.kind === imageListPullJobs.kind;
  const images = values.image.filter((image) => image !== "");
  if (name === undefined || words.length > 1) throw new Misused(`error: exactly one NAME is required, got ${words.length}`);
  if (images.length === 0 || (!isList && images.length > 1))
    throw new Misused(`error: --image is required: ${isList ? "one or several images" : "one image"}`);
  const printer = new Printer(values, dryRunOf(values["dry-run"]));
  const session = await open();
  const { nodes } = values;
  const selector =
    nodes.length > 0 || values.selector !== ""
      ? { ...(nodes.length > 0 ? { names: nodes } : {}), ...labelsOf("selector", values.selector) }
      : undefined;
  const draft = {
    metadata: { name, namespace: session.namespace },
    spec: {
      ...(isList ? { images } : { image: images[0] }),
      ...(selector === undefined ? {} : { selector }),
      ...(values["pod-selector"] === "" ? {} : { podSelector: labelsOf("pod-selector", values["pod-selector"]) }),
      parallelism: values.parallelism,
      ...(values["pull-secret"].length > 0 ? { pullSecrets: values["pull-secret"] } : {}),
      pullPolicy: { timeoutSeconds: values["timeout-seconds"], backoffLimit: values["backoff-limit"] },
      completionPolicy: { type: "Always", ...(given.has("ttl") && values.ttl >= 0 ? { ttlSecondsAfterFinished: values.ttl } : {}) },
    },
  };
  const made = await make(session, printer, of as typeof imagePullJobs, draft, {
    dryRun: dryRunOf(values["dry-run"]),
    fieldManager: values["field-manager"],
  });
  if (values.wait === 0 || made === undefined) return 0;
  const tell = async (_: unknown, { line }: { readonly line: string }) => note(`${line}\n`);
  return follow(session, { of, object: made as ImagePullJob }, { tell, watch: true, timeoutMs: values.wait });
}

function labelsOf(flag: string, text: string): object {
  if (text === "") return {};
  const parsed = parseSelector(text);
  if (!parsed.ok) throw new Misused(`error: --${flag}=${text}: ${parsed.problem}`);
  return parsed.selector;
}

export const podUnavailableBudget = command(
  {
    summary: "Keep pods from being unavailable all at once",
    usage: "NAME (--selector=LABELS | --target=TYPE/NAME) (--max-unavailable=N | --min-available=N) [flags]",
    examples: "  kubectl-kruise create podunavailablebudget web --target=cloneset/web --max-unavailable=20%",
  },
  {
    ...printFlags,
    ...dryRunFlags,
    selector: { kind: "string", short: "l", help: "label selector of pods" },
    target: { kind: "string", help: "workload whose pods are meant" },
    "max-unavailable": { kind: "string", help: "count or share" },
    "min-available": { kind: "string", help: "count or share" },
  } as const,
  async ({ words, values, session: open }) => {
    const [name] = words;
    if (name === undefined || words.length > 1) throw new Misused(`error: exactly one NAME is required, got ${words.length}`);
    if ((values.selector === "") === (values.target === "")) throw new Misused("error: give one of --selector and --target");
    const [most, least] = [values["max-unavailable"], values["min-available"]];
    if ((most === "") === (least === "")) throw new Misused("error: give one of --max-unavailable and --min-available");
    const printer = new Printer(values, dryRunOf(values["dry-run"]));
    const session = await open();
    const [type = "", target = ""] = values.target.split("/");
    const of = values.target === "" ? undefined : kindNamed(session, type);
    const draft = {
      metadata: { name, namespace: session.namespace },
      spec: {
        ...(of === undefined
          ? { selector: labelsOf("selector", values.selector) }
          : { targetRef: { apiVersion: apiVersion(of), kind: of.kind, name: target } }),
        ...(most === "" ? { minAvailable: countOf(least) } : { maxUnavailable: countOf(most) }),
      },
    };
    await make(session, printer, podUnavailableBudgets, draft, {
      dryRun: dryRunOf(values["dry-run"]),
      fieldManager: values["field-manager"],
    });
    return 0;
  },
);

function countOf(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}
