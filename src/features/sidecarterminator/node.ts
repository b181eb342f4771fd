/** Where nobody runs a node agent, nobody answers a ContainerRecreateRequest. */
import { label, virtualKubelet } from "../../api/names.ts";
import type { Node } from "../../kube/types.ts";

export function isVirtual({ metadata }: Readonly<Node>): boolean {
  return metadata.labels?.[label.nodeType] === virtualKubelet;
}
