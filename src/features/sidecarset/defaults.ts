/** What is filled in when a SidecarSet is created or changed. The hashes come last: they are of the spec with its defaults. */
import { annotation } from "../../api/names.ts";
import type { SidecarSetSpec } from "../../api/sidecarset.ts";
import { defaultContainer } from "../../kube/defaults/container.ts";
import { fillAbsent, fillZero, inField, inItems } from "../../kube/defaults/fill.ts";
import { defaultVolume } from "../../kube/defaults/volume.ts";
import { type Fields, fieldsOf, isFields, withFields } from "../../kube/json.ts";
import { hashesOf } from "./hash.ts";

export const defaultRevisionHistoryMax = 10; // revisions

/** Of either version. @returns the same object when nothing was missing */
export function defaultSidecarSet<T extends object>(object: T): T {
  const complete = isFields((object as Fields)["spec"]) ? object : withFields(object, { spec: {} });
  const filled = inField(complete as Fields, "spec", defaultSpec);
  const { hash, withoutImage } = hashesOf(filled["spec"] as SidecarSetSpec);
  const metadata = fieldsOf(filled["metadata"]);
  const annotations = withFields(fieldsOf(metadata["annotations"]), {
    [annotation.sidecarSetHash]: hash,
    [annotation.sidecarSetHashWithoutImage]: withoutImage,
  });
  return withFields(filled, { metadata: withFields(metadata, { annotations }) }) as T;
}

function defaultSpec(spec: Fields): Fields {
  const strategy = isFields(spec["updateStrategy"]) ? spec["updateStrategy"] : {};
  const filledStrategy = fillAbsent(fillZero(strategy, { type: "RollingUpdate" }), { maxUnavailable: 1, partition: 0 });
  let filled = withFields(spec, { updateStrategy: filledStrategy });
  filled = inItems(filled, "initContainers", (container) => defaultSidecar(container, "AfterAppContainer"));
  filled = inItems(filled, "containers", (container) => defaultSidecar(container, "BeforeAppContainer"));
  filled = inItems(filled, "volumes", (volume) => defaultVolume(volume, "common"));
  filled = fillAbsent(filled, { revisionHistoryLimit: defaultRevisionHistoryMax });
  filled = inItems(filled, "patchPodMetadata", (patch) => fillZero(patch, { patchPolicy: "Retain" }));
  return inField(filled, "injectionStrategy", (strategy) =>
    inField(strategy, "revision", (revision) => fillZero(revision, { policy: "Always" })),
  );
}

function defaultSidecar(container: Fields, place: string): Fields {
  let filled = fillZero(container, { podInjectPolicy: place });
  filled = withObject(filled, "upgradeStrategy", (strategy) => fillZero(strategy, { upgradeType: "ColdUpgrade" }));
  filled = withObject(filled, "shareVolumePolicy", (policy) => fillZero(policy, { type: "disabled" }));
  filled = inItems(filled, "transferEnv", (entry) =>
    inField(entry, "sourceContainerNameFrom", (from) => inField(from, "fieldRef", (ref) => fillZero(ref, { apiVersion: "v1" }))),
  );
  return defaultContainer(filled, { startupProbe: "required", grpcService: false });
}

/** Like `inField`, for an object that is made when it is missing. */
function withObject(object: Fields, field: string, change: (child: Fields) => Fields): Fields {
  return inField(object[field] === undefined || object[field] === null ? withFields(object, { [field]: {} }) : object, field, change);
}
