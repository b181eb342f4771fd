/** The barrier that each container of a new pod waits at. */
import { deny, type PodMutation } from "../../admission/webhook.ts";
import { annotation, environmentVariable } from "../../api/names.ts";
import type { Container, EnvVar, Pod } from "../../kube/types.ts";
import { barrierKey, barrierName } from "./barrier.ts";

export const addBarriers: PodMutation["mutate"] = (pod, _request, context) => {
  const { containers } = pod.spec;
  if (containers.length === 1) return pod;
  const priorities = prioritiesOf(pod);
  if (typeof priorities === "string") return deny(500, priorities);
  if (priorities === undefined) return pod;
  const name = pod.metadata.name || nameFrom(pod.metadata.generateName ?? "", context.random);
  const barrier = (priority: number): EnvVar => ({
    name: environmentVariable.containerBarrier,
    valueFrom: { configMapKeyRef: { name: barrierName(name), key: barrierKey(priority) } },
  });
  return {
    ...pod,
    metadata: { ...pod.metadata, name },
    spec: {
      ...pod.spec,
      containers: containers.map((container, index) => ({
        ...container,
        // A user's own entry of that name would be read first and name another ConfigMap.
        env: [
          ...(container.env ?? []).filter((entry) => entry.name !== environmentVariable.containerBarrier),
          barrier(priorities[index] ?? 0),
        ],
      })),
    },
  };
};

const orders = [
  `has(object.metadata.annotations) && "${annotation.containerLaunchPriority}" in object.metadata.annotations`,
  `object.spec.containers.exists(container, has(container.env) && container.env.exists(variable, variable.name == "${environmentVariable.containerPriority}"))`,
];

/** Before the server has checked it, a pod may have no containers at all. */
export const concerns: PodMutation["concerns"] = () =>
  `has(object.spec.containers) && object.spec.containers != null && size(object.spec.containers) > 1 && (${orders.map((order) => `(${order})`).join(" || ")})`;

/** One a container; undefined when there is no order to keep; a string says which value is no number. */
function prioritiesOf(pod: Readonly<Pod>): readonly number[] | string | undefined {
  const { containers } = pod.spec;
  if (pod.metadata.annotations?.[annotation.containerLaunchPriority] === "Ordered") return containers.map((_, index) => 0 - index);
  const priorities: number[] = [];
  for (const [index, container] of containers.entries()) {
    const priority = ownPriority(container);
    if (typeof priority === "string") {
      return `spec.containers[${index}].env: ${environmentVariable.containerPriority} of container ${container.name} must be an integer, not ${JSON.stringify(priority)}`;
    }
    priorities.push(priority);
  }
  return priorities.every((priority) => priority === priorities[0]) ? undefined : priorities;
}

/** The last entry wins; none means 0; the text itself when it is no integer. */
function ownPriority(container: Readonly<Container>): number | string {
  const entry = container.env?.findLast(({ name }) => name === environmentVariable.containerPriority);
  if (entry === undefined) return 0;
  const text = entry.value ?? "";
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value + 0 : text;
}

const prefixLengthMax = 58; // characters; leaves room for the five that follow in a name of 63
const suffixLength = 5;
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";

/** The server would choose the name only after the containers had to know it. */
function nameFrom(prefix: string, random: () => number): string {
  const draw = (): string => suffixAlphabet[Math.floor(random() * suffixAlphabet.length)] ?? "b";
  return prefix.slice(0, prefixLengthMax) + Array.from({ length: suffixLength }, draw).join("");
}
