/** Bodies in protobuf, as the JSON that they stand for. */
import { readProtobuf, Unreadable } from "../schema/protobuf.ts";
import { reviewResources } from "./discovery.ts";
import { badRequest } from "./refusal.ts";
import type { Registry } from "./registry.ts";

/** Kinds that are sent and not stored. */
const others: Readonly<Record<string, string>> = {
  "autoscaling/v1 Scale": "autoscaling.v1.Scale",
  "policy/v1 Eviction": "policy.v1.Eviction",
  "v1 Binding": "core.v1.Binding",
  "authentication.k8s.io/v1 TokenRequest": "authentication.v1.TokenRequest",
  ...Object.fromEntries(
    reviewResources
      .filter(([group]) => group !== "")
      .map(([group, version, , kind]) => [`${group}/${version} ${kind}`, `${group.split(".")[0]}.${version}.${kind}`]),
  ),
};

/** @throws Refusal when it cannot be read */
export function jsonOfProtobuf(registry: Registry, bytes: Uint8Array): string {
  const typeOf = (apiVersion: string, kind: string): string | undefined => {
    // Every group has them.
    if (kind === "DeleteOptions") return "meta.v1.DeleteOptions";
    const slash = apiVersion.indexOf("/");
    const group = slash < 0 ? "" : apiVersion.slice(0, slash);
    const resource = registry.byKind(group, kind);
    const version = resource?.versions.find(({ name }) => name === apiVersion.slice(slash + 1));
    return version?.schema.typeName ?? others[`${apiVersion} ${kind}`];
  };
  try {
    return JSON.stringify(readProtobuf(bytes, typeOf));
  } catch (error) {
    if (error instanceof Unreadable) throw badRequest(`the body cannot be read: ${error.message}`);
    throw error;
  }
}
