/** A small cluster for tests of requests: one pod on one node, and requests as the webhook lets them in. */
import type { AdmissionRequest, Verdict } from "../../../admission/webhook.ts";
import type { ContainerRecreateRequest, ContainerRecreateRequestSpec } from "../../../api/containerrecreaterequest.ts";
import { testSettings, type World } from "../../../engine/testing/harness.ts";
import { nodes, pods } from "../../../kube/kinds.ts";
import type { Container, ContainerStatus, Node, Pod } from "../../../kube/types.ts";
import { review } from "../admission.ts";

export const namespace = "shop";
export const startedAt = "2024-12-31T00:00:00Z";

export function runningStatus(name: string, id = `${name}-1`, restartCount = 0, at = startedAt): ContainerStatus {
  return {
    name,
    containerID: `containerd://${id}`,
    restartCount,
    ready: true,
    image: "app:v1",
    imageID: "sha256:1",
    state: { running: { startedAt: at } },
  };
}

export interface PodDraft {
  readonly name?: string;
  readonly containers?: readonly Container[];
  readonly statuses?: readonly ContainerStatus[];
  readonly initContainers?: readonly Container[];
  readonly initStatuses?: readonly ContainerStatus[];
  readonly gated?: boolean;
  readonly phase?: string;
  readonly nodeName?: string;
  readonly conditions?: NonNullable<Pod["status"]>["conditions"];
}

export function podDraft(draft: PodDraft = {}) {
  const containers = draft.containers ?? [{ name: "app", image: "app:v1" }];
  return {
    metadata: { namespace, name: draft.name ?? "p" },
    spec: {
      nodeName: draft.nodeName ?? "n1",
      terminationGracePeriodSeconds: 17,
      containers: [...containers],
      ...(draft.initContainers ? { initContainers: [...draft.initContainers] } : {}),
      ...(draft.gated ? { readinessGates: [{ conditionType: "KruisePodReady" }] } : {}),
    },
    status: {
      phase: draft.phase ?? "Running",
      containerStatuses: [...(draft.statuses ?? containers.map(({ name }) => runningStatus(name)))],
      ...(draft.initStatuses ? { initContainerStatuses: [...draft.initStatuses] } : {}),
      conditions: draft.conditions ?? [
        { type: "ContainersReady", status: "True" as const },
        { type: "Ready", status: "True" as const },
        ...(draft.gated ? [{ type: "KruisePodReady", status: "True" as const }] : []),
      ],
    },
  };
}

/** Puts the node and the pod into the world. */
export function furnish(world: World, draft: PodDraft = {}, nodeLabels: Record<string, string> = {}): Pod {
  if (world.now<Node>(nodes, { namespace: "", name: "n1" }) === undefined)
    world.add(nodes, { metadata: { name: "n1", labels: nodeLabels } });
  return world.add<Pod>(pods, podDraft(draft));
}

export interface RequestDraft {
  readonly name?: string;
  readonly spec?: Partial<ContainerRecreateRequestSpec>;
  readonly version?: string;
}

/** What the webhook makes of a request. */
export function admit(world: World, draft: RequestDraft = {}, gates?: Parameters<typeof testSettings>[0]): Promise<Verdict> {
  const version = draft.version ?? "v1beta1";
  const object = {
    apiVersion: `apps.kruise.io/${version}`,
    kind: "ContainerRecreateRequest",
    metadata: { name: draft.name ?? "r", namespace },
    spec: { podName: "p", containers: [{ name: "app" }], ...draft.spec },
  } as unknown as ContainerRecreateRequest;
  return review({ ...request("CREATE", version), object }, { read: world, settings: testSettings(gates) });
}

export function request(operation: "CREATE" | "UPDATE", version: string): AdmissionRequest {
  const group = "apps.kruise.io";
  return {
    uid: "1",
    kind: { group, version, kind: "ContainerRecreateRequest" },
    resource: { group, version, resource: "containerrecreaterequests" },
    name: "r",
    namespace,
    operation,
    dryRun: false,
    userInfo: {},
  };
}

/** The admitted object. @throws when it was refused */
export async function admitted(world: World, draft: RequestDraft = {}): Promise<ContainerRecreateRequest> {
  const verdict = await admit(world, draft);
  if (!verdict.allowed) throw new Error(verdict.message);
  return verdict.object as ContainerRecreateRequest;
}
