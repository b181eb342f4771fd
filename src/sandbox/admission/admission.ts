/** The questions asked before a write is carried out: what the server itself adds or refuses, then the webhooks. */
import type { Fields } from "../../kube/json.ts";
import type { Actor } from "../api/call.ts";
import type { Resource, Version } from "../kinds/resource.ts";
import type { Stored } from "../storage/store.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT";

export interface Review {
  readonly operation: Operation;
  readonly actor: Actor;
  readonly resource: Resource;
  readonly version: Version;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Absent for deletions. For subresources with a body of their own (eviction, binding, scale) that body. */
  readonly object: Stored | undefined;
  readonly oldObject: Stored | undefined;
  readonly options: Fields;
  readonly dryRun: boolean;
  readonly warnings: string[];
}

export interface Admission {
  /** @returns the object with what was added @throws Refusal */
  mutate(review: Review): Promise<Stored | undefined>;
  /** @throws Refusal */
  validate(review: Review): Promise<void>;
}
