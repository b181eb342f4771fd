/** Services with a selector: which pods stand behind them, as EndpointSlices. */
import { type Fields, fieldsOf, isFields, itemsOf } from "../../kube/json.ts";
import { isReady } from "../../kube/pod.ts";
import { selectorMatches } from "../../kube/selector.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { asPod, isFinishedPod, keyOf, ownerReference, specOf } from "./pods.ts";
import { type Controller, itself, type MakeController, retryOf } from "./worker.ts";

const slices = "endpointslices.discovery.k8s.io";

export const services: MakeController = (inside): Controller => ({
  name: "endpointslice-controller",
  watches: {
    services: itself,
    pods: ({ before, after }) => {
      const { namespace } = ((after ?? before) as Stored).metadata;
      return inside
        .list("services", namespace)
        .filter((service) => selects(service, before) || selects(service, after))
        .map(keyOf);
    },
  },
  async reconcile(key) {
    const service = inside.get("services", key);
    if (service === undefined || service.metadata.deletionTimestamp !== undefined || !isFields(specOf(service)["selector"]))
      return undefined;
    const wanted = sliceOf(inside, service);
    const name = `${key.name}-sandbox`;
    if (inside.get(slices, { ...key, name }) === undefined)
      return retryOf(await inside.create(slices, key.namespace, { ...wanted, metadata: { ...fieldsOf(wanted["metadata"]), name } }));
    return retryOf(
      await inside.update(
        slices,
        { ...key, name },
        (current) => ({ ...current, endpoints: wanted["endpoints"], ports: wanted["ports"] }) as Stored,
      ),
    );
  },
});

function selects(service: Stored, pod: Stored | undefined): boolean {
  const selector = specOf(service)["selector"];
  return (
    pod !== undefined && isFields(selector) && selectorMatches({ matchLabels: selector as Record<string, string> }, pod.metadata.labels)
  );
}

function sliceOf(inside: Inside, service: Stored): Fields {
  const pods = inside
    .list("pods", service.metadata.namespace)
    .filter((pod) => selects(service, pod) && !isFinishedPod(pod) && asPod(pod).status?.podIP);
  return {
    metadata: {
      labels: {
        "kubernetes.io/service-name": service.metadata.name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
      },
      ownerReferences: [ownerReference(service)],
    },
    addressType: "IPv4",
    endpoints: pods.map((pod) => {
      const ready = isReady(asPod(pod)) || specOf(service)["publishNotReadyAddresses"] === true;
      const terminating = pod.metadata.deletionTimestamp !== undefined;
      return {
        addresses: [asPod(pod).status?.podIP],
        conditions: { ready: ready && !terminating, serving: ready, terminating },
        nodeName: asPod(pod).spec.nodeName,
        targetRef: { kind: "Pod", namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
      };
    }),
    ports: itemsOf(specOf(service)["ports"])
      .map(fieldsOf)
      .map((port) => ({
        name: port["name"] ?? "",
        protocol: port["protocol"] ?? "TCP",
        port: targetOf(port, pods),
      })),
  };
}

/** A target by name is a port of the pods' containers. */
function targetOf(port: Fields, pods: readonly Stored[]): unknown {
  const { targetPort } = port;
  if (typeof targetPort !== "string") return targetPort ?? port["port"];
  const ports = pods.flatMap((pod) => asPod(pod).spec.containers.flatMap((container) => container.ports ?? []));
  return ports.find(({ name }) => name === targetPort)?.containerPort ?? port["port"];
}
