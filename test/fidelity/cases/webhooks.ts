/** Admission webhooks and conversion, by URL. */
import { expect } from "bun:test";
import type { Bench, Case, Json } from "../bench.ts";
import { type Asked, allow, type Hook, listen, patchOf, withHooks } from "../hooks.ts";

function hooked(name: string, hooks: readonly Hook[] | Hook, run: (b: Bench, asked: readonly Asked[]) => Promise<void>): Case {
  return { name, run: (b) => withHooks(b, Array.isArray(hooks) ? hooks : [hooks as Hook], (asked) => run(b, asked)) };
}

const addsData =
  (key: string, value: string): Hook["answer"] =>
  () =>
    patchOf([{ op: "add", path: `/data/${key}`, value }]);
const post = (b: Bench, rest: object = {}, query = "") =>
  b.post(`${b.core("configmaps")}${query}`, { metadata: { name: "a" }, data: { k: "v" }, ...rest });
/** Of the probe as well, which has no data. */
const onlyNamed =
  (name: string, answer: Hook["answer"]): Hook["answer"] =>
  (request, asked) =>
    request.name === name ? answer(request, asked) : allow;
const idleDeployment = {
  metadata: { name: "probe" },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: "probe" } },
    template: { metadata: { labels: { app: "probe" } }, spec: { containers: [{ name: "c", image: "x" }] } },
  },
};
/** A server that meets another write, or changed what its cache did not show yet, tries again, and asks again. */
function distinct(asked: Asked | undefined): Json[] {
  const part = (object: Json | null) => [object?.metadata.labels, object?.data];
  const known = new Map((asked ?? []).map((request) => [JSON.stringify([request.operation, part(request.object)]), request]));
  return [...known.values()];
}
const configurations = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

function refused(name: string, webhook: object, says: string): Case {
  return {
    name: `a configuration is refused: ${name}`,
    async run(b) {
      const whole = {
        name: "x.example.com",
        clientConfig: { url: "https://127.0.0.1:1/x" },
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        ...webhook,
      };
      const { status, body } = await b.post(configurations, { metadata: { name: b.namespace }, webhooks: [whole] });
      expect([status, body.message]).toEqual([422, expect.stringContaining(says)]);
    },
  };
}

export const webhookCases: readonly Case[] = [
  hooked(
    "a patch of a mutating webhook is carried out",
    { type: "Mutating", answer: onlyNamed("a", addsData("added", "1")) },
    async (b) => {
      const made = await b.must(post(b));
      expect(made.data).toEqual({ k: "v", added: "1" });
    },
  ),
  hooked("a review says who wants what", { type: "Validating", answer: () => allow }, async (b, [asked]) => {
    await b.must(post(b));
    expect(asked).toHaveLength(1);
    const [request] = asked as Json;
    expect(request).toMatchObject({
      kind: { group: "", version: "v1", kind: "ConfigMap" },
      resource: { group: "", version: "v1", resource: "configmaps" },
      requestKind: { group: "", version: "v1", kind: "ConfigMap" },
      requestResource: { group: "", version: "v1", resource: "configmaps" },
      name: "a",
      namespace: b.namespace,
      operation: "CREATE",
      oldObject: null,
      dryRun: false,
    });
    expect(request.userInfo.groups).toContain("system:masters");
    expect([request.object.kind, request.object.data, request.options.kind]).toEqual(["ConfigMap", { k: "v" }, "CreateOptions"]);
    expect(request.object.metadata.uid).toBeTruthy();
  }),
  hooked("reviews of updates and deletions show the old object", { type: "Validating", answer: () => allow }, async (b, [asked]) => {
    await b.must(post(b));
    await b.must(b.patch(b.core("configmaps/a"), { data: { k: "w" } }));
    await b.must(b.delete(b.core("configmaps/a")));
    expect(distinct(asked)?.map(({ operation, object, oldObject }) => [operation, object?.data, oldObject?.data])).toEqual([
      ["CREATE", { k: "v" }, undefined],
      ["UPDATE", { k: "w" }, { k: "v" }],
      ["DELETE", undefined, { k: "w" }],
    ]);
  }),
  hooked("a generated name is not known to mutating webhooks yet", { type: "Mutating", answer: () => allow }, async (b, [asked]) => {
    await b.must(b.post(b.core("configmaps"), { metadata: { generateName: "gen-" } }));
    expect(asked?.[0].object.metadata.generateName).toBe("gen-");
    expect(asked?.[0].operation).toBe("CREATE");
  }),
  hooked(
    "no, with a reason",
    { type: "Validating", answer: onlyNamed("a", () => ({ allowed: false, status: { message: "not today", code: 418 } })) },
    async (b) => {
      const { status, body } = await post(b);
      expect([status, body.message]).toEqual([418, 'admission webhook "hook-0.example.com" denied the request: not today']);
      expect((await b.get(b.core("configmaps/a"))).status).toBe(404);
    },
  ),
  hooked("no, without one", { type: "Validating", answer: onlyNamed("a", () => ({ allowed: false })) }, async (b) => {
    const { status, body } = await post(b);
    expect([status, body.message]).toEqual([400, 'admission webhook "hook-0.example.com" denied the request without explanation']);
  }),
  hooked(
    "warnings are handed on",
    { type: "Validating", answer: onlyNamed("a", () => ({ allowed: true, warnings: ["mind this"] })) },
    async (b) => {
      expect((await post(b)).warnings).toEqual(["mind this"]);
    },
  ),
  hooked(
    "one that fails lets nothing pass",
    { type: "Validating", answer: () => undefined, webhook: { failurePolicy: "Fail" } },
    async (b) => {
      const { status, body } = await post(b);
      expect([status, body.reason]).toEqual([500, "InternalError"]);
      expect(body.message).toStartWith('Internal error occurred: failed calling webhook "hook-0.example.com": failed to call webhook: ');
    },
  ),
  hooked(
    "one that fails and may is passed over",
    { type: "Validating", answer: () => undefined, webhook: { failurePolicy: "Ignore" } },
    async (b) => {
      expect((await post(b)).status).toBe(201);
    },
  ),
  hooked(
    "one that takes too long has failed",
    {
      type: "Validating",
      webhook: { timeoutSeconds: 1 },
      answer: onlyNamed("a", async () => {
        await Bun.sleep(2500);
        return allow;
      }),
    },
    async (b) => {
      const { status, body } = await post(b);
      expect([status, body.message]).toEqual([500, expect.stringContaining("context deadline exceeded")]);
    },
  ),
  hooked(
    "an object selector",
    { type: "Validating", answer: () => allow, webhook: { objectSelector: { matchLabels: { probe: "yes" } } } },
    async (b, [asked]) => {
      await b.must(post(b));
      expect(asked).toHaveLength(0);
      await b.must(b.patch(b.core("configmaps/a"), { metadata: { labels: { probe: "yes" } } }));
      // The old object counts as well.
      await b.must(b.patch(b.core("configmaps/a"), { metadata: { labels: { probe: null } } }));
      const labels = distinct(asked).map(({ object }) => object.metadata.labels);
      expect(labels).toEqual([{ probe: "yes" }, undefined]);
    },
  ),
  hooked(
    "match conditions",
    {
      type: "Validating",
      answer: () => allow,
      webhook: {
        matchConditions: [
          { name: "who", expression: "!('system:nodes' in request.userInfo.groups)" },
          {
            name: "what",
            expression: "object.metadata.name == 'probe' || (request.operation == 'UPDATE' && object.data != oldObject.data)",
          },
        ],
      },
    },
    async (b, [asked]) => {
      await b.must(post(b));
      await b.must(b.patch(b.core("configmaps/a"), { metadata: { labels: { x: "y" } } }));
      expect(asked).toHaveLength(0);
      await b.must(b.patch(b.core("configmaps/a"), { data: { k: "w" } }));
      expect(new Set(asked?.map(({ object }) => object.data.k))).toEqual(new Set(["w"]));
    },
  ),
  hooked(
    "only the operations that it names",
    {
      type: "Validating",
      answer: () => allow,
      webhook: { rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }] },
    },
    async (b, [asked]) => {
      await b.must(post(b));
      await b.must(b.patch(b.core("configmaps/a"), { data: { k: "w" } }));
      await b.must(b.delete(b.core("configmaps/a")));
      expect(asked?.map(({ operation }) => operation)).toEqual(["CREATE"]);
    },
  ),
  hooked(
    "of a scale it sees the scale",
    {
      type: "Validating",
      answer: () => allow,
      probe: async (b) => {
        await b.post(b.in("apps/v1", "deployments"), idleDeployment);
        await b.patch(b.in("apps/v1", "deployments/probe/scale?dryRun=All"), { spec: { replicas: 0 } });
      },
      webhook: { rules: [{ operations: ["*"], apiGroups: ["apps"], apiVersions: ["v1"], resources: ["deployments/scale"] }] },
    },
    async (b, [asked]) => {
      await b.must(b.patch(b.in("apps/v1", "deployments/probe/scale"), { spec: { replicas: 0 } }));
      const [request] = asked as Json;
      expect([request.kind, request.subResource, request.object.kind, request.operation]).toEqual([
        { group: "autoscaling", version: "v1", kind: "Scale" },
        "scale",
        "Scale",
        "UPDATE",
      ]);
    },
  ),
  hooked("a dry run is told", { type: "Validating", answer: () => allow }, async (b, [asked]) => {
    await b.must(post(b, {}, "?dryRun=All"));
    expect(asked?.map(({ dryRun }) => dryRun)).toEqual([true]);
  }),
  hooked(
    "mutating ones come in the order of their names, and see each other's work",
    [
      { type: "Mutating", answer: onlyNamed("a", addsData("first", "1")) },
      { type: "Mutating", answer: onlyNamed("a", addsData("second", "2")) },
      { type: "Validating", answer: () => allow },
    ],
    async (b, asked) => {
      await b.must(post(b));
      expect(asked.map((requests) => Object.keys(requests[0].object.data).sort())).toEqual([
        ["k"],
        ["first", "k"],
        ["first", "k", "second"],
      ]);
    },
  ),
  hooked(
    "one that wants it is asked again when others changed something after it",
    [
      { type: "Mutating", answer: () => allow, webhook: { reinvocationPolicy: "IfNeeded" } },
      { type: "Mutating", answer: onlyNamed("a", addsData("late", "1")) },
    ],
    async (b, asked) => {
      await b.must(post(b));
      expect(asked.map((requests) => requests.length)).toEqual([2, 1]);
    },
  ),
  hooked(
    "what it makes of an object has to be valid",
    { type: "Mutating", answer: onlyNamed("a", () => patchOf([{ op: "add", path: "/data/no spaces", value: "x" }])) },
    async (b) => {
      const { status, body } = await post(b);
      expect([status, body.message]).toEqual([422, expect.stringContaining("data[no spaces]: Invalid value")]);
    },
  ),
  hooked("server-side apply goes through them", { type: "Mutating", answer: onlyNamed("a", addsData("added", "1")) }, async (b) => {
    const made = await b.must(
      b.apply(b.core("configmaps/a"), "one", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { k: "v" } }),
    );
    expect(made.data).toEqual({ k: "v", added: "1" });
  }),
  hooked(
    "deletecollection asks for each",
    {
      type: "Validating",
      answer: (request) => (request.operation === "DELETE" && request.oldObject.metadata.name === "b" ? { allowed: false } : allow),
    },
    async (b, [asked]) => {
      await b.must(post(b, { metadata: { name: "a", labels: { x: "y" } } }));
      await b.must(b.post(b.core("configmaps"), { metadata: { name: "b", labels: { x: "y" } } }));
      expect((await b.delete(b.core("configmaps?labelSelector=x"))).status).toBe(400);
      // The request names none of them.
      expect(new Set(asked?.filter(({ operation }) => operation === "DELETE").map(({ name }) => name ?? ""))).toEqual(new Set([""]));
      expect((await b.get(b.core("configmaps/b"))).status).toBe(200);
    },
  ),
  refused(
    "sideEffects of another kind",
    { sideEffects: "Some" },
    'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
  ),
  refused(
    "a short name",
    { name: "x" },
    'webhooks[0].name: Invalid value: "x": should be a domain with at least three segments separated by dots',
  ),
  refused(
    "a long time",
    { timeoutSeconds: 31 },
    "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
  ),
  refused("no address", { clientConfig: {} }, "webhooks[0].clientConfig: Required value: exactly one of url or service is required"),
  refused("a plain address", { clientConfig: { url: "http://127.0.0.1/x" } }, "'https' is the only allowed URL scheme"),
  refused("a version that nobody knows", { admissionReviewVersions: ["v7"] }, "webhooks[0].admissionReviewVersions: Invalid value"),
  {
    name: "conversion by a webhook: each version sees its own shape",
    async run(b) {
      const group = `${b.namespace.replace("fidelity-", "")}.example.com`;
      const asked: Json[] = [];
      const clientConfig = await listen(`/${b.namespace}/convert`, ({ request, apiVersion, kind }) => {
        asked.push(request);
        const convertedObjects = request.objects.map((object: Json) => {
          const text = object.spec.text ?? String(object.spec.number);
          const spec = request.desiredAPIVersion.endsWith("/v1") ? { number: Number(text) } : { text };
          return { ...object, apiVersion: request.desiredAPIVersion, spec };
        });
        return { apiVersion, kind, response: { uid: request.uid, convertedObjects, result: { status: "Success" } } };
      });
      const shape = (properties: object) => ({
        openAPIV3Schema: { type: "object", properties: { spec: { type: "object", properties } } },
      });
      const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
      await b.must(
        b.post(definitions, {
          metadata: { name: `turns.${group}` },
          spec: {
            group,
            scope: "Namespaced",
            names: { plural: "turns", singular: "turn", kind: "Turn", listKind: "TurnList" },
            versions: [
              { name: "v1", served: true, storage: true, schema: shape({ number: { type: "integer" } }) },
              { name: "v1beta1", served: true, storage: false, schema: shape({ text: { type: "string" } }) },
            ],
            conversion: { strategy: "Webhook", webhook: { clientConfig, conversionReviewVersions: ["v1"] } },
          },
        }),
      );
      const [now, before] = ["v1", "v1beta1"].map((version) => `/apis/${group}/${version}/namespaces/${b.namespace}/turns`) as [
        string,
        string,
      ];
      try {
        await b.eventually(async () => (await b.get(before)).status === 200 && (await b.get(now)).status === 200);
        const made = await b.must(
          b.post(before, {
            apiVersion: `${group}/v1beta1`,
            kind: "Turn",
            metadata: { name: "a", labels: { x: "y" } },
            spec: { text: "7" },
          }),
        );
        expect([made.apiVersion, made.spec]).toEqual([`${group}/v1beta1`, { text: "7" }]);
        const other = await b.must(b.get(`${now}/a`));
        expect([other.apiVersion, other.spec, other.metadata.labels]).toEqual([`${group}/v1`, { number: 7 }, { x: "y" }]);
        await b.must(b.patch(`${now}/a`, { spec: { number: 8 } }));
        const list = await b.must(b.get(before));
        expect(list.items.map((item: Json) => item.spec)).toEqual([{ text: "8" }]);
        const watch = await b.watch(`${before}?resourceVersion=${list.metadata.resourceVersion}`);
        await b.must(b.patch(`${now}/a`, { spec: { number: 9 } }));
        const [event] = await watch.take(1);
        watch.close();
        expect(event?.object.spec).toEqual({ text: "9" });
        expect(asked.every(({ objects }) => objects.length > 0)).toBe(true);
      } finally {
        await b.delete(`${definitions}/turns.${group}`);
      }
    },
  },
];
