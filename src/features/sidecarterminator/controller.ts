/** Watches pods whose main containers are done. */
import { type ContainerRecreateRequest, containerRecreateRequests } from "../../api/containerrecreaterequest.ts";
import { controller, watch } from "../../engine/controller.ts";
import { nodes, pods } from "../../kube/kinds.ts";
import type { KubeObject, Pod } from "../../kube/types.ts";
import { isDue } from "./classify.ts";
import { type Observed, plan, requestName } from "./plan.ts";

export const sidecarTerminatorController = controller<Observed, never>({
  name: "sidecarterminator-controller",
  of: pods,
  workers: { flag: "sidecarterminator-workers", count: 3 },
  enabled: ({ gates }) => gates.enabled("SidecarTerminator"),
  watches: [
    // A request that has ended may have to be made again.
    watch<ContainerRecreateRequest>(containerRecreateRequests, ({ before, after }) => {
      const request = after ?? before;
      const isOurs = request?.metadata.name.startsWith("sidecar-termination-") ?? false;
      const isNews = after === undefined || before?.status?.phase !== after.status?.phase;
      return isOurs && isNews ? [{ namespace: request?.metadata.namespace ?? "", name: request?.spec?.podName ?? "" }] : [];
    }),
  ],
  concerns: ({ after }) => after !== undefined && isDue(after as Readonly<KubeObject> as Readonly<Pod>),
  reads: [nodes],
  observe: ({ read }, key) => {
    const pod = read.get(pods, key);
    if (pod === undefined || !isDue(pod)) return undefined;
    const node = read.get(nodes, { namespace: "", name: pod.spec.nodeName ?? "" });
    const request = read.get(containerRecreateRequests, { namespace: key.namespace, name: requestName(pod) });
    return { pod, node, request };
  },
  plan,
});
