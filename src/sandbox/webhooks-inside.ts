/** The way from the sandbox's API server to webhooks in the same process: a Service that is a function. Other addresses go out. */
import type { Handler } from "../admission/handler.ts";
import type { Serve } from "../admission/server.ts";
import type { Fetch, HttpResponse } from "../env/network.ts";

const scheme = "https://webhook.in-process";

export interface WebhooksInside {
  /** In place of `Bun.serve`: who would listen is called. */
  readonly serve: Serve;
  readonly serviceUrl: (namespace: string, name: string, port: number) => string | undefined;
  readonly fetch: Fetch;
}

/** @param service "namespace/name" @param outside for every other address */
export function webhooksInside(service: string, outside: Fetch): WebhooksInside {
  /** The latest is the one with the latest certificate. */
  const handlers: Handler[] = [];
  return {
    serve: (options) => {
      handlers.push(options.fetch);
      return {
        port: options.port,
        stop: () => {
          handlers.splice(handlers.indexOf(options.fetch), 1);
        },
      };
    },
    serviceUrl: (namespace, name) => (`${namespace}/${name}` === service ? scheme : undefined),
    async fetch(url, request) {
      if (!url.startsWith(scheme) && !url.startsWith("https://localhost:")) return outside(url, request);
      const handler = handlers.at(-1);
      if (handler === undefined) throw Object.assign(new Error("connect: connection refused"), { code: "ECONNREFUSED" });
      const { method, headers, body } = request;
      return adapt(await handler(new Request(url, { method, headers, ...(body === undefined ? {} : { body }) })));
    },
  };
}

function adapt(response: Response): HttpResponse {
  return { status: response.status, headers: response.headers, body: response.body, text: () => response.text() };
}
