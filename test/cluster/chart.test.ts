/** The Helm chart as text: what it renders for which values. That it installs and runs is shown on a real node (test/node/image.test.ts). */
import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { parse } from "yaml";
import { daemonOwnFlags, managerOwnFlags } from "../../scripts/generate/chart/values.ts";
import { gateNames, parseGates } from "../../src/api/gates.ts";
import { daemonOptions } from "../../src/daemon/options.ts";
import { features } from "../../src/features/index.ts";
import { managerOptions } from "../../src/manager/options.ts";
import { chartDir, helm, objectsOf, render, type Values } from "../lib/helm.ts";
import { binary } from "../rig/binaries.ts";
import type { ObjectLike } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";

interface Container {
  name: string;
  image: string;
  args: string[];
  env: { name: string; value?: string }[];
  resources: object;
  securityContext: { readOnlyRootFilesystem: boolean };
  volumeMounts: { name: string; mountPath: string }[];
}
interface Workload extends ObjectLike {
  spec: { template: { spec: Record<string, unknown> & { containers: [Container] } } };
}
interface Configuration extends ObjectLike {
  webhooks: { name: string; failurePolicy: string; timeoutSeconds: number; namespaceSelector: { matchExpressions?: object[] } }[];
}

const of = (objects: readonly ObjectLike[], kind: string) => objects.filter((object) => object.kind === kind);
const named = <T extends ObjectLike>(objects: readonly ObjectLike[], kind: string, name: string) =>
  of(objects, kind).find(({ metadata }) => metadata.name === name) as T | undefined;
const container = (objects: readonly ObjectLike[], kind: "Deployment" | "DaemonSet") =>
  (of(objects, kind)[0] as Workload).spec.template.spec.containers[0];
const webhookNames = (objects: readonly ObjectLike[]) =>
  objects.flatMap((object) => ((object as Configuration).webhooks ?? []).map(({ name }) => name));

let standard: readonly ObjectLike[];
beforeAll(async () => {
  await binary("helm");
  standard = await render();
}, startTimeoutMs);

/** Every value name of OpenKruise's chart, set to something else than its default. */
const upstreamValues: Values = {
  crds: { managed: true },
  installation: { namespace: "kruise-x", createNamespace: true, roleListGroups: ["apps", "batch"] },
  featureGates: "ImagePullJobGate=true,ResourcesDeletionProtection=true",
  externalCerts: { annotations: { "cert-manager.io/inject-ca-from": "a/b" } },
  enableKubeCacheMutationDetector: true,
  imagePullSecrets: [{ name: "pull" }],
  manager: {
    log: { level: "5" },
    replicas: 3,
    image: { repository: "registry.example/kruise", tag: "v9" },
    webhook: { port: 9443 },
    metrics: { port: 18080 },
    healthProbe: { port: 18000 },
    pprofAddr: "localhost:1",
    resyncPeriod: "10m",
    loggingFormat: "json",
    resources: { limits: { cpu: 1, memory: "1Gi" } },
    hostNetwork: true,
    nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] },
    nodeSelector: { a: "b" },
    tolerations: [{ operator: "Exists" }],
  },
  webhookConfiguration: { timeoutSeconds: 29, aksIntegration: true },
  daemon: {
    log: { level: "5" },
    port: 20221,
    enablePprof: false,
    pprofAddr: "localhost:2",
    socketLocation: "/var/run/k3s",
    socketFile: "containerd/containerd.sock",
    nodeSelector: { c: "d" },
    affinity: {},
    resources: { limits: { memory: "128Mi" } },
    extraEnvs: [{ name: "HTTPS_PROXY", value: "http://proxy.example" }],
    credentialProvider: { enable: true, configmap: "cp", hostPath: "/plugins", awsCredentialsDir: "/aws" },
  },
  serviceAccount: { annotations: { e: "f" } },
  helmHooks: { image: { repository: "registry.example/hook", tag: "v0.1.0" } },
};

const everythingOn: Values = {
  manager: {
    podDisruptionBudget: { enabled: true },
    priorityClassName: "system-cluster-critical",
    flags: { "cloneset-workers": 10, "rest-config-qps": 3000000 },
  },
  monitoring: {
    serviceMonitor: { enabled: true },
    podMonitor: { enabled: true },
    prometheusRule: { enabled: true, disabled: ["KruiseKeyStuck"] },
    dashboards: { enabled: true },
  },
  networkPolicy: { enabled: true, metricsFrom: [{ namespaceSelector: {} }], egress: [{}] },
  extraLabels: { team: "platform" },
};

describe("what is rendered", () => {
  test.each([
    ["the defaults", {}],
    ["an existing values file", upstreamValues],
    ["everything that is off by default", everythingOn],
    ["all gates", { featureGates: "AllAlpha=true,AllBeta=true" }],
    ["no gates", { featureGates: "AllAlpha=false,AllBeta=false" }],
    ["a namespace of the user's", { installation: { createNamespace: false, namespace: "default" } }],
    ["no CRDs, no guard", { crds: { managed: false }, helmHooks: { enabled: false } }],
    ["digests", { manager: { image: { digest: `sha256:${"0".repeat(64)}` } } }],
  ] as [string, Values][])("lint and template take %s", async (_, values) => {
    const linted = await helm(["lint", "--strict", chartDir], values);
    expect(linted).toMatchObject({ code: 0 });
    const objects = await render(values);
    for (const object of objects) {
      expect(object.apiVersion).toBeString();
      expect(object.metadata.name).toBeString();
      expect(object.metadata.labels?.["app.kubernetes.io/managed-by"]).toBe("Helm");
    }
    const identities = objects.map(({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`);
    expect(new Set(identities).size).toBe(identities.length);
  });

  test.each([
    [{ manager: { replica: 3 } }, "manager"],
    [{ manager: { flags: { "cloneset-workers": "many" } } }, "cloneset-workers"],
    [{ manager: { flags: { "clone-set-workers": 3 } } }, "clone-set-workers"],
    [{ manager: { flags: { v: 3 } } }, "v"],
    [{ webhookConfiguration: { timeoutSeconds: 31 } }, "timeoutSeconds"],
    [{ webhookConfiguration: { failurePolicy: "Maybe" } }, "failurePolicy"],
    [{ manager: { image: { digest: "latest" } } }, "digest"],
    [{ featureGates: "NoSuchGate=true" }, "NoSuchGate"],
  ] as [Values, string][])("%j is refused, and %s is named", async (values, word) => {
    await expect(render(values)).rejects.toThrow(word);
  });

  test("an existing values file keeps its meaning", async () => {
    const objects = await render(upstreamValues);
    const manager = container(objects, "Deployment");
    expect(manager.image).toBe("registry.example/kruise:v9");
    expect(manager.args).toContain("--metrics-addr=:18080");
    expect(manager.args).toContain("--sync-period=10m");
    expect(manager.args).toContain("--logging-format=json");
    expect(manager.args).toContain("--v=5");
    expect(manager.env).toContainEqual({ name: "WEBHOOK_PORT", value: "9443" });
    const daemon = container(objects, "DaemonSet");
    expect(daemon.args).toContain("--socket-file=containerd/containerd.sock");
    expect(daemon.args).toContain("--plugin-bin-dir=/credential-provider-plugin");
    expect(daemon.volumeMounts).toContainEqual({ name: "aws-credentials", mountPath: "/root/.aws", readOnly: true } as never);
    expect(webhookNames(objects)).toContain("vnamespace.kb.io");
    expect(
      of(objects, "Role")
        .concat(of(objects, "Deployment"))
        .every(({ metadata }) => metadata.namespace?.startsWith("kruise-")),
    ).toBe(true);
    const mutating = named<Configuration>(objects, "MutatingWebhookConfiguration", "kruise-mutating-webhook-configuration");
    expect(mutating?.metadata.annotations?.["cert-manager.io/inject-ca-from"]).toBe("a/b");
    for (const { timeoutSeconds, namespaceSelector } of mutating?.webhooks ?? []) {
      expect(timeoutSeconds).toBe(29);
      expect(namespaceSelector.matchExpressions).toContainEqual({
        key: "kubernetes.azure.com/managedby",
        operator: "NotIn",
        values: ["aks"],
      });
    }
    const service = named<ObjectLike & { spec: { ports: { targetPort: number }[] } }>(objects, "Service", "kruise-webhook-service");
    expect(service?.spec.ports[0]?.targetPort).toBe(9443);
  });

  test("the processes take the arguments they are given, whatever the values", async () => {
    for (const values of [{}, upstreamValues, everythingOn]) {
      const objects = await render(values);
      const manager = managerOptions(container(objects, "Deployment").args, {});
      expect(manager).toMatchObject({ ok: true, options: { warnings: [] } });
      expect(daemonOptions(container(objects, "DaemonSet").args, { NODE_NAME: "node" })).toMatchObject({ ok: true });
    }
    const objects = await render(everythingOn);
    expect(container(objects, "Deployment").args).toContain("--rest-config-qps=3000000");
    const own = container(objects, "Deployment").args.map((arg) => arg.slice(2).split("=")[0]);
    for (const flag of managerOwnFlags) if (!["kubeconfig", "logging-format"].includes(flag)) expect(own).toContain(flag);
    expect(daemonOwnFlags).toContain("socket-file");
  });

  test("webhook policies are values", async () => {
    const objects = await render({
      webhookConfiguration: { failurePolicy: "Ignore", failurePolicies: { "mpod.kb.io": "Fail" }, excludedNamespaces: ["legacy"] },
    });
    const entries = (
      named<Configuration>(objects, "MutatingWebhookConfiguration", "kruise-mutating-webhook-configuration")?.webhooks ?? []
    ).map(({ name, failurePolicy }) => [name, failurePolicy]);
    expect(entries).toContainEqual(["mpod.kb.io", "Fail"]);
    expect(entries).toContainEqual(["mcloneset.kb.io", "Ignore"]);
    expect(JSON.stringify(objects)).toContain('"values":["legacy"]');
  });

  test("deletion protection fails open and spares kube-system; pods may be validated only where something guards them", async () => {
    const entry = async (values: Values, name: string) =>
      named<Configuration>(
        await render(values),
        "ValidatingWebhookConfiguration",
        "kruise-validating-webhook-configuration",
      )?.webhooks.find((each) => each.name === name);
    const spared = { matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system"] }] };
    const gates = { featureGates: "ResourcesDeletionProtection=true", webhookConfiguration: { excludedNamespaces: ["legacy"] } };
    for (const name of ["vnamespace.kb.io", "vservice.kb.io", "vbuiltindeployment.kb.io"]) {
      expect(await entry(gates, name)).toMatchObject({ failurePolicy: "Ignore", namespaceSelector: spared });
    }
    expect((await entry(gates, "vcloneset.kb.io"))?.failurePolicy).toBe("Fail");
    expect(await entry({}, "vpod.kb.io")).not.toHaveProperty("matchConditions");
    const narrow = { webhookConfiguration: { narrowPodValidation: true } };
    expect(await entry(narrow, "vpod.kb.io")).toMatchObject({ matchConditions: [{ expression: expect.stringContaining("related-pub") }] });
    expect(await entry(narrow, "vpodeviction.kb.io")).not.toHaveProperty("matchConditions");
  });

  test("pods of other control planes are pods like any other, as in OpenKruise's chart", () => {
    const entries = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"].flatMap(
      (kind) => (of(standard, kind)[0] as Configuration).webhooks,
    );
    for (const name of ["mpod.kb.io", "vpod.kb.io", "vpodeviction.kb.io"]) {
      expect(entries.find((entry) => entry.name === name)).toMatchObject({
        namespaceSelector: {
          matchExpressions: [
            { key: "control-plane", operator: "NotIn", values: ["openkruise"] },
            { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kruise-system", "kube-system"] },
          ],
        },
      });
    }
  });

  test("gates decide what is installed (acceptance 23)", async () => {
    const withoutDaemon = await render({ featureGates: "KruiseDaemon=false" });
    expect(of(withoutDaemon, "DaemonSet")).toEqual([]);
    expect(named(withoutDaemon, "ServiceAccount", "kruise-daemon")).toBeUndefined();
    expect(webhookNames(await render({ featureGates: "PodWebhook=false" })).filter((name) => /pod(eviction)?\.kb\.io/.test(name))).toEqual(
      [],
    );
    expect(of(await render({ crds: { managed: false } }), "CustomResourceDefinition")).toEqual([]);
    expect(named(standard, "Secret", "kruise-webhook-certs")).toBeDefined();
    expect(named(await render({ featureGates: "EnableExternalCerts=true" }), "Secret", "kruise-webhook-certs")).toBeUndefined();
  });

  test("what is kept says so, and what is rendered twice is the same", () => {
    for (const crd of of(standard, "CustomResourceDefinition")) expect(crd.metadata.annotations?.["helm.sh/resource-policy"]).toBe("keep");
    for (const kind of ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"]) {
      const [configuration] = of(standard, kind) as Configuration[];
      expect(JSON.parse(configuration?.metadata.annotations?.["template"] ?? "")).toEqual(configuration?.webhooks);
    }
  });
});

describe("one source", () => {
  const gates = [...gateNames, "AllAlpha", "AllBeta", "EnhancedLivenessProbeGate"];
  const entry = fc.tuple(fc.constantFrom(...gates), fc.constantFrom("true", "false", "1", "F")).map(([gate, value]) => `${gate}=${value}`);

  test("the chart understands featureGates as the binaries do", async () => {
    const flags = [
      "",
      ...fc.sample(
        fc.array(entry, { maxLength: 5 }).map((entries) => entries.join(",")),
        { numRuns: 150, seed: 8 },
      ),
    ];
    const dir = mkdtempSync(join(tmpdir(), "kruiser-gates-"));
    try {
      mkdirSync(join(dir, "templates"));
      writeFileSync(join(dir, "Chart.yaml"), "apiVersion: v2\nname: gates\nversion: 0.0.1\n");
      cpSync(join(chartDir, "templates/generated/_gates.tpl"), join(dir, "templates/_gates.tpl"));
      writeFileSync(
        join(dir, "templates/out.yaml"),
        'answers:\n{{- range .Values.flags }}\n- {{ include "kruise.gates" (dict "Values" (dict "featureGates" .)) }}\n{{- end }}\n',
      );
      const ran = await helm(["template", "gates", dir], { flags });
      expect(ran.stderr).toBe("");
      const { answers } = parse(ran.stdout) as { answers: Record<string, boolean>[] };
      expect(answers).toHaveLength(flags.length);
      for (const [index, flag] of flags.entries()) {
        const parsed = parseGates(flag);
        expect({ flag, values: answers[index] as object }).toEqual({ flag, values: parsed.ok ? { ...parsed.values } : {} });
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test("its objects are those of deploy/kustomize", async () => {
    const kustomize = ["manager", "daemon", "rbac"].flatMap((name) =>
      objectsOf(readFileSync(join(chartDir, `../kustomize/${name}.yaml`), "utf8")),
    );
    for (const kind of ["Deployment", "DaemonSet"] as const) {
      const theirs = (of(kustomize, kind)[0] as Workload).spec.template.spec;
      const ours = (of(standard, kind)[0] as Workload).spec.template.spec;
      const [a, b] = [theirs.containers[0], ours.containers[0]];
      expect(b.image).toBe(a.image);
      expect(b.volumeMounts).toEqual(a.volumeMounts);
      const names = (args: string[]) =>
        args.map((arg) => arg.split("=")[0]).filter((arg) => !["--logtostderr", "--enable-leader-election"].includes(arg ?? ""));
      for (const name of names(a.args)) expect(names(b.args)).toContain(name as string);
      for (const field of ["hostNetwork", "terminationGracePeriodSeconds", "affinity", "serviceAccountName"])
        expect(ours[field]).toEqual(theirs[field]);
    }
    // With all gates the chart's rules are those of the manifests, which ask no gates, but for the right to list everything.
    const all = await render({ featureGates: "AllAlpha=true,AllBeta=true", installation: { roleListGroups: [] } });
    for (const name of ["kruise-manager-role", "kruise-daemon-role", "kruise-certs-role"]) {
      const rules = (objects: readonly ObjectLike[]) => flat(named<RuleHolder>(objects, "ClusterRole", name)?.rules ?? []);
      expect(rules(all)).toEqual(rules(kustomize));
    }
  });

  test("the right to list everything comes with the gate that needs it, for the groups that are named", async () => {
    const listed = async (values: Values) => {
      const role = named<RuleHolder>(await render(values), "ClusterRole", "kruise-manager-role");
      return (role?.rules ?? []).filter(({ resources }) => resources.includes("*")).map(({ apiGroups, verbs }) => [apiGroups, verbs]);
    };
    const gates = (cascading: boolean) => `ResourcesDeletionProtection=true,DeletionProtectionForCRDCascadingGate=${cascading}`;
    expect(await listed({})).toEqual([]);
    expect(await listed({ featureGates: gates(false) })).toEqual([]);
    expect(await listed({ featureGates: gates(true) })).toEqual([[["*"], ["list"]]]);
    expect(await listed({ featureGates: gates(true), installation: { roleListGroups: ["a.io", "b.io"] } })).toEqual([
      [["a.io", "b.io"], ["list"]],
    ]);
  });

  test("every rule comes from a feature that asked for it", () => {
    const asked = new Set(
      features
        .flatMap((feature) => feature.permissions)
        .flatMap(({ group, resources }) => resources.map((resource) => `${group}/${resource}`)),
    );
    const manager = named<RuleHolder>(standard, "ClusterRole", "kruise-manager-role");
    for (const rule of manager?.rules ?? [])
      for (const resource of rule.resources)
        expect(asked.has(`${rule.apiGroups[0]}/${resource}`) || ["events", "namespaces"].includes(resource)).toBe(true);
  });
});

interface RuleHolder extends ObjectLike {
  rules: { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }[];
}

/** One line per group, resource and verb. */
function flat(rules: RuleHolder["rules"]): string[] {
  const lines = rules.flatMap(({ apiGroups, resources, verbs, resourceNames = [] }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb} ${resourceNames.join(",")}`)),
    ),
  );
  return [...new Set(lines)].sort();
}
