/** What Kubernetes fills in for the volumes of a pod template, and for volume claims. */
import { defaultPullPolicy } from "../image-ref.ts";
import { type Fields, isAbsent, isFields, textOf, withFields } from "../json.ts";
import { fillAbsent, fillZero, inField, inItems } from "./fill.ts";
import { roundedAmounts, roundedResources } from "./resources.ts";

const defaultMode = 0o644;

function defaultDownwardItem(item: Fields): Fields {
  return inField(item, "fieldRef", (selector) => fillZero(selector, { apiVersion: "v1" }));
}

function defaultDownwardApi(source: Fields): Fields {
  return inItems(source, "items", defaultDownwardItem);
}

function defaultProjection(source: Fields): Fields {
  return inField(inField(source, "downwardAPI", defaultDownwardApi), "serviceAccountToken", (token) =>
    fillAbsent(token, { expirationSeconds: 3600 }),
  );
}

/** The sources that SidecarSets default as well. */
const commonSources: Readonly<Record<string, (source: Fields) => Fields>> = {
  hostPath: (source) => fillAbsent(source, { type: "" }),
  secret: (source) => fillAbsent(source, { defaultMode }),
  configMap: (source) => fillAbsent(source, { defaultMode }),
  downwardAPI: (source) => defaultDownwardApi(fillAbsent(source, { defaultMode })),
  projected: (source) => inItems(fillAbsent(source, { defaultMode }), "sources", defaultProjection),
};

const otherSources: Readonly<Record<string, (source: Fields) => Fields>> = {
  iscsi: (source) => fillZero(source, { iscsiInterface: "default" }),
  rbd: (source) => fillZero(source, { pool: "rbd", user: "admin", keyring: "/etc/ceph/keyring" }),
  azureDisk: (source) => fillAbsent(source, { cachingMode: "ReadWrite", fsType: "ext4", readOnly: false, kind: "Shared" }),
  scaleIO: (source) => fillZero(source, { storageMode: "ThinProvisioned", fsType: "xfs" }),
  ephemeral: (source) => inField(source, "volumeClaimTemplate", defaultEphemeralClaim),
  image: (source) => fillZero(source, { pullPolicy: defaultPullPolicy(textOf(source["reference"])) }),
};

/** Unlike a workload's claim templates, an ephemeral one gets its mode at once, and completely: it has no other defaulting before its pod. */
function defaultEphemeralClaim(template: Fields): Fields {
  const spec = isAbsent(template["spec"]) ? withFields(template, { spec: {} }) : template;
  return inField(spec, "spec", (claim) => inField(fillAbsent(claim, { volumeMode: "Filesystem" }), "resources", roundedResources));
}

function withSource(volume: Fields): Fields {
  for (const field of Object.keys(volume)) if (field !== "name" && !isAbsent(volume[field])) return volume;
  return withFields(volume, { emptyDir: {} });
}

/** @param sources "common": only those sources that SidecarSets have always defaulted */
export function defaultVolume(volume: Fields, sources: "all" | "common" = "all"): Fields {
  let filled = withSource(volume);
  for (const [name, change] of Object.entries(commonSources)) filled = inField(filled, name, change);
  if (sources === "all") for (const [name, change] of Object.entries(otherSources)) filled = inField(filled, name, change);
  return filled;
}

/** A workload's claim template: phase and amounts. The volume mode is left open, as OpenKruise does. */
export function defaultClaimTemplate<T extends object>(template: T): T {
  const fields = template as Fields;
  const status = isFields(fields["status"]) ? fields : isAbsent(fields["status"]) ? withFields(fields, { status: {} }) : fields;
  const phased = inField(status, "status", (child) => inField(fillZero(child, { phase: "Pending" }), "capacity", roundedAmounts));
  return inField(phased, "spec", (spec) => inField(spec, "resources", roundedResources)) as T;
}
