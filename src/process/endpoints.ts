/** The plain HTTP endpoints of a process: /healthz, /readyz, /metrics. */
import { Hono } from "hono";
import { serve } from "../env/network.ts";
import type { Address } from "./address.ts";

/** Undefined: fine. A text: what is wrong. */
export type Check = () => string | undefined | Promise<string | undefined>;

export interface MetricsSource {
  text(): Promise<string>;
  readonly contentType: string;
}

export interface Endpoints {
  readonly health?: { readonly live: Readonly<Record<string, Check>>; readonly ready: Readonly<Record<string, Check>> };
  readonly metrics?: MetricsSource;
}

export interface Listener {
  readonly port: number;
  stop(): Promise<void>;
}

/** @throws Error naming the address when it cannot be bound */
export function listen(address: Address, endpoints: Endpoints): Listener {
  const app = new Hono();
  if (endpoints.health) {
    addChecks(app, "/healthz", endpoints.health.live);
    addChecks(app, "/readyz", endpoints.health.ready);
  }
  const metrics = endpoints.metrics;
  if (metrics) app.get("/metrics", async () => new Response(await metrics.text(), { headers: { "content-type": metrics.contentType } }));
  try {
    const server = serve({ port: address.port, ...(address.host === undefined ? {} : { hostname: address.host }), fetch: app.fetch });
    return { port: server.port ?? address.port, stop: () => server.stop(true) };
  } catch (error) {
    throw new Error(`cannot listen on ${address.host ?? ""}:${address.port}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The whole, and each check alone by its name. */
function addChecks(app: Hono, path: string, checks: Readonly<Record<string, Check>>): void {
  const run = async (names: readonly string[]): Promise<Response> => {
    const results = await Promise.all(names.map(async (name) => ({ name, wrong: await checks[name]?.() })));
    const wrong = results.filter((result) => result.wrong !== undefined);
    if (wrong.length === 0) return new Response("ok");
    return new Response(wrong.map((result) => `[-]${result.name} failed: ${result.wrong}\n`).join(""), { status: 500 });
  };
  app.get(path, () => run(Object.keys(checks)));
  app.get(`${path}/:name`, (context) => {
    const name = context.req.param("name");
    return Object.hasOwn(checks, name) ? run([name]) : new Response("not found", { status: 404 });
  });
}
