/** How this manager's webhooks are reached and where their certificates are, from the environment of the process. */
import { renewBeforeMs } from "./certificates.ts";
import { defaultServiceName } from "./configuration.ts";
import type { Address } from "./live-configuration.ts";

export interface WebhookSettings {
  readonly port: number;
  readonly address: Address;
  /** What the certificate is for: the Service's DNS name, or WEBHOOK_HOST. */
  readonly host: string;
  readonly certDir: string;
  readonly installNamespace: string;
  readonly secretName: string;
  /** Who makes the certificates: this manager, kept in a Secret or in files, or somebody else ("external"). */
  readonly writer: "secret" | "fs" | "external";
  readonly renewBeforeMs: number;
}

const portDefault = 9876;

export function webhookSettings(
  variables: Readonly<Record<string, string | undefined>>,
  externalCerts: boolean,
): { readonly ok: true; readonly settings: WebhookSettings } | { readonly ok: false; readonly message: string } {
  const port = portOf(variables["WEBHOOK_PORT"]);
  if (port === undefined)
    return { ok: false, message: `WEBHOOK_PORT: want a port number, not ${JSON.stringify(variables["WEBHOOK_PORT"])}` };
  const named = variables["WEBHOOK_CERT_WRITER"] || undefined;
  if (named !== undefined && named !== "fs" && named !== "secret")
    return { ok: false, message: `WEBHOOK_CERT_WRITER: want fs or secret, not ${JSON.stringify(named)}` };
  const installNamespace = variables["POD_NAMESPACE"] || "kruise-system";
  const serviceName = variables["SERVICE_NAME"] || defaultServiceName;
  const webhookHost = variables["WEBHOOK_HOST"] || undefined;
  return {
    ok: true,
    settings: {
      port,
      installNamespace,
      host: webhookHost ?? `${serviceName}.${installNamespace}.svc`,
      address:
        webhookHost === undefined
          ? { by: "service", namespace: installNamespace, name: serviceName }
          : { by: "url", host: webhookHost, port },
      certDir: variables["WEBHOOK_CERT_DIR"] || "/tmp/kruise-webhook-certs",
      secretName: variables["SECRET_NAME"] || "kruise-webhook-certs",
      writer: externalCerts ? "external" : (named ?? (webhookHost === undefined ? "secret" : "fs")),
      renewBeforeMs: renewBeforeMs(variables["CERTS_RENEW_BEFORE"]),
    },
  };
}

function portOf(text: string | undefined): number | undefined {
  if (!text) return portDefault;
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
