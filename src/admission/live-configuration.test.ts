import { describe, expect, test } from "bun:test";
import type { WebhookConfiguration, WebhookEntry } from "./configuration.ts";
import { type CustomResourceDefinition, conversionCarriesCa, convertsByWebhook, healConversion } from "./crd-conversion.ts";
import { type Address, entriesWithoutCa, type Healed, heal, pathOf } from "./live-configuration.ts";

const service: Address = { by: "service", namespace: "kruise-system", name: "kruise-webhook-service" };
const url: Address = { by: "url", host: "10.0.0.5", port: 9876 };
/** As the API server gives it back: every default filled in. */
const entry = (name: string, path: string, changes: Partial<WebhookEntry> = {}): WebhookEntry => ({
  name,
  admissionReviewVersions: ["v1", "v1beta1"],
  clientConfig: { service: { namespace: "kruise-system", name: "kruise-webhook-service", path, port: 443 } },
  failurePolicy: "Fail",
  matchPolicy: "Equivalent",
  namespaceSelector: {},
  objectSelector: {},
  rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"], scope: "*" }],
  sideEffects: "None",
  timeoutSeconds: 10,
  ...changes,
});
/** As it comes off the wire: what is undefined is not there. */
const wire = <T>(object: unknown) => JSON.parse(JSON.stringify(object)) as T;
const live = (webhooks: WebhookEntry[] | undefined, template?: string) =>
  wire<WebhookConfiguration>({
    metadata: {
      name: "kruise-validating-webhook-configuration",
      resourceVersion: "7",
      annotations: template === undefined ? undefined : { template },
    },
    webhooks,
    other: "kept",
  });
const handled = new Set(["/a", "/b"]);
const healed = (of: WebhookConfiguration, changes: Partial<Parameters<typeof heal>[1]> = {}): Healed & { ok: true } => {
  const result = heal(of, { caBundle: "Q0E=", address: service, handles: (path) => handled.has(path), ...changes });
  if (!result.ok) throw new Error(result.message);
  return result;
};
const right = (name: string, path: string, changes: Partial<WebhookEntry> = {}): WebhookEntry => {
  const made = entry(name, path, changes);
  return { ...made, clientConfig: { ...made.clientConfig, caBundle: "Q0E=" } };
};

describe("a webhook configuration", () => {
  test("as installed: the list is remembered, the CA filled in", () => {
    for (const template of [undefined, ""]) {
      const { object, dropped, template: remembered } = healed(live([entry("a", "/a")], template));
      expect(object.webhooks).toEqual([right("a", "/a")]);
      expect(object.metadata.annotations?.["template"]).toBe(remembered);
      expect(JSON.parse(remembered)).toEqual([entry("a", "/a")]);
      expect(dropped).toEqual([]);
      expect(object).toMatchObject({ other: "kept", metadata: { resourceVersion: "7" } });
      expect(healed(object).object).toBe(object);
    }
  });

  test("what it was narrowed to stays on the entry, whatever the template says, and never gets into the template", () => {
    const theirs = { name: "theirs", expression: "true" };
    const own = { name: "kruise.io/narrowing", expression: "false" };
    const narrowed = entry("a", "/a", { matchConditions: [theirs, own] });
    const taken = healed(live([narrowed], ""));
    expect(taken.object.webhooks).toEqual([right("a", "/a", { matchConditions: [theirs, own] })]);
    expect(JSON.parse(taken.template)).toEqual([entry("a", "/a", { matchConditions: [theirs] })]);
    const older = JSON.stringify([entry("a", "/a", { matchConditions: [{ ...own, expression: "1 > 2" }] })]);
    expect(healed(live([narrowed], older)).object.webhooks).toEqual([right("a", "/a", { matchConditions: [own] })]);
    expect(healed(live([entry("a", "/a")], older)).object.webhooks).toEqual([right("a", "/a")]);
    expect(healed(live([narrowed], older), { appliedTemplate: "[]" }).object.webhooks?.[0]?.["matchConditions"]).toEqual([own]);
  });

  test("an entry that nobody handles leaves the live list and stays in the template", () => {
    const first = healed(live([entry("a", "/a"), entry("x", "/x"), entry("u", "/u", { clientConfig: { url: "https://h:1/x" } })]));
    expect(first.object.webhooks?.map(({ name }) => name)).toEqual(["a"]);
    expect(first.dropped).toEqual([
      { name: "x", path: "/x" },
      { name: "u", path: "/x" },
    ]);
    const second = healed(first.object, { handles: () => true });
    expect(second.object.webhooks?.map(({ name }) => name)).toEqual(["a", "x", "u"]);
    expect(second.dropped).toEqual([]);
  });

  test.each([
    [[], "an entry was removed"],
    [[right("a", "/a"), right("b", "/b"), right("own", "/a")], "an entry was added"],
    [[right("b", "/b"), right("a", "/a")], "the order was changed"],
    [[right("a", "/a", { failurePolicy: "Ignore" }), right("b", "/b")], "the policy was changed"],
    [[right("a", "/a", { timeoutSeconds: 3 }), right("b", "/b")], "the timeout was changed"],
    [[right("a", "/a", { rules: [] }), right("b", "/b")], "the rules were changed"],
    [[entry("a", "/a"), right("b", "/b")], "the CA is missing"],
    [[right("a", "/a", { clientConfig: { url: "https://elsewhere" } }), right("b", "/b")], "it led elsewhere"],
  ])("edits of the live list are taken back: %#", (webhooks) => {
    const template = JSON.stringify([entry("a", "/a"), entry("b", "/b")]);
    const { object } = healed(live(webhooks, template));
    expect(object.webhooks).toEqual([right("a", "/a"), right("b", "/b")]);
    expect(healed(object).object).toBe(object);
  });

  test("with the template cleared in the same update, an edit stays", () => {
    const { object } = healed(live([right("a", "/a", { timeoutSeconds: 3 })], ""));
    expect(object.webhooks).toEqual([right("a", "/a", { timeoutSeconds: 3 })]);
    expect(healed(object).object).toBe(object);
  });

  test("a template that leaves defaults out is no difference", () => {
    const bare = [
      { name: "a", clientConfig: { service: { path: "/a" } }, sideEffects: "None", admissionReviewVersions: ["v1", "v1beta1"] },
    ];
    const written = right("a", "/a", { rules: [] });
    const config = live([written], JSON.stringify(bare));
    expect(healed(config).object).toBe(config);
  });

  test.each(["{", "{}", "[1]", '[{"path":"/a"}]'])("a template that is none says what to do: %s", (template) => {
    const result = heal(live([], template), { caBundle: "", address: service, handles: () => true });
    expect(result.ok ? "" : result.message).toContain('set it to ""');
  });

  test("at a host, entries lead there and name no Service", () => {
    const { object } = healed(live([entry("a", "/a")]), { address: url });
    expect(object.webhooks?.[0]?.clientConfig).toEqual({ caBundle: "Q0E=", url: "https://10.0.0.5:9876/a" });
    expect(healed(object, { address: url }).object).toBe(object);
    const six = healed(live([entry("a", "/a")]), { address: { by: "url", host: "fd00::1", port: 1 } });
    expect(six.object.webhooks?.[0]?.clientConfig?.url).toBe("https://[fd00::1]:1/a");
    // Back in the cluster, the template still has the Service.
    expect(healed(object).object.webhooks).toEqual([right("a", "/a")]);
  });

  test("without a list it stays empty", () => {
    const config = live(undefined, "[]");
    expect(healed(config).object).toBe(config);
  });
});

describe("selectors that others narrow", () => {
  const own = { matchExpressions: [{ key: "control-plane", operator: "DoesNotExist" }] };
  const aks = { key: "kubernetes.azure.com/managedby", operator: "NotIn", values: ["aks"] };
  const template = JSON.stringify([entry("a", "/a", { namespaceSelector: own })]);
  const narrowed = { matchExpressions: [aks, ...own.matchExpressions] };

  test("stay as they are: nobody is fought", () => {
    const config = live([right("a", "/a", { namespaceSelector: narrowed })], template);
    expect(healed(config).object).toBe(config);
    const labelled = live([right("a", "/a", { namespaceSelector: { ...narrowed, matchLabels: { x: "y" } } })], template);
    expect(healed(labelled).object).toBe(labelled);
  });

  test("get our requirement back when it was lost, and keep theirs", () => {
    const { object } = healed(live([right("a", "/a", { namespaceSelector: { matchExpressions: [aks] } })], template));
    expect(object.webhooks?.[0]?.["namespaceSelector"]).toEqual({ matchExpressions: [...own.matchExpressions, aks] });
    expect(healed(object).object).toBe(object);
  });

  test("follow a template that somebody changed, to the letter", () => {
    const config = live([right("a", "/a", { namespaceSelector: narrowed })], template);
    const { object } = healed(config, { appliedTemplate: "[]" });
    expect(object.webhooks?.[0]?.["namespaceSelector"]).toEqual(own);
    expect(healed(config, { appliedTemplate: template }).object).toBe(config);
  });
});

describe("the conversion of a CRD", () => {
  const crd = (conversion: unknown) =>
    wire<CustomResourceDefinition>({ metadata: { name: "clonesets.apps.kruise.io" }, spec: { group: "apps.kruise.io", conversion } });
  const clientConfig = {
    caBundle: "Q0E=",
    service: { namespace: "kruise-system", name: "kruise-webhook-service", path: "/convert", port: 443 },
  };

  test.each([
    [undefined, false, "nothing is said"],
    [{ strategy: "None" }, false, "the versions have one shape"],
    [{ strategy: "Webhook" }, true, "nobody is named"],
    [{ strategy: "Webhook", webhook: { clientConfig: { url: "https://elsewhere" } } }, true, "it leads elsewhere"],
    [{ strategy: "Webhook", webhook: { clientConfig: { ...clientConfig, caBundle: "b2xk" } } }, true, "an old CA"],
    [{ strategy: "Webhook", webhook: { clientConfig, conversionReviewVersions: ["v1"] } }, false, "it leads here"],
    [
      { strategy: "Webhook", webhook: { clientConfig: { ...clientConfig, service: { ...clientConfig.service, port: undefined } } } },
      false,
      "443 is the default",
    ],
  ])("%j is written %p: %s", (conversion, written) => {
    const before = crd(conversion);
    const after = healConversion(before, { address: service, caBundle: "Q0E=" });
    expect(after !== before).toBe(written);
    if (!written) return;
    expect(after.spec?.conversion).toEqual({ strategy: "Webhook", webhook: { clientConfig, conversionReviewVersions: ["v1", "v1beta1"] } });
    expect(after.spec?.["group"]).toBe("apps.kruise.io");
    expect(healConversion(after, { address: service, caBundle: "Q0E=" })).toBe(after);
  });

  test("at a host it has a URL", () => {
    const after = healConversion(crd({ strategy: "Webhook" }), { address: url, caBundle: "Q0E=" });
    expect(after.spec?.conversion?.webhook?.clientConfig).toEqual({ caBundle: "Q0E=", url: "https://10.0.0.5:9876/convert" });
  });

  test("external mode asks for exactly the CA", () => {
    const after = healConversion(crd({ strategy: "Webhook" }), { address: service, caBundle: Buffer.from("CA\n").toString("base64") });
    expect(convertsByWebhook(after)).toBe(true);
    expect(conversionCarriesCa(after, "CA")).toBe(true);
    expect(conversionCarriesCa(after, "CA2")).toBe(false);
    expect(conversionCarriesCa(crd({ strategy: "Webhook" }), "CA")).toBe(false);
  });
});

test("external mode names the handled entries without the CA", () => {
  const webhooks = [right("a", "/a"), entry("b", "/b"), entry("x", "/x")];
  expect(entriesWithoutCa(live(webhooks), "CA", (path) => handled.has(path))).toEqual(["b"]);
});

test.each([
  [undefined, ""],
  [{}, ""],
  [{ url: "not a url" }, ""],
  [{ url: "https://h:1/p?q=1" }, "/p"],
  [{ service: { namespace: "n", name: "s" } }, "/"],
])("the path of %j is %p", (config, path) => {
  expect(pathOf(config)).toBe(path);
});
