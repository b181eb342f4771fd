/** How a CustomResourceDefinition leads the API server to `/convert`. Pure. */

import { deepEqual, fieldsOf, isFields, withFields } from "../kube/json.ts";
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import type { ClientConfig } from "./configuration.ts";
import { carriesCa, type Wanted } from "./live-configuration.ts";

export interface CustomResourceDefinition extends KubeObject {
  spec?: {
    conversion?: { strategy?: string; webhook?: { clientConfig?: ClientConfig; conversionReviewVersions?: string[] } };
    [field: string]: unknown;
  };
}

export const customResourceDefinitions: Kind<CustomResourceDefinition> = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
};

export function convertsByWebhook(definition: CustomResourceDefinition): boolean {
  return definition.spec?.conversion?.strategy === "Webhook";
}

/** The same reference when it leads here already, or converts by no webhook: that is the administrator's choice. */
export function healConversion(
  definition: CustomResourceDefinition,
  { address, caBundle }: Pick<Wanted, "address" | "caBundle">,
): CustomResourceDefinition {
  const { spec } = definition;
  if (!spec?.conversion || !convertsByWebhook(definition)) return definition;
  const clientConfig: ClientConfig =
    address.by === "service"
      ? { caBundle, service: { namespace: address.namespace, name: address.name, path: "/convert", port: 443 } }
      : { caBundle, url: `https://${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}/convert` };
  if (deepEqual(withPort(spec.conversion.webhook?.clientConfig), clientConfig)) return definition;
  const webhook = { clientConfig, conversionReviewVersions: ["v1", "v1beta1"] };
  return withFields(definition, { spec: withFields(spec, { conversion: { ...spec.conversion, webhook } }) });
}

function withPort(config: ClientConfig | undefined): unknown {
  const service = fieldsOf(config)["service"];
  return isFields(service) ? { ...config, service: { port: 443, ...service } } : config;
}

export function conversionCarriesCa(definition: CustomResourceDefinition, caPem: string): boolean {
  return carriesCa(definition.spec?.conversion?.webhook?.clientConfig?.caBundle, caPem);
}
