import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cloneSetDefinition } from "../api/cloneset.ts";
import type { KindDefinition } from "../api/definition.ts";
import { silentLogger } from "../env/log.ts";
import { httpFetch, serve } from "../env/network.ts";
import { steerConnections } from "../env/steering.ts";
import { systemEnv } from "../env/system.ts";
import { secrets } from "../kube/kinds.ts";
import type { KubeObject, Secret } from "../kube/types.ts";
import { mutatingConfigurations, validatingConfigurations, type WebhookConfiguration, webhookConfigurations } from "./configuration.ts";
import { customResourceDefinitions } from "./crd-conversion.ts";
import { startAdmission } from "./index.ts";
import { silentMetrics } from "./metrics.ts";
import { podWebhooks } from "./pod.ts";
import { mutating } from "./registration.ts";
import type { Serve } from "./server.ts";
import { FakeApi } from "./testing/fake-api.ts";
import { host, podRequest, reviewText, settingsWith, until } from "./testing/fixtures.ts";
import { deny } from "./webhook.ts";
import { webhookSettings } from "./webhook-settings.ts";

test("from an empty Secret to an answered review, and through a rotation", async () => {
  const directory = mkdtempSync(join(tmpdir(), "kruiser-admission-"));
  const api = new FakeApi();
  const key = { namespace: "kruise-system", name: "kruise-webhook-certs" };
  api.put(secrets, { metadata: key } as unknown as Secret);
  const fills = mutating({
    name: "mcloneset.kb.io",
    definition: cloneSetDefinition as unknown as KindDefinition,
    fill: (object) => object,
  });
  const [mutatingObject, validatingObject] = webhookConfigurations(
    [fills, ...podWebhooks({ mutations: [], guards: [], installNamespace: "kruise-system" })],
    "kruise-system",
  ) as WebhookConfiguration[];
  api.put(mutatingConfigurations, mutatingObject as WebhookConfiguration);
  api.put(validatingConfigurations, validatingObject as WebhookConfiguration);
  const crdName = "clonesets.apps.kruise.io";
  api.put(customResourceDefinitions, {
    metadata: { name: crdName },
    spec: { conversion: { strategy: "Webhook" } },
  } as unknown as KubeObject);
  const read = webhookSettings({ WEBHOOK_CERT_DIR: join(directory, "certs") }, false);
  if (!read.ok) throw new Error(read.message);
  const stopping = new AbortController();
  const admission = startAdmission({
    env: systemEnv(silentLogger, stopping.signal),
    settings: settingsWith(),
    webhookSettings: { ...read.settings, port: 0 },
    webhooks: [fills],
    podMutations: [
      {
        name: "labels",
        order: 1,
        mutate: (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { injected: "yes" } } }),
      },
    ],
    podGuards: [
      {
        name: "budget",
        order: 1,
        operations: ["delete"],
        active: () => true,
        review: (request, { refused }) => {
          refused({ event: "PodUnavailableBudget", kind: "CloneSet", namespace: request.namespace, name: "web", userAgent: "alice" });
          return deny(429, "the budget is spent");
        },
      },
    ],
    kinds: [cloneSetDefinition as unknown as KindDefinition],
    read: { live: api.live } as never,
    write: api.write,
    subscribe: api.subscribe,
    narrowing: { enabled: false, follow: () => () => {}, known: () => [] },
    emit() {},
    metrics: silentMetrics,
    serve: serve as Serve,
    steer: steerConnections,
    fetch: httpFetch,
    protectionLogPath: join(directory, "log"),
  });
  expect(await admission.ready()).toMatchObject({ ok: false });
  await admission.initialized;
  expect(await admission.ready()).toEqual({ ok: true });
  /** As the API server does: the CA of the configuration, the name of the Service. */
  const send = async (path: string, body: string) => {
    const bundle = api.get(mutatingConfigurations, { namespace: "", name: "kruise-mutating-webhook-configuration" })?.webhooks?.[0]
      ?.clientConfig?.caBundle;
    const response = await httpFetch(`https://localhost:${admission.port}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      tls: { ca: Buffer.from(bundle ?? "", "base64").toString(), serverName: host },
    });
    return JSON.parse(await response.text()).response;
  };
  const pod = { metadata: { name: "web-0", namespace: "shop" }, spec: { containers: [] } } as never;
  const review = reviewText(podRequest({ object: pod }));
  const { patch } = await send("/mutate-pod?timeout=10s", review);
  expect(JSON.parse(Buffer.from(patch, "base64").toString())).toEqual([
    { op: "add", path: "/metadata/labels", value: { injected: "yes" } },
  ]);
  const refused = await send("/validate-pod", reviewText(podRequest({ operation: "DELETE", oldObject: pod })));
  expect(refused).toMatchObject({ allowed: false, status: { code: 429, message: "the budget is spent" } });
  await until(
    () => readFileSync(join(directory, "log", "protection.log"), "utf8").includes("PodUnavailableBudget"),
    "the refusal is logged",
  );
  const cloneSet = { apiVersion: "apps.kruise.io/v1alpha1", kind: "CloneSet", metadata: { name: "web", uid: "u" }, spec: { replicas: 1 } };
  const conversion = {
    kind: "ConversionReview",
    apiVersion: "apiextensions.k8s.io/v1",
    request: { uid: "c", desiredAPIVersion: "apps.kruise.io/v1beta1", objects: [cloneSet] },
  };
  expect(await send("/convert", JSON.stringify(conversion))).toMatchObject({
    uid: "c",
    result: { status: "Success" },
    convertedObjects: [{ apiVersion: "apps.kruise.io/v1beta1", metadata: { name: "web", uid: "u" } }],
  });
  expect(api.get(customResourceDefinitions, { namespace: "", name: crdName })?.spec?.conversion?.webhook?.clientConfig?.service?.path).toBe(
    "/convert",
  );

  const before = readFileSync(join(directory, "certs", "ca-cert.pem"), "utf8");
  api.remove(secrets, key);
  // All the while, whatever the configuration says must be good for a call.
  await until(async () => {
    expect(await send("/mutate-pod", review)).toMatchObject({ allowed: true });
    return readFileSync(join(directory, "certs", "ca-cert.pem"), "utf8") !== before;
  }, "new certificates");
  expect(await send("/mutate-pod", review)).toMatchObject({ allowed: true });
  expect(await admission.ready()).toEqual({ ok: true });
  stopping.abort();
  await admission.stop();
  rmSync(directory, { recursive: true, force: true });
}, 20_000);
