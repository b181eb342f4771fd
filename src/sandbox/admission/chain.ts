/** All of admission, in the API server's order. */
import type { Env } from "../../env/env.ts";
import type { Registry } from "../api/registry.ts";
import type { Store, Stored } from "../storage/store.ts";
import type { Admission, Review } from "./admission.ts";
import { withClaimDefaults } from "./claims.ts";
import type { CallWebhook } from "./conversion.ts";
import { checkLimits, withLimitDefaults } from "./limits.ts";
import { checkNamespace } from "./namespace.ts";
import { withPodDefaults } from "./pods.ts";
import { checkQuota } from "./quota.ts";
import { withAddress } from "./services.ts";
import { mutatingWebhooks, validatingWebhooks } from "./webhooks.ts";

export interface ChainParts {
  readonly env: Env;
  readonly store: Store;
  readonly registry: Registry;
  readonly callWebhook: CallWebhook;
}

export function admissionChain(parts: ChainParts): Admission {
  return {
    async mutate(review) {
      checkNamespace(parts.store, review);
      const object = review.object === undefined ? undefined : builtinMutation(parts, review, review.object);
      return mutatingWebhooks(parts, object === review.object ? review : { ...review, object });
    },
    async validate(review) {
      checkLimits(parts.store, review);
      await validatingWebhooks(parts, review);
      // Last, so that nothing is counted that somebody else refuses.
      checkQuota(parts.store, review);
    },
  };
}

function builtinMutation(parts: ChainParts, review: Review, object: Stored): Stored {
  if (review.subresource !== "" || review.operation !== "CREATE") return object;
  if (review.resource.storage === "pods") return withPodDefaults(parts, review, withLimitDefaults(parts.store, review, object));
  if (review.resource.storage === "services") return withAddress(parts.store, object);
  if (review.resource.storage === "persistentvolumeclaims") return withClaimDefaults(parts.store, object);
  return object;
}
