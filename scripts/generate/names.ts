/** Names of an install. They are fixed: roles, documents and uninstall tools refer to them. */
import type { Feature } from "../../src/features/feature.ts";
import { resourceName } from "../../src/kube/kind.ts";

export const webhookConfigurationNames = ["kruise-mutating-webhook-configuration", "kruise-validating-webhook-configuration"];

export function crdNames(features: readonly Feature[]): string[] {
  return features.flatMap((feature) => (feature.kinds ?? []).map((definition) => resourceName(definition.kind))).sort();
}
