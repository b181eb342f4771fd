/** A new pod: what the template says, and what makes it a pod of this CloneSet. */
import type { CloneSet } from "../../api/cloneset.ts";
import { label, lifecycleState } from "../../api/names.ts";
import type { Settings } from "../../api/settings.ts";
import type { Draft } from "../../kube/access.ts";
import type { Pod, PodTemplateSpec } from "../../kube/types.ts";
import { claimName, volumesWithClaims } from "../../workload/claims.ts";
import { withInPlaceReadinessGate } from "../../workload/inplace/index.ts";
import { stateMetadata } from "../../workload/lifecycle/index.ts";
import { cloneSetRevisionLabels } from "../../workload/revision/index.ts";
import { ownerReferenceTo } from "./owner.ts";

export interface NewPod {
  readonly cloneSet: Readonly<CloneSet>;
  readonly settings: Settings;
  readonly template: Readonly<PodTemplateSpec>;
  /** The revision that the template belongs to. */
  readonly revision: string;
  readonly id: string;
  readonly nowMs: number;
}

export const podName = (cloneSet: Readonly<CloneSet>, id: string): string => `${cloneSet.metadata.name}-${id}`;

/** Shares the parts of the template that it does not change: a thousand pods of one template cost one spec. */
export function newPod({ cloneSet, settings, template, revision, id, nowMs }: NewPod): Draft<Pod> {
  const state = stateMetadata(lifecycleState.preparingNormal, nowMs);
  const { labels, annotations, finalizers } = template.metadata ?? {};
  const { name } = cloneSet.metadata;
  const volumes = volumesWithClaims(template.spec.volumes ?? [], cloneSet.spec.volumeClaimTemplates ?? [], (claim) =>
    claimName(claim, name, id),
  );
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: podName(cloneSet, id),
      generateName: `${cloneSet.metadata.name}-`,
      namespace: cloneSet.metadata.namespace,
      labels: {
        ...labels,
        ...cloneSetRevisionLabels(revision, settings.gates.enabled("CloneSetShortHash")),
        [label.cloneSetInstanceId]: id,
        ...state.labels,
      },
      annotations: { ...annotations, ...state.annotations },
      ...(finalizers !== undefined && finalizers.length > 0 ? { finalizers } : {}),
      ownerReferences: [ownerReferenceTo(cloneSet)],
    },
    spec: {
      ...template.spec,
      readinessGates: withInPlaceReadinessGate(template.spec.readinessGates),
      ...(volumes.length > 0 ? { volumes: [...volumes] } : {}),
    },
  };
}
