/**
 * The manager as a process in a cluster: certificates, webhook configurations, conversion, endpoints, leader election, flags. The numbers
 * are those of the acceptance list for the platform.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Manager, type Rig, startRig, waitFor } from "../rig/index.ts";
import { startTimeoutMs } from "./cluster.ts";

interface Entry {
  name: string;
  timeoutSeconds?: number;
  clientConfig: { url?: string; service?: { name: string }; caBundle?: string };
}
interface Configuration {
  metadata: { name: string; annotations?: Record<string, string> };
  webhooks: Entry[];
}

const mutating = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kruise-mutating-webhook-configuration";
const validating = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kruise-validating-webhook-configuration";
const certificates = "/api/v1/namespaces/kruise-system/secrets/kruise-webhook-certs";

let rig: Rig;
let manager: Manager;
const get = async <T>(path: string): Promise<T> => {
  const object = await rig.admin.get<T & { metadata: { name: string } }>(path);
  if (object === undefined) throw new Error(`${path} is not there`);
  return object;
};
const decoded = (base64 = "") => Buffer.from(base64, "base64").toString();

beforeAll(async () => {
  rig = await startRig({ kwokNodes: 1 });
  await rig.install();
  manager = await rig.startManager({ flags: ["--v=1"] });
}, startTimeoutMs);
afterAll(async () => {
  await rig?.stop();
}, 60_000);

describe("certificates and configurations", () => {
  test("1: a fresh start fills the Secret, every caBundle and the template, and gets ready", async () => {
    const secret = await get<{ data: Record<string, string> }>(certificates);
    // Outside the cluster certificates live in files, and nothing is written to the Secret (9).
    expect(Object.keys(secret.data ?? {})).toEqual([]);
    const ca = readFileSync(join(rig.stateDir, "manager-webhook-certs", "ca-cert.pem"), "utf8");
    for (const path of [mutating, validating]) {
      const configuration = await get<Configuration>(path);
      expect(JSON.parse(configuration.metadata.annotations?.template ?? "[]")).not.toEqual([]);
      for (const entry of configuration.webhooks) expect(decoded(entry.clientConfig.caBundle)).toBe(ca);
    }
    expect((await fetch(`${manager.healthUrl}/readyz`)).status).toBe(200);
  });

  test("9: with WEBHOOK_HOST every entry has a URL and no service", async () => {
    const { webhooks } = await get<Configuration>(mutating);
    const entry = webhooks.find(({ name }) => name === "mcloneset.kb.io");
    expect(entry?.clientConfig).toMatchObject({ url: `https://127.0.0.1:${manager.webhookPort}/mutate-apps-kruise-io-cloneset` });
    expect(entry?.clientConfig.service).toBeUndefined();
  });

  test("3: an entry that was removed is back, with its caBundle", async () => {
    const before = await get<Configuration>(mutating);
    const without = before.webhooks.filter(({ name }) => name !== "mcloneset.kb.io");
    await rig.admin.patch(mutating, { webhooks: without }, "merge");
    await waitFor("mcloneset.kb.io to be back", async () => {
      const { webhooks } = await get<Configuration>(mutating);
      return webhooks.find(({ name, clientConfig }) => name === "mcloneset.kb.io" && clientConfig.caBundle);
    });
  });

  test("4: an edit survives when the template is cleared in the same update", async () => {
    const { webhooks } = await get<Configuration>(validating);
    const edited = webhooks.map((entry) => (entry.name === "vcloneset.kb.io" ? { ...entry, timeoutSeconds: 7 } : entry));
    await rig.admin.patch(validating, { metadata: { annotations: { template: "" } }, webhooks: edited }, "merge");
    await waitFor("the new template", async () => (await get<Configuration>(validating)).metadata.annotations?.template !== "");
    const after = await get<Configuration>(validating);
    expect(after.webhooks.find(({ name }) => name === "vcloneset.kb.io")?.timeoutSeconds).toBe(7);
    // … and one without that is reverted.
    await rig.admin.patch(validating, { webhooks: after.webhooks.map((entry) => ({ ...entry, timeoutSeconds: 9 })) }, "merge");
    await waitFor("the edit to be reverted", async () =>
      (await get<Configuration>(validating)).webhooks.every(({ timeoutSeconds }) => timeoutSeconds !== 9),
    );
  });

  test("7: a path with the version in it stays live and defaults both versions", async () => {
    const { webhooks } = await get<Configuration>(mutating);
    const renamed = webhooks.map((entry) =>
      entry.name === "mcloneset.kb.io"
        ? {
            ...entry,
            clientConfig: { ...entry.clientConfig, url: entry.clientConfig.url?.replace("-io-cloneset", "-io-v1alpha1-cloneset") },
          }
        : entry,
    );
    await rig.admin.patch(mutating, { metadata: { annotations: { template: "" } }, webhooks: renamed }, "merge");
    await waitFor("the template to be taken over", async () => (await get<Configuration>(mutating)).metadata.annotations?.template !== "");
    const namespace = await rig.namespace();
    for (const version of ["v1alpha1", "v1beta1"]) {
      const created = await rig.admin.create<{ metadata: { name: string }; spec: { revisionHistoryLimit: number } }>(
        `/apis/apps.kruise.io/${version}/namespaces/${namespace}/clonesets`,
        cloneSet(version, `by-${version}`, namespace),
      );
      expect(created.spec.revisionHistoryLimit).toBe(10);
    }
  });

  test("8, 6: CRDs convert by this manager, a conversion that was edited away is restored, and both versions can be read", async () => {
    const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clonesets.apps.kruise.io";
    interface Definition {
      metadata: { name: string };
      spec: { conversion: { webhook?: { clientConfig?: { url?: string; caBundle?: string }; conversionReviewVersions: string[] } } };
    }
    const url = `https://127.0.0.1:${manager.webhookPort}/convert`;
    const client = async () => (await get<Definition>(path)).spec.conversion.webhook;
    expect((await client())?.clientConfig?.url).toBe(url);
    expect((await client())?.conversionReviewVersions).toEqual(["v1", "v1beta1"]);
    await rig.admin.patch(path, { spec: { conversion: { webhook: { clientConfig: { url: "https://127.0.0.1:1/convert" } } } } }, "merge");
    await waitFor("the conversion to be restored", async () => (await client())?.clientConfig?.url === url);
    const namespace = await rig.namespace();
    await rig.apply(cloneSet("v1beta1", "both", namespace));
    const read = await get<{ spec: { updateStrategy: { type: string } } }>(
      `/apis/apps.kruise.io/v1alpha1/namespaces/${namespace}/clonesets/both`,
    );
    expect(read.spec.updateStrategy.type).toBe("ReCreate");
  });
});

describe("the process", () => {
  test("19: metrics carry the names that boards are built on", async () => {
    // Workers are counted when the kinds of their controller have been listed.
    const text = await waitFor("the controllers to run", async () => {
      const now = await (await fetch(manager.metricsUrl)).text();
      return /controller_runtime_reconcile_total\{controller="cloneset-controller",result="[a-z_]+"\} [1-9]/.test(now) && now;
    });
    for (const line of [
      "\nkruise_manager_is_leader 1\n",
      'controller_runtime_max_concurrent_reconciles{controller="cloneset-controller"} 3',
      'controller_runtime_webhook_requests_total{code="200",webhook="/mutate-apps-kruise-io-cloneset"}',
      "certwatcher_read_certificate_total",
      "process_cpu_seconds_total",
      'kruiser_cert_expiry_seconds{certificate="serving"} 3',
      'kruiser_cert_expiry_seconds{certificate="ca"} 3',
      'kruiser_cache_synced{resource="clonesets.apps.kruise.io"} 1',
      'kruiser_cache_objects{resource="clonesets.apps.kruise.io"}',
      'kruiser_watch_restarts_total{resource="pods"}',
      'kruiser_watch_silent_seconds{resource="pods"}',
      'kruiser_relist_drift_total{resource="pods"} 0',
    ])
      expect(text).toContain(line);
    expect(text).toMatch(/rest_client_requests_total\{code="200",host="[^"]+",method="GET"\} [1-9]/);
  });

  test("healthz and its checks answer ok", async () => {
    for (const path of ["/healthz", "/healthz/ping", "/readyz/webhook-ready"])
      expect(await (await fetch(`${manager.healthUrl}${path}`)).text()).toBe("ok");
  });

  test.each([
    [["--feature-gates=NoSuchGate=true"], 1, "NoSuchGate"],
    [["--no-such-flag"], 2, "unknown flag: --no-such-flag"],
    [["--logging-format=xml"], 1, "--logging-format=xml"],
  ])("14: %j ends the process at once with code %i", async (flags, code, words) => {
    const command = process.env.KRUISE_COMMAND?.split(" ") ?? ["bun", "src/main.ts"];
    const child = Bun.spawn([...command, "--mode=manager", ...flags], { stdout: "pipe", stderr: "pipe" });
    expect(await child.exited).toBe(code);
    expect(await new Response(child.stderr).text()).toContain(words);
  });

  test("a stop is clean: exit code 0, and the record is there for the next start", async () => {
    const second = await rig.startManager({ name: "short", flags: ["--v=1"], waitReady: true });
    await second.stop();
    expect(readFileSync(second.logPath, "utf8")).toContain("stopped code=0");
    expect(existsSync(join(rig.stateDir, "short-record.db"))).toBe(true);
  });

  test("13: of two managers one leads; when it is killed the other takes over, and both answer webhooks all the time", async () => {
    const leaderOf = async () =>
      (
        await rig.admin.get<{ metadata: { name: string }; spec: { holderIdentity: string } }>(
          "/apis/coordination.k8s.io/v1/namespaces/kruise-system/leases/kruise-manager",
        )
      )?.spec.holderIdentity;
    await manager.stop();
    const [first, second] = [
      await rig.startManager({ name: "ha-a", leaderElection: true, flags: ["--v=1"] }),
      await rig.startManager({ name: "ha-b", leaderElection: true, flags: ["--v=1"] }),
    ];
    const leads = async (of: Manager) => /^kruise_manager_is_leader 1$/m.test(await (await fetch(of.metricsUrl)).text());
    await waitFor("the first to lead", () => leads(first));
    expect(await leads(second)).toBe(false);
    const before = await leaderOf();
    await first.kill();
    // Its URL was the one that is called.
    const namespace = await rig.namespace("ha");
    const path = `/apis/apps.kruise.io/v1alpha1/namespaces/${namespace}/clonesets`;
    const create = () => rig.admin.request("POST", path, cloneSet("v1alpha1", `taken-${crypto.randomUUID()}`, namespace));
    await waitFor("a CloneSet to be taken", async () => (await create()).status < 300, { timeoutMs: 10_000 });
    await waitFor("the second to lead", () => leads(second), { timeoutMs: 25_000 });
    expect(await leaderOf()).not.toBe(before);
    // A clean stop gives lease and webhooks away, and nobody notices.
    await first.restart();
    const refused: unknown[] = [];
    const asking = new AbortController();
    const asked = (async () => {
      while (!asking.signal.aborted) {
        const { status, body } = await create();
        if (status >= 300) refused.push(body);
      }
    })();
    await second.stop();
    await waitFor("the first to lead again", () => leads(first), { timeoutMs: 25_000 });
    asking.abort();
    await asked;
    expect(refused).toEqual([]);
    await first.stop();
    await waitFor("the lease to be free", async () => (await leaderOf()) === "");
  }, 120_000);
});

function cloneSet(version: string, name: string, namespace: string) {
  return {
    apiVersion: `apps.kruise.io/${version}`,
    kind: "CloneSet",
    metadata: { name, namespace },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "main", image: "app:v1" }] } },
    },
  };
}
