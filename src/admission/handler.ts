/** One HTTP request on the webhook port → one answer. Admission paths are found in a map before any router: they are the hot ones. */
import { Hono } from "hono";
import type { Env } from "../env/env.ts";
import type { DeleteOptions, WriteOptions, Writer } from "../kube/access.ts";
import { type Converter, convertReview } from "./convert.ts";
import type { AdmissionMetrics, WebhookMeter } from "./metrics.ts";
import { leavingHeader } from "./peer.ts";
import { decodeReview, encodeVerdict } from "./review.ts";
import { type AdmissionContext, allow, deny, type Verdict, type Webhook } from "./webhook.ts";

export const bodyLimits = {
  /** An object in etcd has at most 1.5 MiB; a review carries two, and what JSON escapes. */
  reviewBytesMax: 7 * 1024 * 1024,
  /** The API server converts a whole page of a list in one review. */
  conversionBytesMax: 256 * 1024 * 1024,
} as const;

export interface HandlerOptions {
  readonly env: Env;
  readonly webhooks: readonly Webhook[];
  readonly converter: Converter;
  readonly context: AdmissionContext;
  readonly metrics: AdmissionMetrics;
  /**
   * What reviews wait for: the caches they read from. A review of a world that is not yet known would let pass what it should refuse.
   * Undefined from then on. Conversion does not wait, since filling the caches may need it.
   */
  readonly unready?: () => Promise<void> | undefined;
}

export type Handler = (request: Request) => Response | Promise<Response>;

interface Endpoint {
  readonly path: string;
  readonly webhook: Webhook;
  readonly meter: WebhookMeter;
}

export function createHandler(options: HandlerOptions): Handler {
  const endpoints = endpointsOf(options.webhooks, options.metrics);
  const contexts = { real: options.context, dry: dryContext(options.context) };
  const others = otherPaths(options);
  return (request) => {
    const endpoint = endpoints.get(pathOf(request.url));
    if (endpoint === undefined) return others.fetch(request);
    const waiting = options.unready?.();
    const run = () => admit(endpoint, request, contexts, options.env);
    return waiting === undefined ? run() : waiting.then(run);
  };
}

/** Every path and alias that is served, whether active now or not: a request may be under way while its entry is withdrawn. */
function endpointsOf(webhooks: readonly Webhook[], metrics: AdmissionMetrics): Map<string, Endpoint> {
  const endpoints = new Map<string, Endpoint>();
  for (const webhook of webhooks) {
    const known = endpoints.get(webhook.path);
    if (known) {
      // Several entries of a configuration may lead to one path: they share one review.
      if (known.webhook.review !== webhook.review) throw new Error(`two reviews for the path ${webhook.path}`);
      continue;
    }
    const meter = metrics.webhook(webhook.path);
    for (const path of [webhook.path, ...(webhook.aliases ?? [])]) endpoints.set(path, { path, webhook, meter });
  }
  return endpoints;
}

function otherPaths(options: HandlerOptions): Hono {
  const app = new Hono();
  app.all("/healthz", (context) => context.body("", 200, options.env.stopped.aborted ? { [leavingHeader]: "1" } : {}));
  app.post("/convert", async (context) => {
    if (!isJson(context.req.raw)) return context.text("want content-type application/json", 400);
    const body = await readBody(context.req.raw, bodyLimits.conversionBytesMax);
    if (!body.ok) return context.text(body.message, body.status);
    const answer = convertReview(body.text, options.converter);
    if (!answer.ok) return context.text(answer.message, 400);
    return new Response(answer.text, jsonHeaders);
  });
  app.onError((error, context) => {
    options.env.log.error({ path: context.req.path, error: error.stack ?? String(error) }, "webhook server: request failed");
    return context.text("internal error", 500);
  });
  return app;
}

/** Each answer gets a copy. */
const jsonHeaders = { headers: new Headers({ "content-type": "application/json" }) };

async function admit(
  endpoint: Endpoint,
  request: Request,
  contexts: { readonly real: AdmissionContext; readonly dry: AdmissionContext },
  env: Env,
): Promise<Response> {
  const startedMs = env.monotonicMs();
  endpoint.meter.started();
  let status = 500;
  try {
    const response = await answer(endpoint, request, contexts);
    status = response.status;
    return response;
  } catch (error) {
    // Nothing above throws for what a client may send; whatever it is, the process and the connection live.
    contexts.real.log.error({ path: endpoint.path, error: String(error) }, "admission: no answer could be written");
    return refuse(500, "internal error");
  } finally {
    endpoint.meter.finished(status, (env.monotonicMs() - startedMs) / 1000);
  }
}

async function answer(
  endpoint: Endpoint,
  request: Request,
  contexts: { readonly real: AdmissionContext; readonly dry: AdmissionContext },
): Promise<Response> {
  if (request.method !== "POST") return refuse(405, "want POST");
  if (!isJson(request)) return refuse(400, `content-type ${request.headers.get("content-type")}: want application/json`);
  const body = await readBody(request, bodyLimits.reviewBytesMax);
  if (!body.ok) return refuse(body.status, body.message);
  const review = decodeReview(body.text);
  if (!review.ok) return refuse(400, review.message, review.apiVersion, review.uid);
  const { request: asked, apiVersion } = review;
  const context = asked.dryRun ? contexts.dry : contexts.real;
  const { webhook } = endpoint;
  try {
    if (webhook.active && !webhook.active(context.settings)) return new Response(encodeVerdict(apiVersion, asked.uid, allow), jsonHeaders);
    const verdict = webhook.review(asked, context);
    const settled = verdict instanceof Promise ? await verdict : verdict;
    return new Response(encodeVerdict(apiVersion, asked.uid, settled, asked.object), jsonHeaders);
  } catch (error) {
    context.log.error(
      {
        path: endpoint.path,
        operation: asked.operation,
        namespace: asked.namespace,
        name: asked.name,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      },
      "admission: the review failed",
    );
    const message = `internal error in ${webhook.name}: ${error instanceof Error ? error.message : String(error)}`;
    return new Response(encodeVerdict(apiVersion, asked.uid, deny(500, message)), jsonHeaders);
  }
}

/** The status tells HTTP clients, the body tells the API server, which shows it to the user. */
function refuse(status: number, message: string, apiVersion = "admission.k8s.io/v1", uid = ""): Response {
  const verdict: Verdict = { allowed: false, code: status, message };
  return new Response(encodeVerdict(apiVersion, uid, verdict), {
    status,
    headers: status === 405 ? { "content-type": "application/json", allow: "POST" } : { "content-type": "application/json" },
  });
}

/** "https://host:9876/mutate-pod?timeout=10s" → "/mutate-pod". A URL object costs more than the whole review. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  const end = url.indexOf("?", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}

function isJson(request: Request): boolean {
  const type = request.headers.get("content-type");
  return type === "application/json" || (type !== null && type.split(";", 1)[0]?.trim().toLowerCase() === "application/json");
}

type Body = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly status: 400 | 413; readonly message: string };

async function readBody(request: Request, bytesMax: number): Promise<Body> {
  const tooLarge: Body = { ok: false, status: 413, message: `the body is larger than ${bytesMax} bytes` };
  const length = Number(request.headers.get("content-length") ?? Number.NaN);
  if (length > bytesMax) return tooLarge;
  try {
    if (!Number.isNaN(length)) return { ok: true, text: await request.text() };
    const parts: Uint8Array[] = [];
    let bytes = 0;
    // Sent in pieces, nobody said how long it is.
    for await (const part of request.body ?? []) {
      bytes += part.byteLength;
      if (bytes > bytesMax) return tooLarge;
      parts.push(part);
    }
    return { ok: true, text: Buffer.concat(parts).toString("utf8") };
  } catch (error) {
    return { ok: false, status: 400, message: `the body cannot be read: ${String(error)}` };
  }
}

/** A dry run changes nothing: whatever a review writes becomes a dry run itself. A refusal is told and counted like any other. */
function dryContext(context: AdmissionContext): AdmissionContext {
  const { write } = context;
  const dry = <T extends WriteOptions | DeleteOptions>(options?: T) => ({ ...options, dryRun: true }) as T & { dryRun: true };
  const dryWriter: Writer = {
    create: (kind, object, options) => write.create(kind, object, dry(options)),
    update: (kind, object, options) => write.update(kind, object, dry(options)),
    patch: (ref, type, body, options) => write.patch(ref, type, body, dry(options)),
    apply: (ref, body, fieldManager, options) => write.apply(ref, body, fieldManager, dry(options)),
    delete: (ref, options) => write.delete(ref, dry(options)),
    evict: (ref, options) => write.evict(ref, dry(options)),
  };
  return { ...context, write: dryWriter, nowMs: () => context.nowMs(), random: () => context.random() };
}
