/** Everything that is answered on the webhook port, for the generated configurations. */
import { podWebhooks } from "../admission/pod.ts";
import type { Webhook } from "../admission/webhook.ts";
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
