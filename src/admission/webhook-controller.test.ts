import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KindDefinition } from "../api/definition.ts";
import { FakeEnv } from "../env/fake.ts";
import { secrets } from "../kube/kinds.ts";
import type { Secret } from "../kube/types.ts";
import { type Certificates, toFiles } from "./certificates.ts";
import {
  mutatingConfigurationName,
  mutatingConfigurations,
  validatingConfigurationName,
  validatingConfigurations,
  type WebhookConfiguration,
  type WebhookEntry,
} from "./configuration.ts";
import { type CustomResourceDefinition, customResourceDefinitions } from "./crd-conversion.ts";
import { silentMetrics } from "./metrics.ts";
import type { Peer } from "./peer.ts";
import { FakeApi } from "./testing/fake-api.ts";
import { certificatesMade, host, until } from "./testing/fixtures.ts";
import { syncLimits, type WebhookController, webhookController } from "./webhook-controller.ts";
import { webhookSettings } from "./webhook-settings.ts";

const dayMs = 86_400_000;
const startMs = Date.UTC(2025, 0, 1);
const secretKey = { namespace: "kruise-system", name: "kruise-webhook-certs" };
const mutatingKey = { namespace: "", name: mutatingConfigurationName };
const validatingKey = { namespace: "", name: validatingConfigurationName };
const crdKey = (name: string) => ({ namespace: "", name });
const base64 = (text: string) => Buffer.from(text).toString("base64");

const definition = (plural: string, group: string, converts: boolean) =>
  ({
    kind: { group, version: "v1beta1", kind: plural, plural, namespaced: true },
    versions: [],
    conversion: converts ? {} : undefined,
  }) as unknown as KindDefinition;
const kinds = [
  definition("clonesets", "apps.kruise.io", true),
  definition("podunavailablebudgets", "policy.kruise.io", true),
  definition("broadcastjobs", "apps.kruise.io", false),
  definition("foreigners", "other.io", true),
];

const entry = (name: string, path: string): WebhookEntry => ({
  name,
  clientConfig: { service: { namespace: "kruise-system", name: "kruise-webhook-service", path, port: 443 } },
  timeoutSeconds: 10,
});
const configuration = (name: string, ...webhooks: WebhookEntry[]) =>
  ({ metadata: { name, annotations: { template: "" } }, webhooks }) as unknown as WebhookConfiguration;
const crd = (name: string, strategy: string) => ({ metadata: { name }, spec: { conversion: { strategy } } }) as CustomResourceDefinition;

interface Replica {
  readonly env: FakeEnv;
  readonly controller: WebhookController;
  readonly installs: Certificates[];
  readonly events: string[];
  readonly dropped: Map<string, number>;
  readonly handled: Set<string>;
  readonly directory: string;
  /** Lets `ms` pass for this replica, then waits until nothing moves any more. */
  pass(ms: number): Promise<void>;
}

let pool: Certificates[];
let api: FakeApi;
const replicas: Replica[] = [];

beforeAll(async () => {
  pool = await Promise.all(["a", "b", "c"].map((label) => certificatesMade(label, startMs)));
});
beforeEach(() => {
  api = new FakeApi();
  api.put(secrets, { metadata: secretKey } as unknown as Secret);
  api.put(
    mutatingConfigurations,
    configuration(mutatingConfigurationName, entry("mpod.kb.io", "/mutate-pod"), entry("mcloneset.kb.io", "/mutate-cloneset")),
  );
  api.put(
    validatingConfigurations,
    configuration(validatingConfigurationName, entry("vpod.kb.io", "/validate-pod"), entry("vold.kb.io", "/validate-gone")),
  );
  for (const name of ["clonesets.apps.kruise.io", "podunavailablebudgets.policy.kruise.io"])
    api.put(customResourceDefinitions, crd(name, "Webhook"));
  api.put(customResourceDefinitions, crd("broadcastjobs.apps.kruise.io", "None"));
  api.put(customResourceDefinitions, crd("foreigners.other.io", "Webhook"));
});
afterEach(() => {
  for (const { env, directory } of replicas.splice(0)) {
    env.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});

function replica(variables: Record<string, string> = {}, external = false, peerServes?: (peer: Peer) => Promise<boolean>): Replica {
  const directory = mkdtempSync(join(tmpdir(), "kruiser-webhook-"));
  const read = webhookSettings({ WEBHOOK_CERT_DIR: directory, ...variables }, external);
  if (!read.ok) throw new Error(read.message);
  const env = new FakeEnv({ startMs, seed: replicas.length + 1 });
  const installs: Certificates[] = [];
  const events: string[] = [];
  const dropped = new Map<string, number>();
  const handled = new Set(["/mutate-pod", "/mutate-cloneset", "/validate-pod"]);
  const offered = pool.slice(replicas.length);
  const controller = webhookController({
    env,
    live: api.live,
    write: api.write,
    subscribe: api.subscribe,
    settings: read.settings,
    kinds,
    handledPaths: () => handled,
    install: (certificates) => {
      if (installs.at(-1) !== certificates) installs.push(certificates);
    },
    issue: async (name, _nowMs, kept) => {
      if (kept) {
        const authority = pool.find(({ caCertificate }) => caCertificate === kept.certificate);
        return certificatesMade("kept", startMs, name, authority);
      }
      const next = offered.shift();
      if (!next) throw new Error("nothing more to issue");
      return name === host ? next : certificatesMade("address", startMs, name);
    },
    emit: (on, type, reason, message) => events.push(`${type} ${reason} ${on.name}: ${message}`),
    metrics: { ...silentMetrics, droppedWebhooks: (name, count) => void dropped.set(name, count) },
    ...(peerServes === undefined ? {} : { peerServes }),
  });
  const pass = async (ms: number) => {
    await env.advance(ms);
    // Files are written at their own pace: quiet means that nothing is under way, for some turns of the event loop.
    let quiet = 0;
    await until(async () => {
      await env.advance(0);
      quiet = controller.isResting ? quiet + 1 : 0;
      return quiet > 8;
    }, "quiet");
  };
  const made = { env, controller, installs, events, dropped, handled, directory, pass };
  replicas.push(made);
  return made;
}
async function started(variables: Record<string, string> = {}, peerServes?: (peer: Peer) => Promise<boolean>): Promise<Replica> {
  const made = replica(variables, false, peerServes);
  made.controller.start();
  await until(async () => {
    await made.env.advance(1);
    return made.controller.isInitialized;
  }, `initialized: ${made.controller.lastError}`);
  await made.pass(0);
  return made;
}
const bundles = (key: typeof mutatingKey) =>
  (api.get(key === mutatingKey ? mutatingConfigurations : validatingConfigurations, key)?.webhooks ?? []).map(
    (one) => one.clientConfig?.caBundle,
  );
const conversionOf = (name: string) => api.get(customResourceDefinitions, crdKey(name))?.spec?.conversion;
const secretCa = () => Buffer.from(api.get(secrets, secretKey)?.data?.["ca-cert.pem"] ?? "", "base64").toString();

describe("a fresh install", () => {
  test("is brought up: Secret, files, entries, conversion", async () => {
    const { installs, directory } = await started();
    const ca = base64(pool[0]!.caCertificate);
    expect(Object.keys(api.get(secrets, secretKey)?.data ?? {}).sort()).toEqual(Object.keys(toFiles(pool[0]!)).sort());
    expect(readFileSync(join(directory, "ca-cert.pem"), "utf8")).toBe(pool[0]!.caCertificate);
    expect(installs).toEqual([pool[0]!]);
    expect(bundles(mutatingKey)).toEqual([ca, ca]);
    expect(bundles(validatingKey)).toEqual([ca]);
    for (const name of ["clonesets.apps.kruise.io", "podunavailablebudgets.policy.kruise.io"])
      expect(conversionOf(name)).toEqual({
        strategy: "Webhook",
        webhook: {
          clientConfig: {
            caBundle: ca,
            service: { namespace: "kruise-system", name: "kruise-webhook-service", path: "/convert", port: 443 },
          },
          conversionReviewVersions: ["v1", "v1beta1"],
        },
      });
    expect(conversionOf("foreigners.other.io")).toEqual({ strategy: "Webhook" });
  });

  test("says which entries it left out, once", async () => {
    const { events, dropped, pass, handled, controller } = await started();
    expect(events).toHaveLength(1);
    expect(events[0]).toContain(`Warning WebhooksLeftOut ${validatingConfigurationName}`);
    expect(events[0]).toContain("vold.kb.io (/validate-gone)");
    expect(dropped).toEqual(
      new Map([
        [mutatingConfigurationName, 0],
        [validatingConfigurationName, 1],
      ]),
    );
    await pass(syncLimits.repeatMs);
    expect(events).toHaveLength(1);
    handled.add("/validate-gone");
    controller.wake();
    await pass(0);
    expect(dropped.get(validatingConfigurationName)).toBe(0);
    expect(bundles(validatingKey)).toHaveLength(2);
  });

  test("costs one request an object, and then none", async () => {
    const { pass } = await started();
    const gets = api.requests.filter((request) => request.startsWith("get "));
    expect(new Set(gets).size).toBe(gets.length);
    expect(api.writes()).toHaveLength(5);
    // Kinds that need no conversion are looked at once the rest works.
    await pass(syncLimits.repeatMs);
    expect(api.requests.at(-1)).toBe("get customresourcedefinitions/broadcastjobs.apps.kruise.io");
    const before = api.requests.length;
    await pass(5 * syncLimits.repeatMs);
    expect(api.requests.length).toBe(before);
  });

  test("a second replica changes nothing", async () => {
    await started();
    api.requests.length = 0;
    const second = await started();
    expect(api.writes()).toEqual([]);
    expect(second.installs[0]?.caCertificate).toBe(secretCa());
  });

  test("two replicas at once come to one CA", async () => {
    const both = [replica(), replica()];
    for (const { controller } of both) controller.start();
    await until(async () => {
      for (const { env } of both) await env.advance(1);
      return both.every(({ controller }) => controller.isInitialized);
    }, "both initialized");
    for (const { pass } of both) await pass(syncLimits.overlapMs + syncLimits.repeatMs);
    const ca = secretCa();
    for (const { installs, directory } of both) {
      expect(installs.at(-1)?.caCertificate).toBe(ca);
      expect(readFileSync(join(directory, "ca-cert.pem"), "utf8")).toBe(ca);
    }
    expect(new Set([...bundles(mutatingKey), ...bundles(validatingKey)])).toEqual(new Set([base64(ca)]));
  });
});

describe("afterwards", () => {
  test.each([
    [
      "an entry was removed",
      () => api.change<WebhookConfiguration>(mutatingConfigurations, mutatingKey, (object) => object.webhooks?.pop()),
    ],
    [
      "the CA was overwritten",
      () =>
        api.change<WebhookConfiguration>(mutatingConfigurations, mutatingKey, (object) => {
          object.webhooks![0]!.clientConfig!.caBundle = "eA==";
        }),
    ],
    ["a CRD was applied again", () => api.put(customResourceDefinitions, crd("clonesets.apps.kruise.io", "Webhook"))],
    [
      "a CRD was deleted and made again",
      () => {
        api.remove(customResourceDefinitions, crdKey("clonesets.apps.kruise.io"));
        api.put(customResourceDefinitions, crd("clonesets.apps.kruise.io", "Webhook"));
      },
    ],
  ])("%s: it is back at the next event", async (_, change) => {
    const { pass } = await started();
    const before = { mutating: bundles(mutatingKey), crd: conversionOf("clonesets.apps.kruise.io") };
    change();
    await pass(0);
    expect({ mutating: bundles(mutatingKey), crd: conversionOf("clonesets.apps.kruise.io") }).toEqual(before);
  });

  test("an edit with the template cleared stays", async () => {
    const { pass } = await started();
    api.change<WebhookConfiguration>(mutatingConfigurations, mutatingKey, (object) => {
      object.metadata.annotations = { template: "" };
      object.webhooks![0]!["timeoutSeconds"] = 3;
    });
    await pass(0);
    expect(api.get(mutatingConfigurations, mutatingKey)?.webhooks?.[0]).toMatchObject({ timeoutSeconds: 3 });
    expect(api.get(mutatingConfigurations, mutatingKey)?.metadata.annotations?.["template"]).toContain('"timeoutSeconds":3');
  });

  test("with a gate off, entries vanish and come back", async () => {
    const { pass, handled, controller } = await started();
    handled.delete("/mutate-pod");
    controller.wake();
    await pass(0);
    expect(bundles(mutatingKey)).toHaveLength(1);
    handled.add("/mutate-pod");
    controller.wake();
    await pass(0);
    expect(bundles(mutatingKey)).toHaveLength(2);
  });

  test("the Secret was deleted: new certificates, trusted before they are served, and the old CA is forgotten", async () => {
    const one = await started();
    const two = await started();
    const old = pool[0]!.caCertificate;
    const trusted: string[] = [];
    for (const { installs } of [one, two]) {
      const push = installs.push.bind(installs);
      installs.push = (...certificates) => {
        trusted.push(...bundles(mutatingKey).map((bundle) => Buffer.from(bundle ?? "", "base64").toString()));
        return push(...certificates);
      };
    }
    api.remove(secrets, secretKey);
    await until(async () => {
      await one.env.advance(100);
      await two.env.advance(100);
      return [one, two].every(({ installs }) => installs.at(-1)?.caCertificate === secretCa()) && secretCa() !== old;
    }, "both serve new certificates");
    expect(trusted.length).toBeGreaterThan(0);
    for (const bundle of trusted) {
      expect(bundle).toContain(secretCa().trim());
      expect(bundle).toContain(old.trim());
    }
    for (const { pass } of [one, two]) await pass(syncLimits.overlapMs + 1_000);
    expect(new Set([...bundles(mutatingKey), ...bundles(validatingKey)])).toEqual(new Set([base64(secretCa())]));
    expect(conversionOf("clonesets.apps.kruise.io")?.webhook?.clientConfig?.caBundle).toBe(base64(secretCa()));
    expect(readFileSync(join(two.directory, "tls.crt"), "utf8")).toBe(one.installs.at(-1)!.certificate);
  });

  test("a certificate that comes to its end is renewed under the same CA", async () => {
    const authority = pool[0]!;
    // 109 days to go, its authority ten years.
    const short = await certificatesMade("short", startMs - 9.7 * 365 * dayMs, host, authority);
    const data = Object.fromEntries(Object.entries(toFiles(short)).map(([name, text]) => [name, base64(text)]));
    api.put(secrets, { metadata: secretKey, data } as unknown as Secret);
    const patient = await started({ CERTS_RENEW_BEFORE: "90d" });
    expect(patient.installs).toEqual([short]);
    expect(api.writes().filter((request) => request.includes("secrets"))).toEqual([]);
    api.requests.length = 0;
    patient.env.jump(20 * dayMs);
    await patient.pass(syncLimits.repeatMs);
    expect(patient.installs.at(-1)?.caCertificate).toBe(authority.caCertificate);
    expect(patient.installs.at(-1)?.certificate).not.toBe(short.certificate);
    expect(api.writes()).toEqual(["update secrets/kruise-system/kruise-webhook-certs"]);
  });

  test("files that somebody removed come back", async () => {
    const { pass, directory } = await started();
    rmSync(join(directory, "ca-cert.pem"));
    await pass(syncLimits.repeatMs);
    expect(readFileSync(join(directory, "ca-cert.pem"), "utf8")).toBe(pool[0]!.caCertificate);
  });

  test("who changes an object back again and again is answered, but not without end", async () => {
    const { pass, controller } = await started();
    api.requests.length = 0;
    for (let index = 0; index < 40; index += 1) {
      api.change<WebhookConfiguration>(mutatingConfigurations, mutatingKey, (object) => {
        object.webhooks![0]!.clientConfig!.caBundle = "eA==";
      });
      await pass(100);
    }
    expect(api.writes().length).toBeLessThanOrEqual(6);
    expect(controller.lastError).toContain("keeps changing it back");
    expect(controller.isInitialized).toBe(true);
    await pass(400_000);
    expect(bundles(mutatingKey)[0]).toBe(base64(pool[0]!.caCertificate));
  });
});

describe("when the world does not help", () => {
  test("a missing configuration is an error until it is made", async () => {
    api.remove(mutatingConfigurations, mutatingKey);
    const { controller, pass, env } = replica();
    controller.start();
    await pass(200);
    expect(controller.isInitialized).toBe(false);
    expect(controller.lastError).toContain(mutatingConfigurationName);
    expect(env.lines.some(({ level }) => level === "warn")).toBe(true);
    api.put(mutatingConfigurations, configuration(mutatingConfigurationName, entry("mpod.kb.io", "/mutate-pod")));
    await pass(0);
    expect(controller.isInitialized).toBe(true);
    await controller.initialized;
    api.remove(mutatingConfigurations, mutatingKey);
    await pass(100);
    expect([controller.isInitialized, controller.lastError !== undefined]).toEqual([true, true]);
  });

  test("failures are repeated with growing pauses, and in the end it works", async () => {
    let failing = true;
    api.refuse = () => (failing ? { ok: false, why: "unavailable", mayHaveHappened: false, message: "connection refused" } : undefined);
    const { controller, pass } = replica();
    controller.start();
    await pass(1_000);
    const tries = api.requests.filter((request) => request === "get secrets/kruise-system/kruise-webhook-certs").length;
    expect(tries).toBeGreaterThanOrEqual(6);
    expect(tries).toBeLessThanOrEqual(10);
    failing = false;
    await until(async () => {
      await pass(500);
      return controller.isInitialized;
    }, "initialized");
  });

  test("conflicts are repeated from the freshest object", async () => {
    let conflicts = 3;
    api.before = (verb, path) => {
      if (verb !== "update" || !path.startsWith("mutating") || conflicts === 0) return;
      conflicts -= 1;
      api.change(mutatingConfigurations, mutatingKey, (object) => {
        object.metadata.labels = { round: String(conflicts) };
      });
    };
    const { controller, pass } = replica();
    controller.start();
    await until(async () => {
      await pass(500);
      return controller.isInitialized;
    }, "initialized");
    expect(api.get(mutatingConfigurations, mutatingKey)?.metadata.labels).toEqual({ round: "0" });
  });

  test("a port that is taken is said, not swallowed", async () => {
    const made = replica();
    const read = webhookSettings({ WEBHOOK_CERT_DIR: made.directory }, false);
    if (!read.ok) throw new Error(read.message);
    const failing = webhookController({
      env: made.env,
      live: api.live,
      write: api.write,
      subscribe: api.subscribe,
      settings: read.settings,
      kinds: [],
      handledPaths: () => new Set(),
      emit() {},
      metrics: silentMetrics,
      issue: async () => pool[0]!,
      install: () => {
        throw new Error("port 9876 is in use");
      },
    });
    failing.start();
    await until(async () => {
      await made.pass(50);
      return failing.lastError === "port 9876 is in use";
    }, "the error");
    // Nobody is led to a port that does not answer.
    expect(bundles(mutatingKey).every((bundle) => bundle === undefined)).toBe(true);
  });
});

describe("outside of the cluster", () => {
  test("entries get a URL, certificates an address, and the Secret is left alone", async () => {
    const { installs, directory } = await started({ WEBHOOK_HOST: "10.0.0.5" });
    expect(api.writes().some((request) => request.includes("secrets"))).toBe(false);
    expect(api.get(mutatingConfigurations, mutatingKey)?.webhooks?.[0]?.clientConfig).toEqual({
      caBundle: base64(installs[0]!.caCertificate),
      url: "https://10.0.0.5:9876/mutate-pod",
    });
    expect(conversionOf("clonesets.apps.kruise.io")?.webhook?.clientConfig?.url).toBe("https://10.0.0.5:9876/convert");
    expect(readFileSync(join(directory, "tls.crt"), "utf8")).toBe(installs[0]!.certificate);
  });

  test("of two replicas at two addresses one is called; the other takes over when it goes, and nobody writes over anybody", async () => {
    const serving = new Set(["https://127.0.0.1:1111"]);
    const asked: Peer[] = [];
    const peerServes = async (peer: Peer) => {
      asked.push(peer);
      return serving.has(peer.origin);
    };
    const urls = () => [
      ...[mutatingKey, validatingKey].flatMap((key) =>
        (api.get(key === mutatingKey ? mutatingConfigurations : validatingConfigurations, key)?.webhooks ?? []).map(
          ({ clientConfig }) => new URL(clientConfig?.url ?? "none:").port,
        ),
      ),
      new URL(conversionOf("clonesets.apps.kruise.io")?.webhook?.clientConfig?.url ?? "none:").port,
    ];
    const first = await started({ WEBHOOK_HOST: "127.0.0.1", WEBHOOK_PORT: "1111" }, peerServes);
    expect([new Set(urls()), asked]).toEqual([new Set(["1111"]), []]);
    const writes = api.writes().length;
    const second = await started({ WEBHOOK_HOST: "127.0.0.1", WEBHOOK_PORT: "2222" }, peerServes);
    expect(asked[0]).toEqual({ origin: "https://127.0.0.1:1111", ca: first.installs[0]!.caCertificate });
    await first.pass(120_000);
    await second.pass(10_000);
    expect(api.writes()).toHaveLength(writes);
    // The first one is killed.
    first.env.stop();
    serving.clear();
    await second.pass(syncLimits.peerLookMs);
    expect(new Set(urls())).toEqual(new Set(["2222"]));
    expect(bundles(mutatingKey)[0]).toBe(base64(second.installs[0]!.caCertificate));
    // Started again it finds the second one at work.
    serving.add("https://127.0.0.1:2222");
    const again = await started({ WEBHOOK_HOST: "127.0.0.1", WEBHOOK_PORT: "1111" }, peerServes);
    await again.pass(10_000);
    expect(new Set(urls())).toEqual(new Set(["2222"]));
  });
});

describe("external certificates", () => {
  const inject = (caBundle: string) => {
    for (const [of, key] of [
      [mutatingConfigurations, mutatingKey],
      [validatingConfigurations, validatingKey],
    ] as const)
      api.change<WebhookConfiguration>(of, key, (object) => {
        for (const one of object.webhooks ?? []) one.clientConfig = { ...one.clientConfig, caBundle };
      });
    for (const name of ["clonesets.apps.kruise.io", "podunavailablebudgets.policy.kruise.io"])
      api.change<CustomResourceDefinition>(customResourceDefinitions, crdKey(name), (object) => {
        object.spec!.conversion!.webhook = { clientConfig: { caBundle } };
      });
  };

  test("nothing is written; it waits for the Secret and for the injector", async () => {
    const { controller, pass, installs } = replica({}, true);
    controller.start();
    await pass(100);
    expect(controller.lastError).toContain("ca.crt, tls.crt, tls.key missing");
    const { caCertificate, certificate, key } = pool[0]!;
    api.put(secrets, {
      metadata: secretKey,
      data: { "ca.crt": base64(caCertificate), "tls.crt": base64(certificate), "tls.key": base64(key) },
    } as unknown as Secret);
    await pass(100);
    expect(installs[0]?.certificate).toBe(certificate);
    expect(controller.isInitialized).toBe(false);
    expect(controller.lastError).toContain("vpod.kb.io");
    expect(controller.lastError).toContain("clonesets.apps.kruise.io: spec.conversion");
    inject(base64(caCertificate));
    await pass(0);
    expect(controller.isInitialized).toBe(true);
    expect(api.writes()).toEqual([]);
    const renewed = pool[1]!;
    api.put(secrets, {
      metadata: secretKey,
      data: { "ca.crt": base64(renewed.caCertificate), "tls.crt": base64(renewed.certificate), "tls.key": base64(renewed.key) },
    } as unknown as Secret);
    await pass(0);
    expect(installs.at(-1)?.certificate).toBe(renewed.certificate);
  });
});
