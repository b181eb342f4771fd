/** ContainerRecreateRequest: restart some containers of a running pod. */
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import { containerRecreateRequestConversion } from "./containerrecreaterequest-conversion.ts";
import type { KindDefinition, VersionDefinition } from "./definition.ts";
import { standardCondition } from "./schema/common.ts";
import {
  about,
  atomicList,
  dateTime,
  fields,
  flag,
  int32,
  int64,
  intOrString,
  known,
  list,
  listByKey,
  type Output,
  oneOf,
  requiring,
  type Schema,
  text,
  withDefault,
  withKeywords,
} from "./schema/kit.ts";

const containerPort = requiring(
  { containerPort: int32 },
  { name: text, hostIP: text, hostPort: int32, protocol: withDefault(text, "TCP") },
);
const preStop = fields({
  exec: fields({ command: atomicList(text) }),
  httpGet: requiring(
    { port: intOrString },
    { host: text, path: text, scheme: text, httpHeaders: atomicList(requiring({ name: text, value: text })) },
  ),
  tcpSocket: requiring({ port: intOrString }, { host: text }),
});
const container = requiring(
  { name: text },
  {
    preStop: about("Filled in from the pod.", preStop),
    ports: about("Filled in from the pod.", list(containerPort)),
    statusContext: about("Which container is meant; filled in from the pod.", requiring({ containerID: text, restartCount: int32 })),
  },
);

/** v1alpha1 has the same fields as v1beta1 without its limits. */
function specWith(natural: (schema: Schema<number>) => Schema<number>, failurePolicy: Schema<string>) {
  return requiring(
    {
      podName: about("The pod, in the same namespace.", text),
      containers: about("The containers, in the order of their restart.", list(container)),
    },
    {
      strategy: fields({
        failurePolicy: about("Fail (the default) or Ignore: whether to go on when one container fails.", failurePolicy),
        orderedRecreate: about("Stop the next one only when the one before runs again.", flag),
        forceRecreate: about("Stop also what was restarted since this object was made.", flag),
        terminationGracePeriodSeconds: about("The pod's own when absent.", natural(int64)),
        unreadyGracePeriodSeconds: about("The pod is not ready so many seconds before the first stop.", natural(int64)),
        minStartedSeconds: about("A new container has to run so long to count as recreated.", natural(int32)),
      }),
      activeDeadlineSeconds: about("Seconds since creation after which it ends.", natural(int64)),
      ttlSecondsAfterFinished: about("It is deleted so many seconds after it ended.", natural(int32)),
    },
  );
}
const specV1Alpha1 = specWith((schema) => schema, text);
const specV1Beta1 = specWith((schema) => withKeywords(schema, { minimum: 0 }), oneOf("Fail", "Ignore"));

const phases = ["Pending", "Recreating", "Succeeded", "Failed", "Completed"] as const;
type Phase = (typeof phases)[number];

const statusFieldsWith = (phase: Schema<string>) => ({
  required: { phase: phase as Schema<Phase> },
  optional: {
    completionTime: dateTime,
    message: about("Why it ended early.", text),
    containerRecreateStates: list(requiring({ name: text, phase: phase as Schema<Phase> }, { message: text, isKilled: flag })),
  },
});
const alphaStatus = statusFieldsWith(known(...phases));
const betaStatus = statusFieldsWith(oneOf(...phases));
const containerStatusSnapshot = requiring({ name: text, ready: flag, restartCount: int32 }, { containerID: text });

const statusV1Alpha1 = requiring(alphaStatus.required, alphaStatus.optional);
const statusV1Beta1 = requiring(betaStatus.required, {
  ...betaStatus.optional,
  containerStatusSnapshot: about("The pod's containers, as the node agent should see them.", list(containerStatusSnapshot)),
  conditions: listByKey(standardCondition, "type"),
});

export type ContainerRecreateRequestSpec = Output<typeof specV1Beta1>;
export type ContainerRecreateRequestContainer = Output<typeof container>;
export type ContainerRecreateRequestStrategy = NonNullable<ContainerRecreateRequestSpec["strategy"]>;
export type ContainerRecreateRequestStatus = Output<typeof statusV1Beta1>;
export type ContainerRecreateRequestPhase = Phase;
export type ContainerRecreateState = NonNullable<ContainerRecreateRequestStatus["containerRecreateStates"]>[number];
export type ContainerStatusSnapshot = Output<typeof containerStatusSnapshot>;
export interface ContainerRecreateRequest extends KubeObject {
  spec: ContainerRecreateRequestSpec;
  status?: ContainerRecreateRequestStatus;
}

export interface ContainerRecreateRequestV1Alpha1 extends KubeObject {
  spec: Output<typeof specV1Alpha1>;
  status?: Output<typeof statusV1Alpha1>;
}

const common: Pick<VersionDefinition, "served" | "columns" | "subresources"> = {
  served: true,
  columns: [
    { name: "PHASE", type: "string", jsonPath: ".status.phase", description: "How far it is." },
    { name: "POD", type: "string", jsonPath: ".spec.podName", description: "The pod." },
    { name: "NODE", type: "string", jsonPath: ".metadata.labels.crr\\.apps\\.kruise\\.io/node-name", description: "The pod's node." },
    { name: "AGE", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ],
  subresources: { status: true },
};

export const containerRecreateRequests: Kind<ContainerRecreateRequest> = {
  group: "apps.kruise.io",
  version: "v1beta1",
  kind: "ContainerRecreateRequest",
  plural: "containerrecreaterequests",
  namespaced: true,
};

export const containerRecreateRequestDefinition: KindDefinition<ContainerRecreateRequest> = {
  kind: containerRecreateRequests,
  listKind: "ContainerRecreateRequestList",
  singular: "containerrecreaterequest",
  shortNames: ["crr"],
  versions: [
    { name: "v1alpha1", storage: false, schema: fields({ spec: specV1Alpha1, status: statusV1Alpha1 }), ...common },
    { name: "v1beta1", storage: true, schema: fields({ spec: specV1Beta1, status: statusV1Beta1 }), ...common },
  ],
  conversion: { v1alpha1: containerRecreateRequestConversion },
};
