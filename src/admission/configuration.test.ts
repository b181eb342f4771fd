import { describe, expect, test } from "bun:test";
import { activePaths, webhookConfigurations } from "./configuration.ts";
import { podWebhooks } from "./pod.ts";
import { settingsWith } from "./testing/fixtures.ts";
import { allow, type Webhook } from "./webhook.ts";

interface Configuration {
  kind: string;
  metadata: { name: string; annotations: Record<string, string> };
  webhooks: Record<string, unknown>[];
}
const webhook = (name: string, type: Webhook["type"], more: Partial<Webhook> = {}): Webhook => ({
  name,
  type,
  path: `/${name}`,
  rules: [{ operations: ["DELETE"], group: "apps", versions: ["v1"], resources: ["deployments"] }],
  review: () => allow,
  ...more,
});
const pods = podWebhooks({ mutations: [], guards: [], installNamespace: "kruise-system" });
const configurations = (...webhooks: Webhook[]) => webhookConfigurations([...webhooks, ...pods], "kruise-system") as Configuration[];

describe("the generated configurations", () => {
  test("are two, by their fixed names, with an empty template", () => {
    expect(configurations().map(({ kind, metadata }) => [kind, metadata])).toEqual([
      ["MutatingWebhookConfiguration", { name: "kruise-mutating-webhook-configuration", annotations: { template: "" } }],
      ["ValidatingWebhookConfiguration", { name: "kruise-validating-webhook-configuration", annotations: { template: "" } }],
    ]);
  });

  test("list the entries as OpenKruise does, unknown ones last", () => {
    const names = configurations(
      webhook("vzzz.kb.io", "validating"),
      webhook("vservice.kb.io", "validating"),
      webhook("vaaa.kb.io", "validating"),
      webhook("vworkloadspread.kb.io", "validating"),
      webhook("msidecarset.kb.io", "mutating"),
      webhook("vcloneset.kb.io", "validating"),
    ).map(({ webhooks }) => webhooks.map(({ name }) => name));
    expect(names).toEqual([
      ["mpod.kb.io", "msidecarset.kb.io"],
      ["vworkloadspread.kb.io", "vcloneset.kb.io", "vpod.kb.io", "vpodeviction.kb.io", "vservice.kb.io", "vaaa.kb.io", "vzzz.kb.io"],
    ]);
  });

  test("say everything that the API server needs", () => {
    const guarded = webhook("vbuiltindeployment.kb.io", "validating", {
      path: "/validate-apps-deployment",
      failurePolicy: "Ignore",
      objectSelector: { matchExpressions: [{ key: "policy.kruise.io/delete-protection", operator: "Exists" }] },
    });
    expect(configurations(guarded)[1]?.webhooks[0]).toEqual({
      name: "vbuiltindeployment.kb.io",
      admissionReviewVersions: ["v1", "v1beta1"],
      clientConfig: {
        service: { namespace: "kruise-system", name: "kruise-webhook-service", path: "/validate-apps-deployment", port: 443 },
      },
      failurePolicy: "Ignore",
      objectSelector: { matchExpressions: [{ key: "policy.kruise.io/delete-protection", operator: "Exists" }] },
      rules: [{ apiGroups: ["apps"], apiVersions: ["v1"], operations: ["DELETE"], resources: ["deployments"] }],
      sideEffects: "None",
    });
  });

  test("keep the pods of the install and of the cluster itself out of the pod webhooks", () => {
    const [mutating, validating] = configurations();
    const namespaceSelector = {
      matchExpressions: [
        { key: "control-plane", operator: "DoesNotExist" },
        { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kruise-system", "kube-system"] },
      ],
    };
    const rule = (operations: string[], resource: string) => ({ apiGroups: [""], apiVersions: ["v1"], operations, resources: [resource] });
    expect(mutating?.webhooks[0]).toMatchObject({ failurePolicy: "Fail", namespaceSelector, rules: [rule(["CREATE"], "pods")] });
    expect(validating?.webhooks).toMatchObject([
      { name: "vpod.kb.io", namespaceSelector, rules: [rule(["UPDATE", "DELETE"], "pods"), rule(["UPDATE"], "pods/resize")] },
      { name: "vpodeviction.kb.io", namespaceSelector, rules: [rule(["CREATE"], "pods/eviction")] },
    ]);
    expect(validating?.webhooks.map(({ clientConfig }) => (clientConfig as { service: { path: string } }).service.path)).toEqual([
      "/validate-pod",
      "/validate-pod",
    ]);
  });

  test("a name used twice is a mistake in the house", () => {
    expect(() => configurations(webhook("vpod.kb.io", "validating"))).toThrow("vpod.kb.io");
  });
});

test("active paths include the older spellings, and leave out what is off", () => {
  const old = webhook("mcloneset.kb.io", "mutating", { path: "/new", aliases: ["/old"] });
  expect([...activePaths([old, ...pods], settingsWith({ off: ["PodWebhook"] }))]).toEqual(["/new", "/old"]);
  expect(activePaths([old, ...pods], settingsWith()).has("/mutate-pod")).toBe(true);
});
