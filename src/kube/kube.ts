/** The Kubernetes side of a process, put together: one transport, one client, one watch cache. */
import type { Env } from "../env/env.ts";
import { type Fetch, httpFetch } from "../env/network.ts";
import type { Reader } from "./access.ts";
import { WatchCache } from "./cache/watch-cache.ts";
import { KubeClient } from "./client.ts";
import type { Credentials } from "./credentials.ts";
import type { RateLimit } from "./flow.ts";
import { type RequestMeter, Transport } from "./transport.ts";

export interface KubeOptions {
  /** "kruise-manager"; controllers get theirs with `client.as("kruise-manager/cloneset-controller")`. */
  readonly userAgent: string;
  /** `--namespace`: the cache sees only this one. */
  readonly namespace?: string;
  readonly rateLimit?: RateLimit;
  readonly inFlightMax?: number;
  readonly meter?: RequestMeter;
  readonly streamingList?: boolean;
  /** The server, when it is not behind the network: tests and the simulator. */
  readonly fetch?: Fetch;
}

export interface Kube {
  readonly transport: Transport;
  /** Reads live; what its writes return shows in the cache at once. */
  readonly client: KubeClient;
  readonly cache: WatchCache;
  /** Reads from the cache, and live through `client`. */
  readonly read: Reader;
}

/** Nothing is sent yet: the cache watches what `cache.ensure` names. Everything ends when `env.stopped` is aborted. */
export function createKube(env: Env, credentials: Credentials, options: KubeOptions): Kube {
  const { userAgent, rateLimit, inFlightMax, meter, namespace, streamingList } = options;
  const transport = Transport.create(env, { fetch: options.fetch ?? httpFetch, credentials, userAgent, rateLimit, inFlightMax, meter });
  // The cache is not held to the user's rate limit: a watch that waits is a view that lags.
  const cache = new WatchCache(env, transport, { namespace, streamingList });
  const client = new KubeClient(transport, { observer: cache });
  return { transport, client, cache, read: cache.reader(client) };
}

/** For a server that asks nobody who he is: tests and the simulator. */
export function anonymousCredentials(server = "http://in-process", namespace = "default"): Credentials {
  const auth = { headers: {} };
  return { server, namespace, context: "", inCluster: false, auth: () => auth, renew: () => {} };
}
