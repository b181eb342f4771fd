/** One Event, two shapes: that of the core group, in which it is stored, and that of events.k8s.io. */
import { withFields } from "../../kube/json.ts";
import type { Stored } from "../storage/store.ts";

/** Core's name on the left. */
const renamed = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
  ["reportingComponent", "reportingController"],
] as const;

export function eventFromCore(object: Stored): Stored {
  const changes: Record<string, unknown> = { apiVersion: "events.k8s.io/v1" };
  for (const [core, other] of renamed) {
    changes[other] = object[core];
    changes[core] = undefined;
  }
  return withFields(object, changes) as Stored;
}

export function eventToCore(object: Stored): Stored {
  const changes: Record<string, unknown> = { apiVersion: "v1" };
  for (const [core, other] of renamed) {
    changes[core] = object[other];
    changes[other] = undefined;
  }
  return withFields(object, changes) as Stored;
}
