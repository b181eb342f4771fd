/** Runs a container's preStop hook, as the kubelet would. */
import { type Env, sleep } from "../../env/env.ts";
import type { Fetch } from "../../env/network.ts";
import type { ContainerPort, Handler, HTTPGetAction } from "../../kube/types.ts";
import type { RuntimeService } from "../cri/client.ts";

export interface HookOrder {
  readonly handler: Handler;
  readonly runtime: RuntimeService;
  /** As the runtime calls it. */
  readonly runtimeId: string;
  /** To resolve ports by name. */
  readonly ports: readonly ContainerPort[];
  /** Where an HTTP hook goes that names no host. */
  readonly podIP: string | undefined;
}

export interface HookResult {
  /** Why it failed; undefined: it went well. */
  readonly problem?: string;
  /** A server that was to be asked over HTTPS speaks HTTP only, and was asked so. */
  readonly fellBack?: true;
}

/** Bytes of output shown in a problem. */
const shownMax = 200;

/** Never longer than `limitMs`: then it is ended, and that is its problem. */
export async function runHook(env: Env, fetch: Fetch, order: HookOrder, limitMs: number): Promise<HookResult> {
  const over = new AbortController();
  let isLate = false;
  const cancel = env.after(limitMs, () => {
    isLate = true;
    over.abort();
  });
  const stop = () => over.abort();
  env.stopped.addEventListener("abort", stop, { once: true });
  try {
    const result = await runHandler(env, fetch, order, over.signal);
    if (!isLate) return result;
    // A sleep that is cut off by the grace period has done what it is for.
    return order.handler.sleep === undefined ? { ...result, problem: `did not end within ${limitMs / 1000} s` } : result;
  } finally {
    cancel();
    env.stopped.removeEventListener("abort", stop);
  }
}

async function runHandler(env: Env, fetch: Fetch, order: HookOrder, signal: AbortSignal): Promise<HookResult> {
  const { handler, runtime, runtimeId } = order;
  if (handler.exec) {
    const called = await runtime.execSync(runtimeId, handler.exec.command ?? [], 0, { signal });
    if (!called.ok) return { problem: called.message };
    const { exitCode, stdout, stderr } = called.value;
    if (exitCode === 0) return {};
    const output = new TextDecoder().decode(stderr.length > 0 ? stderr : stdout).trim();
    return { problem: `exited with ${exitCode}${output === "" ? "" : `: ${output.slice(0, shownMax)}`}` };
  }
  if (handler.httpGet) return runHttp(fetch, handler.httpGet, order, signal);
  if (handler.sleep) {
    await sleep(env, handler.sleep.seconds * 1000, signal);
    return {};
  }
  return { problem: "the hook is of no kind that can be run (exec, httpGet and sleep can)" };
}

async function runHttp(fetch: Fetch, action: HTTPGetAction, order: HookOrder, signal: AbortSignal): Promise<HookResult> {
  const url = hookUrl(action, order);
  if ("problem" in url) return url;
  const headers = hookHeaders(action);
  const send = async (scheme: string, sent: Readonly<Record<string, string>>) => {
    const answer = await fetch(`${scheme}://${url.rest}`, { method: "GET", headers: sent, tls: { rejectUnauthorized: false }, signal });
    // Whatever it says: the hook has been told.
    await answer.text();
  };
  try {
    await send(url.scheme, headers);
    return {};
  } catch (error) {
    if (url.scheme !== "https" || !speaksPlainHttp(error)) return { problem: messageOf(error) };
  }
  try {
    // The secret in it is not for a connection that anybody can read.
    const open = Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"));
    await send("http", open);
    return { fellBack: true };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

/** Where the request goes, or why that cannot be said. */
export function hookUrl(
  action: HTTPGetAction,
  { ports, podIP }: Pick<HookOrder, "ports" | "podIP">,
): { readonly scheme: "http" | "https"; readonly rest: string } | { readonly problem: string } {
  const host = action.host || podIP;
  if (!host) return { problem: "the hook names no host, and the pod's IP is not known" };
  const port = portOf(action.port, ports);
  if (port === undefined) return { problem: `the container has no port "${action.port}"` };
  const path = action.path ?? "/";
  return {
    scheme: action.scheme?.toUpperCase() === "HTTPS" ? "https" : "http",
    rest: `${host.includes(":") ? `[${host}]` : host}:${port}${path.startsWith("/") ? path : `/${path}`}`,
  };
}

function portOf(port: number | string, ports: readonly ContainerPort[]): number | undefined {
  const number =
    typeof port === "number" ? port : /^\d+$/.test(port) ? Number(port) : ports.find(({ name }) => name === port)?.containerPort;
  return number !== undefined && number > 0 && number < 65_536 ? number : undefined;
}

function hookHeaders({ httpHeaders }: HTTPGetAction): Record<string, string> {
  const headers: Record<string, string> = { "user-agent": "kube-lifecycle/kruise", accept: "*/*" };
  const given = new Set<string>();
  for (const { name, value } of httpHeaders ?? []) {
    const key = name.toLowerCase();
    headers[key] = given.has(key) ? `${headers[key]}, ${value}` : value;
    given.add(key);
  }
  return headers;
}

function speaksPlainHttp(error: unknown): boolean {
  return (error as { code?: string }).code === "EPROTO";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
