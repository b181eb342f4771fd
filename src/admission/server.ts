/**
 * The webhook port: TLS from certificates that may change while requests are under way. Bun cannot swap the certificate of a listener,
 * so a change means a second listener on the same port: new connections go to it, the old one tells its clients to come back on a new
 * connection, and closes when they have.
 */
import type { Cancel, Env } from "../env/env.ts";
import type { Steer } from "../env/steering.ts";
import type { Handler } from "./handler.ts";

/** What is needed of `Bun.serve`. Throws when the port is taken. */
export type Serve = (options: ServeOptions) => Listening;
export interface ServeOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  readonly reusePort?: boolean;
  /** Seconds without a byte. */
  readonly idleTimeout?: number;
  readonly maxRequestBodySize?: number;
  readonly development?: boolean;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly fetch: Handler;
}
export interface Listening {
  readonly port?: number;
  /** Ends listening; requests under way are answered first, unless `closeActive`. */
  stop(closeActive?: boolean): Promise<void> | void;
}

export interface AdmissionServerOptions {
  readonly env: Env;
  readonly serve: Serve;
  /** Absent: the kernel deals new connections to both listeners while the old one drains. */
  readonly steer?: Steer;
  readonly port: number;
  readonly handler: Handler;
  readonly bodyBytesMax: number;
  /** Default `drainMs`. */
  readonly drainMs?: number;
}

export interface AdmissionServer {
  /** The port in use; undefined until the first `use`. */
  readonly port: number | undefined;
  /**
   * Answers with this certificate from now on. The first call starts to listen.
   * @param identity PEM
   * @throws when the port is taken, or the pair is not one
   */
  use(identity: { readonly certificate: string; readonly key: string }): void;
  /** Resolves when everything under way has been answered. */
  stop(): Promise<void>;
}

/** API servers keep an idle connection for 90 s, so by then each has been used and given up, or closed by its owner. */
const drainMs = 100_000;
/** Seconds. Longer than the API server's, so that it is never the server that closes a connection somebody is about to use. */
const idleTimeout = 120;

interface Listener {
  readonly listening: Listening;
  draining: boolean;
  drained?: Cancel;
}

export function createAdmissionServer(options: AdmissionServerOptions): AdmissionServer {
  const { env, handler } = options;
  /** As the kernel counts them: in the order of their making, the last one filling the gap of one that closed. */
  const listeners: Listener[] = [];
  let current: { readonly listener: Listener; readonly certificate: string; readonly key: string } | undefined;
  let port: number | undefined;
  let hostname = "::";

  const open = (identity: { certificate: string; key: string }, on: number): Listener => {
    const listener: { draining: boolean } = { draining: false };
    const serveOn = (address: string) =>
      options.serve({
        hostname: address,
        port: on,
        reusePort: true,
        idleTimeout,
        maxRequestBodySize: options.bodyBytesMax,
        development: false,
        tls: { cert: identity.certificate, key: identity.key },
        fetch: (request) => (listener.draining ? farewell(handler(request)) : handler(request)),
      });
    let listening: Listening;
    try {
      listening = serveOn(hostname);
    } catch (error) {
      if (hostname !== "::" || codeOf(error) === "EADDRINUSE") throw error;
      // No IPv6 on this machine.
      listening = serveOn("0.0.0.0");
      hostname = "0.0.0.0";
    }
    return Object.assign(listener, { listening });
  };

  const steerToNewest = () => {
    const index = current ? listeners.indexOf(current.listener) : -1;
    if (index < 0 || port === undefined || !options.steer) return;
    if (!options.steer(port, index))
      env.log.debug({ port }, "webhook server: the kernel deals connections to both listeners while one drains");
  };

  const close = (listener: Listener, closeActive: boolean): Promise<void> | void => {
    listener.drained?.();
    const index = listeners.indexOf(listener);
    const last = listeners.pop();
    if (last && last !== listener) listeners[index] = last;
    const closed = listener.listening.stop(closeActive);
    steerToNewest();
    return closed;
  };

  return {
    get port() {
      return port;
    },
    use(identity) {
      if (current && current.certificate === identity.certificate && current.key === identity.key) return;
      if (!current && options.port !== 0) assertFree(options.serve, options.port, handler);
      const listener = open(identity, port ?? options.port);
      const previous = current?.listener;
      listeners.push(listener);
      current = { listener, ...identity };
      port = listener.listening.port ?? options.port;
      if (!previous) {
        env.log.info({ port, hostname }, "webhook server: listening");
        return;
      }
      steerToNewest();
      previous.draining = true;
      previous.drained = env.after(options.drainMs ?? drainMs, () => void close(previous, false));
      env.log.info({ port }, "webhook server: new certificate in use");
    },
    async stop() {
      for (const listener of listeners) listener.draining = true;
      current = undefined;
      await Promise.all([...listeners].map((listener) => close(listener, false)));
    },
  };
}

/** With SO_REUSEPORT a second process would silently share the port. Whoever is there already is found by listening without it. */
function assertFree(serve: Serve, port: number, handler: Handler): void {
  for (const hostname of ["::", "0.0.0.0"]) {
    try {
      // Said, because without `development` Bun shares the port unasked.
      serve({ hostname, port, reusePort: false, development: false, fetch: handler }).stop(true);
      return;
    } catch (error) {
      if (codeOf(error) === "EADDRINUSE") throw new Error(`port ${port} is in use: set WEBHOOK_PORT to a free one`, { cause: error });
    }
  }
}

/** The connection ends with this answer; the next request comes on a new one, which meets the new certificate. */
async function farewell(response: Response | Promise<Response>): Promise<Response> {
  const settled = await response;
  settled.headers.set("connection", "close");
  return settled;
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code ?? "");
}
