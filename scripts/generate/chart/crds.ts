/** The custom resource definitions as templates: with the install's namespace, and kept when the release goes. */
import { customResourceDefinition } from "../../../src/api/crd.ts";
import type { KindDefinition } from "../../../src/api/definition.ts";
import { resourceName } from "../../../src/kube/kind.ts";
import { banner, hole, labelsHole, printTemplate, when } from "./holes.ts";

export function crdTemplates(definitions: readonly KindDefinition[]): Record<string, string> {
  return Object.fromEntries(
    definitions.map((definition) => [
      `crds/${resourceName(definition.kind)}.yaml`,
      banner + when([".Values.crds.managed"], crdTemplate(definition)),
    ]),
  );
}

interface Crd {
  metadata: { name: string; [field: string]: unknown };
  spec: { conversion?: { webhook?: { clientConfig: { service: { namespace: string } } } }; [field: string]: unknown };
  [field: string]: unknown;
}

function crdTemplate(definition: KindDefinition): string {
  const crd = structuredClone(customResourceDefinition(definition)) as unknown as Crd;
  crd.metadata = { name: crd.metadata.name, labels: labelsHole(4), annotations: hole('include "kruise.crdAnnotations" . | nindent 4') };
  const service = crd.spec.conversion?.webhook?.clientConfig.service;
  if (service) service.namespace = hole(".Values.installation.namespace");
  return printTemplate(crd);
}
