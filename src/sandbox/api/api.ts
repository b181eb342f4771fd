/** The API server's parts, as its verbs need them. */
import type { Env } from "../../env/env.ts";
import type { Key } from "../../kube/kind.ts";
import type { Admission } from "../admission/admission.ts";
import type { Converter } from "../admission/conversion.ts";
import type { Resource } from "../kinds/resource.ts";
import type { Store, Stored } from "../storage/store.ts";
import type { Actor, Verb } from "./call.ts";
import type { Registry } from "./registry.ts";

/** One change of the store, and who made it: for recorders, checkers and progress displays. */
export interface Write {
  readonly atMs: number;
  readonly actor: Actor;
  readonly verb: Verb;
  readonly subresource: string;
  readonly resource: Resource;
  readonly key: Key;
  readonly before: Stored | undefined;
  readonly after: Stored | undefined;
  readonly version: number;
}

export interface Api {
  readonly env: Env;
  readonly store: Store;
  readonly registry: Registry;
  readonly admission: Admission;
  readonly converter: Converter;
  /** Whether metadata.managedFields is kept. */
  readonly fieldManagement: boolean;
  /** "v1.34.0" */
  readonly serverVersion: string;
  /** PEM, for pods; "" where nobody listens. */
  readonly caCertificate: string;
  /** Called after each write. */
  readonly wrote: (write: Write) => void;
  /** Parts of pods that only a node knows. */
  readonly nodes: NodePort;
}

/** What the API server asks of a node's kubelet. */
export interface NodePort {
  /** The container's output as far as there is one. */
  log(pod: Stored, container: string): string;
}
