/** The way from the API server to a webhook: by URL, or by a Service whose address the sandbox knows. */
import type { Env } from "../../env/env.ts";
import type { Fetch } from "../../env/network.ts";
import { fieldsOf, textOf } from "../../kube/json.ts";
import type { CallWebhook } from "./conversion.ts";

export interface WebhookWay {
  readonly env: Env;
  readonly fetch: Fetch;
  /** Where a Service is reached: "https://127.0.0.1:9443" for "kruise-system/kruise-webhook-service". Undefined: nowhere. */
  readonly serviceUrl: (namespace: string, name: string, port: number) => string | undefined;
}

export function webhookCaller({ env, fetch, serviceUrl }: WebhookWay): CallWebhook {
  return async (clientConfig, review, timeoutMs) => {
    const config = fieldsOf(clientConfig);
    const service = fieldsOf(config["service"]);
    const serverName = `${textOf(service["name"])}.${textOf(service["namespace"])}.svc`;
    const port = typeof service["port"] === "number" ? service["port"] : 443;
    const shown =
      config["url"] === undefined
        ? `https://${serverName}:${port}${textOf(service["path"]) || "/"}?timeout=${timeoutMs / 1000}s`
        : textOf(config["url"]);
    const base = config["url"] === undefined ? serviceUrl(textOf(service["namespace"]), textOf(service["name"]), port) : "";
    if (base === undefined) throw new Error(`Post "${shown}": service "${textOf(service["name"])}" not found`);
    const abort = new AbortController();
    const cancel = env.after(timeoutMs, () => abort.abort());
    try {
      const ca = Buffer.from(textOf(config["caBundle"]), "base64").toString("utf8");
      const response = await fetch(base === "" ? shown : `${base}${textOf(service["path"]) || "/"}`, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(review),
        tls: { ...(ca === "" ? {} : { ca }), ...(base === "" ? {} : { serverName }) },
        signal: abort.signal,
      });
      const text = await response.text();
      if (response.status !== 200)
        throw new Error(`an error on the server ("${text.slice(0, 200)}") has prevented the request from succeeding`);
      return JSON.parse(text) as unknown;
    } catch (error) {
      if (abort.signal.aborted) throw new Error(`Post "${shown}": context deadline exceeded`, { cause: error });
      throw error instanceof Error && !error.message.startsWith("an error")
        ? new Error(`Post "${shown}": ${error.message}`, { cause: error })
        : error;
    } finally {
      cancel();
    }
  };
}
