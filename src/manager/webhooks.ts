/** Everything that is answered on the webhook port, gathered from the features. */
import { podWebhooks } from "../admission/pod.ts";
import type { Webhook } from "../admission/webhook.ts";
import type { Settings } from "../api/settings.ts";
import type { Feature } from "../features/feature.ts";

/** All webhooks, active or not: the generated configurations list them all. */
export function allWebhooks(features: readonly Feature[], installNamespace: string): readonly Webhook[] {
  const pods = podWebhooks({
    mutations: features.flatMap((feature) => feature.podMutations ?? []),
    guards: features.flatMap((feature) => feature.podGuards ?? []),
    installNamespace,
  });
  return [...pods, ...features.flatMap((feature) => feature.webhooks ?? [])];
}

/** Paths and aliases that have a handler now; entries of the configurations with other paths are left out. */
export function handledPaths(webhooks: readonly Webhook[], settings: Settings): ReadonlySet<string> {
  const active = webhooks.filter((webhook) => webhook.active?.(settings) ?? true);
  return new Set(active.flatMap(({ path, aliases = [] }) => [path, ...aliases]));
}
