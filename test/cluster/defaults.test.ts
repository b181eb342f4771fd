/**
 * What Kubernetes fills in, against Kubernetes itself: every row of the defaults' table is given to the real API server, and what it makes of
 * it is compared, byte for byte in canonical form, with what we make of it.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { encodeAs } from "../../src/kube/canonical/encode.ts";
import { claimTemplateCases, podCases, podTemplateCases } from "../../src/kube/defaults/defaults.cases.ts";
import { defaultPod, defaultPodTemplate } from "../../src/kube/defaults/pod.ts";
import { defaultClaimTemplate } from "../../src/kube/defaults/volume.ts";
import type { Loose } from "../lib/shop.ts";
import type { Rig } from "../rig/index.ts";
import { cluster, startTimeoutMs } from "./cluster.ts";

let rig: Rig;
let namespace: string;
beforeAll(async () => {
  ({ rig } = await cluster());
  namespace = await rig.namespace();
}, startTimeoutMs);

interface Template extends Loose {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: { containers: Loose[]; initContainers?: Loose[]; volumes?: Loose[]; restartPolicy?: string } & Loose;
}

const volume = (source: Loose): Partial<Template["spec"]> => ({ volumes: [{ name: "v", ...source }] });
/** Rows leave out what only validation wants; it does not change what is filled in. */
const valid: Readonly<Record<string, Partial<Template["spec"]>>> = {
  "init containers": { initContainers: [{ name: "i", image: "nginx:1.25", ports: [{ containerPort: 1 }] }] },
  iSCSI: volume({ iscsi: { targetPortal: "10.0.0.1", iqn: "iqn.2001-04.com.example:storage", lun: 0 } }),
  "Azure disks": volume({ azureDisk: { diskName: "d", diskURI: "https://blob/d" } }),
  ScaleIO: volume({ scaleIO: { gateway: "g", system: "s", secretRef: { name: "x" }, volumeName: "v" } }),
};
const labels = { app: "defaults" };

function complete(what: string, given: unknown): Template {
  const template = structuredClone(given) as Template;
  const containers = template.spec.containers.length > 0 ? template.spec.containers : [{ name: "c", image: "nginx:1.25" }];
  return { ...template, metadata: { labels }, spec: { ...template.spec, containers, ...valid[what] } };
}

const canonical = (template: unknown): string => encodeAs("PodTemplateSpec", template, { sorted: true });
const dryRun = <T>(path: string, body: unknown): Promise<T> => rig.admin.create<T>(`${path}?dryRun=All`, body);

describe("templates", () => {
  test.each(podTemplateCases.map((row) => [row.what, row] as const))("%s", async (what, row) => {
    const given = complete(what, row.given);
    const ours = canonical(defaultPodTemplate(given));
    const podTemplate = await dryRun<{ template: unknown }>(`/api/v1/namespaces/${namespace}/podtemplates`, {
      metadata: { generateName: "row-" },
      template: given,
    });
    expect(ours).toBe(canonical(podTemplate.template));
    // A Deployment's pods run for ever.
    if (given.spec.restartPolicy === "Never") return;
    const deployment = await dryRun<{ spec: { template: unknown } }>(`/apis/apps/v1/namespaces/${namespace}/deployments`, {
      metadata: { generateName: "row-" },
      spec: { selector: { matchLabels: labels }, template: given },
    });
    expect(ours).toBe(canonical(deployment.spec.template));
  });
});

describe("pods", () => {
  /** What admission plugins of the server add to every pod. */
  const withoutAdmission = ({ spec }: Template): Loose => {
    const { serviceAccount, serviceAccountName, tolerations, priority, preemptionPolicy, volumes, containers, ...rest } = spec;
    return { spec: { ...rest, containers: containers.map(({ volumeMounts, ...container }) => container) } };
  };

  test.each(podCases.map((row) => [row.what, row] as const))("%s", async (what, row) => {
    const { spec } = complete(what, row.given);
    const stored = await dryRun<Template>(`/api/v1/namespaces/${namespace}/pods`, { metadata: { generateName: "row-" }, spec });
    expect(canonical(defaultPod({ spec }))).toBe(canonical(withoutAdmission(stored)));
  });
});

describe("claim templates", () => {
  test.each(claimTemplateCases.map((row) => [row.what, row] as const))("%s", async (_, row) => {
    const { status: _status, ...given } = structuredClone(row.given) as Loose & { spec: { resources: Loose } };
    const claim = {
      ...given,
      metadata: { name: "d" },
      spec: { accessModes: ["ReadWriteOnce"], ...given.spec, resources: { requests: { storage: "20Gi" }, ...given.spec.resources } },
    };
    const stored = await dryRun<{ spec: { volumeClaimTemplates: { spec: Loose; status: Loose }[] } }>(
      `/apis/apps/v1/namespaces/${namespace}/statefulsets`,
      {
        metadata: { generateName: "row-" },
        spec: {
          serviceName: "s",
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "nginx:1.25" }] } },
          volumeClaimTemplates: [claim],
        },
      },
    );
    const { spec, status } = stored.spec.volumeClaimTemplates[0]!;
    const { volumeMode, ...rest } = spec;
    // OpenKruise's webhook leaves this one open; all the rest is the server's.
    expect(volumeMode).toBe("Filesystem");
    const ours = defaultClaimTemplate(claim) as unknown as { spec: Loose; status: Loose };
    expect([ours.spec, ours.status]).toEqual([rest, status]);
  });
});
