/** Addresses and node ports of new Services. */
import { fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import type { Store, Stored } from "../storage/store.ts";

const nodePortFirst = 30_000;

export function withAddress(store: Store, service: Stored): Stored {
  const spec = fieldsOf(service["spec"]);
  if (spec["type"] === "ExternalName") return service;
  const services = store.list("services").map((other) => fieldsOf(other["spec"]));
  const clusterIP = textOf(spec["clusterIP"]) || freeAddress(new Set(services.map((other) => textOf(other["clusterIP"]))));
  const wantsPorts = spec["type"] === "NodePort" || spec["type"] === "LoadBalancer";
  const taken = new Set(services.flatMap((other) => itemsOf(other["ports"]).map((port) => fieldsOf(port)["nodePort"])));
  const ports = itemsOf(spec["ports"]).map((port) => {
    if (!wantsPorts || fieldsOf(port)["nodePort"]) return port;
    let nodePort = nodePortFirst;
    while (taken.has(nodePort)) nodePort += 1;
    taken.add(nodePort);
    return withFields(fieldsOf(port), { nodePort });
  });
  const external = wantsPorts ? { externalTrafficPolicy: spec["externalTrafficPolicy"] ?? "Cluster" } : {};
  return withFields(service, {
    spec: withFields(spec, { clusterIP, clusterIPs: [clusterIP], ...external, ...(spec["ports"] === undefined ? {} : { ports }) }),
  }) as Stored;
}

function freeAddress(taken: ReadonlySet<string>): string {
  for (let number = 10; ; number += 1) {
    const address = `10.96.${number >> 8}.${number & 255}`;
    if (!taken.has(address)) return address;
  }
}
