/** Services with a selector: which pods stand behind them, as EndpointSlices, and as Endpoints for those who still read them. */
import { deepEqual, type Fields, fieldsOf, isFields, itemsOf, textOf, withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import { isReady } from "../../kube/pod.ts";
import { selectorMatches } from "../../kube/selector.ts";
import type { Stored } from "../storage/store.ts";
import type { Inside, Outcome } from "./inside.ts";
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
    if (service === undefined) return forget(inside, key);
    if (service.metadata.deletionTimestamp !== undefined || !isFields(specOf(service)["selector"])) return undefined;
    const slice = sliceOf(inside, service);
    const both = [
      await put(inside, slices, { ...key, name: `${key.name}-sandbox` }, slice, ["endpoints", "ports"]),
      await put(inside, "endpoints", key, endpointsOf(slice), ["subsets"]),
    ];
    return retryOf(...both);
  },
});

const managedBy = "endpoints.kubernetes.io/managed-by";
const self = "endpoint-controller";

/** Endpoints have no owner: nobody else takes them away. */
async function forget(inside: Inside, key: Key): Promise<"again" | undefined> {
  const left = inside.get("endpoints", key);
  return left?.metadata.labels?.[managedBy] === self ? retryOf(await inside.remove("endpoints", left)) : undefined;
}

/** Makes the object, or gives it these fields. */
function put(inside: Inside, resource: string, key: Key, wanted: Fields, fields: readonly string[]): Promise<Outcome> {
  if (inside.get(resource, key) === undefined)
    return inside.create(resource, key.namespace, { ...wanted, metadata: { ...fieldsOf(wanted["metadata"]), name: key.name } });
  const changes = Object.fromEntries(fields.map((field) => [field, wanted[field]]));
  return inside.update(resource, key, (current) => {
    const next = withFields(current, changes);
    return (deepEqual(next, current) ? current : next) as Stored;
  });
}

function endpointsOf(slice: Fields): Fields {
  const all = itemsOf(slice["endpoints"]).map(fieldsOf);
  const addresses = (ready: boolean) =>
    all
      .filter((endpoint) => (fieldsOf(endpoint["conditions"])["ready"] === true) === ready)
      .map(({ addresses: [ip] = [], nodeName, targetRef }: Fields & { addresses?: unknown[] }) => ({ ip, nodeName, targetRef }));
  const [up, down] = [addresses(true), addresses(false)];
  const metadata = { labels: { [managedBy]: self } };
  if (up.length + down.length === 0) return { metadata };
  const subset = {
    ...(up.length > 0 ? { addresses: up } : {}),
    ...(down.length > 0 ? { notReadyAddresses: down } : {}),
    ports: itemsOf(slice["ports"]).map((port) => withFields(fieldsOf(port), { name: textOf(fieldsOf(port)["name"]) || undefined })),
  };
  return { metadata, subsets: [subset] };
}

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
