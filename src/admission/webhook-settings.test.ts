import { describe, expect, test } from "bun:test";
import { webhookSettings } from "./webhook-settings.ts";

const settingsOf = (variables: Record<string, string>, external = false) => {
  const read = webhookSettings(variables, external);
  if (!read.ok) throw new Error(read.message);
  return read.settings;
};

describe("the environment", () => {
  test("has defaults", () => {
    const defaults = settingsOf({});
    expect(defaults).toEqual({
      port: 9876,
      installNamespace: "kruise-system",
      host: "kruise-webhook-service.kruise-system.svc",
      address: { by: "service", namespace: "kruise-system", name: "kruise-webhook-service" },
      certDir: "/tmp/kruise-webhook-certs",
      secretName: "kruise-webhook-certs",
      writer: "secret",
      renewBeforeMs: 180 * 86_400_000,
    });
    // Empty is not set.
    const empty = Object.fromEntries(
      ["WEBHOOK_PORT", "WEBHOOK_HOST", "WEBHOOK_CERT_WRITER", "POD_NAMESPACE", "SERVICE_NAME"].map((name) => [name, ""]),
    );
    expect(settingsOf(empty)).toEqual(defaults);
  });

  test("names the Service, or a host", () => {
    expect(settingsOf({ POD_NAMESPACE: "ns", SERVICE_NAME: "svc" }).host).toBe("svc.ns.svc");
    expect(settingsOf({ WEBHOOK_HOST: "10.0.0.5", WEBHOOK_PORT: "443" })).toMatchObject({
      host: "10.0.0.5",
      address: { by: "url", host: "10.0.0.5", port: 443 },
      writer: "fs",
    });
  });

  test.each([
    [{ WEBHOOK_HOST: "h", WEBHOOK_CERT_WRITER: "secret" }, false, "secret"],
    [{ WEBHOOK_CERT_WRITER: "fs" }, false, "fs"],
    [{ WEBHOOK_CERT_WRITER: "fs" }, true, "external"],
  ] as const)("%j external %p writes by %s", (variables, external, writer) => {
    expect(settingsOf(variables, external).writer).toBe(writer);
  });

  test.each([
    [{ WEBHOOK_PORT: "abc" }, "WEBHOOK_PORT"],
    [{ WEBHOOK_PORT: "70000" }, "WEBHOOK_PORT"],
    [{ WEBHOOK_PORT: "-1" }, "WEBHOOK_PORT"],
    [{ WEBHOOK_CERT_WRITER: "disk" }, "WEBHOOK_CERT_WRITER"],
  ])("%j is refused", (variables, name) => {
    const read = webhookSettings(variables, false);
    expect(read.ok ? "" : read.message).toStartWith(name);
  });
});
