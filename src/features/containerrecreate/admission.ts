/** Admission of ContainerRecreateRequests: what is filled in from the pod, and what is refused. Both versions have one spec. */
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict, type Webhook } from "../../admission/webhook.ts";
import {
  type ContainerRecreateRequest,
  type ContainerRecreateRequestContainer,
  type ContainerRecreateRequestSpec,
  containerRecreateRequests,
} from "../../api/containerrecreaterequest.ts";
import { annotation, conditionType, label, virtualKubelet } from "../../api/names.ts";
import { deepEqual, fieldsOf, isAbsent, isFields, itemsOf, textOf } from "../../kube/json.ts";
import { nodes, pods } from "../../kube/kinds.ts";
import { isActive, isNativeSidecar, podCondition } from "../../kube/pod.ts";
import type { Container, ContainerStatus, Node, Pod } from "../../kube/types.ts";

const activeDeadlineSecondsMin = 3;

export const webhooks: readonly Webhook[] = [
  {
    name: "mcontainerrecreaterequest.kb.io",
    type: "mutating",
    path: "/mutate-apps-kruise-io-containerrecreaterequest",
    aliases: ["/mutate-apps-kruise-io-v1alpha1-containerrecreaterequest"],
    rules: [
      {
        operations: ["CREATE", "UPDATE"],
        group: containerRecreateRequests.group,
        versions: ["v1alpha1", "v1beta1"],
        resources: [containerRecreateRequests.plural],
      },
    ],
    review,
  },
];

export async function review(request: AdmissionRequest, context: Pick<AdmissionContext, "read" | "settings">): Promise<Verdict> {
  if (!context.settings.gates.enabled("KruiseDaemon"))
    return deny(403, "feature gate KruiseDaemon is off: nobody would restart the containers");
  if (!isFields(request.object)) return deny(400, "the request carries no ContainerRecreateRequest");
  if (request.operation === "UPDATE") return reviewUpdate(request);
  return reviewCreate(request.object as unknown as ContainerRecreateRequest, request.namespace, context);
}

/** Labels that must stay as the webhook set them: by them the node agent finds its work, and the manager the pod. */
const fixedLabels = [label.crrPodUid, label.crrNodeName];

function reviewUpdate({ object, oldObject, resource }: AdmissionRequest): Verdict {
  const [after, before] = [fieldsOf(object), fieldsOf(oldObject)];
  if (!deepEqual(after["spec"], before["spec"])) return deny(403, "spec: Forbidden: a request cannot be changed; make a new one");
  const [metaAfter, metaBefore] = [fieldsOf(after["metadata"]), fieldsOf(before["metadata"])];
  for (const key of fixedLabels) {
    if (fieldsOf(metaAfter["labels"])[key] !== fieldsOf(metaBefore["labels"])[key])
      return deny(403, `metadata.labels[${key}]: Forbidden: the label cannot be changed`);
  }
  const acquired = fieldsOf(metaBefore["annotations"])[annotation.crrUnreadyAcquired];
  const isAlpha = resource.version === "v1alpha1";
  if (isAlpha && !isAbsent(acquired) && fieldsOf(metaAfter["annotations"])[annotation.crrUnreadyAcquired] !== acquired)
    return deny(403, `metadata.annotations[${annotation.crrUnreadyAcquired}]: Forbidden: the annotation cannot be changed`);
  return allow;
}

async function reviewCreate(
  object: Readonly<ContainerRecreateRequest>,
  namespace: string,
  { read }: Pick<AdmissionContext, "read">,
): Promise<Verdict> {
  const spec = (isFields(object.spec) ? object.spec : {}) as Partial<ContainerRecreateRequestSpec>;
  const problem = specProblem(spec);
  if (problem !== undefined) return deny(400, problem);
  const podName = spec.podName ?? "";
  // Straight from the server: a container that was restarted a moment ago must not be taken for the one that is meant.
  const found = await read.live.get(pods, { namespace, name: podName });
  if (!found.ok)
    return found.why === "notFound"
      ? deny(400, `spec.podName: pod ${podName} not found`)
      : deny(500, `cannot read pod ${podName}: ${found.message}`);
  const pod = found.object;
  if (!isActive(pod) && podCondition(pod, conditionType.sidecarTerminated) === undefined)
    return deny(400, `spec.podName: pod ${podName} is not active: its containers are not going to run again`);
  const nodeName = pod.spec.nodeName ?? "";
  if (nodeName === "") return deny(400, `spec.podName: pod ${podName} is not scheduled to a node yet`);
  const node = await read.live.get(nodes, { namespace: "", name: nodeName });
  if (!node.ok)
    return node.why === "notFound" ? deny(400, `node ${nodeName} not found`) : deny(500, `cannot read node ${nodeName}: ${node.message}`);
  const containers = fillContainers(spec.containers ?? [], pod);
  if (typeof containers === "string") return deny(400, containers);
  return { allowed: true, object: filled(object, spec, pod, node.object, containers) };
}

/** What is wrong with the request, whatever the pod is like. */
function specProblem(spec: Partial<ContainerRecreateRequestSpec>): string | undefined {
  const { podName, containers, strategy, activeDeadlineSeconds } = spec;
  if (!podName) return "spec.podName: Required value: name the pod";
  if (itemsOf(containers).length === 0) return "spec.containers: Required value: name at least one container";
  if (activeDeadlineSeconds !== undefined && activeDeadlineSeconds < activeDeadlineSecondsMin)
    return `spec.activeDeadlineSeconds: Invalid value: ${activeDeadlineSeconds}: must be ${activeDeadlineSecondsMin} or more`;
  for (const field of ["terminationGracePeriodSeconds", "unreadyGracePeriodSeconds"] as const) {
    const seconds = strategy?.[field];
    if (seconds !== undefined && seconds < 0) return `spec.strategy.${field}: Invalid value: ${seconds}: must be 0 or more`;
  }
  const policy = strategy?.failurePolicy as string | undefined;
  if (policy && policy !== "Fail" && policy !== "Ignore")
    return `spec.strategy.failurePolicy: Unsupported value: "${policy}": use Fail or Ignore`;
  return undefined;
}

/** @returns the containers with what the pod says of them, or what is wrong */
function fillContainers(
  asked: readonly ContainerRecreateRequestContainer[],
  pod: Readonly<Pod>,
): readonly ContainerRecreateRequestContainer[] | string {
  const names = new Set<string>();
  const filledIn: ContainerRecreateRequestContainer[] = [];
  for (const [index, container] of asked.entries()) {
    const path = `spec.containers[${index}]`;
    const name = textOf(fieldsOf(container)["name"]);
    if (names.has(name)) return `${path}.name: Duplicate value: "${name}"`;
    names.add(name);
    const spec = specOf(pod, name);
    const problem = givenProblem(container, spec, path);
    if (problem !== undefined) return problem;
    if (spec === undefined) return `${path}.name: Not found: "${name}": pod ${pod.metadata.name} has no such container`;
    const status = statusOf(pod, spec);
    if (status === undefined) return `${path}.name: Invalid value: "${name}": the pod's status does not show this container running`;
    if (!status.containerID) return `${path}.name: Invalid value: "${name}": the container has not been started yet`;
    filledIn.push(fillContainer(name, spec, { containerID: status.containerID, restartCount: status.restartCount ?? 0 }));
  }
  return filledIn;
}

function specOf({ spec }: Readonly<Pod>, name: string): Container | undefined {
  const isNamed = (container: Container) => container.name === name;
  return spec.containers.find(isNamed) ?? spec.initContainers?.find(isNamed);
}

/** Of the app containers, and of init containers that keep running. */
function statusOf({ status }: Readonly<Pod>, container: Container): ContainerStatus | undefined {
  const isNamed = (candidate: ContainerStatus) => candidate.name === container.name;
  return (
    status?.containerStatuses?.find(isNamed) ?? (isNativeSidecar(container) ? status?.initContainerStatuses?.find(isNamed) : undefined)
  );
}

/** The pod's own values may be given, as some clients do: they are filled in all the same. */
function givenProblem(container: ContainerRecreateRequestContainer, spec: Container | undefined, path: string): string | undefined {
  if (!isAbsent(container.statusContext)) return `${path}.statusContext: Forbidden: it is filled in from the pod`;
  const { preStop, ports } = container;
  if (!isAbsent(preStop) && Object.keys(preStop).length > 0 && !deepEqual(preStop, spec?.lifecycle?.preStop))
    return `${path}.preStop: Forbidden: it is filled in from the pod`;
  if (!isAbsent(ports) && ports.length > 0 && !deepEqual(ports, spec?.ports))
    return `${path}.ports: Forbidden: they are filled in from the pod`;
  return undefined;
}

function fillContainer(
  name: string,
  { lifecycle, ports }: Container,
  statusContext: NonNullable<ContainerRecreateRequestContainer["statusContext"]>,
): ContainerRecreateRequestContainer {
  const { exec, httpGet, tcpSocket } = lifecycle?.preStop ?? {};
  // The request has no room for other kinds of hooks: the node agent reads those from the pod.
  const preStop =
    exec || httpGet || tcpSocket ? { ...(exec && { exec }), ...(httpGet && { httpGet }), ...(tcpSocket && { tcpSocket }) } : undefined;
  const filledIn = { name, ...(preStop && { preStop }), ...(httpGet && ports && { ports }), statusContext };
  return filledIn as ContainerRecreateRequestContainer;
}

function filled(
  object: Readonly<ContainerRecreateRequest>,
  spec: Partial<ContainerRecreateRequestSpec>,
  pod: Readonly<Pod>,
  node: Readonly<Node>,
  containers: readonly ContainerRecreateRequestContainer[],
): ContainerRecreateRequest {
  const strategy = spec.strategy ?? {};
  const graceSeconds = strategy.terminationGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds;
  const isVirtual = node.metadata.labels?.[label.nodeType] === virtualKubelet;
  return {
    ...object,
    metadata: {
      ...object.metadata,
      labels: {
        ...object.metadata.labels,
        [label.crrActive]: "true",
        [label.crrNodeName]: node.metadata.name,
        [label.crrPodUid]: pod.metadata.uid,
        ...(isVirtual ? { [label.nodeType]: virtualKubelet } : {}),
      },
    },
    spec: {
      ...spec,
      podName: pod.metadata.name,
      containers: [...containers],
      strategy: {
        ...strategy,
        failurePolicy: strategy.failurePolicy || "Fail",
        ...(graceSeconds === undefined ? {} : { terminationGracePeriodSeconds: graceSeconds }),
      },
    },
  };
}
