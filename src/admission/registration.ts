/**
 * Webhooks of our own kinds, registered by their definition: names of paths and rules follow from it, and whatever version a request
 * comes in, the review sees the storage version.
 */
import type { KindDefinition } from "../api/definition.ts";
import type { KubeObject } from "../kube/types.ts";
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Operation, type Verdict, type Webhook } from "./webhook.ts";

export interface Mutating<T extends KubeObject> {
  /** "mcloneset.kb.io". */
  readonly name: string;
  readonly definition: KindDefinition<T>;
  /** Default: CREATE and UPDATE. */
  readonly operations?: readonly Operation[];
  readonly failurePolicy?: Webhook["failurePolicy"];
  /** Where the installed name differs from the rule "/mutate-apps-kruise-io-cloneset". */
  readonly path?: string;
  /** The object as it should be (same reference: unchanged), or a refusal. */
  fill(object: Readonly<T>, request: AdmissionRequest<T>, context: AdmissionContext): T | Verdict | Promise<T | Verdict>;
}

export interface Validating<T extends KubeObject> {
  /** "vcloneset.kb.io". */
  readonly name: string;
  readonly definition: KindDefinition<T>;
  /** Default: CREATE and UPDATE. */
  readonly operations?: readonly Operation[];
  readonly failurePolicy?: Webhook["failurePolicy"];
  /** Where the installed name differs from the rule "/validate-apps-kruise-io-cloneset". */
  readonly path?: string;
  /** `request.object` is there on CREATE and UPDATE, `request.oldObject` on UPDATE and DELETE. */
  validate(request: AdmissionRequest<T>, context: AdmissionContext): Verdict | Promise<Verdict>;
}

const written: readonly Operation[] = ["CREATE", "UPDATE"];

/** @returns a webhook whose patch leads from the object in the version it came in */
export function mutating<T extends KubeObject>(spec: Mutating<T>): Webhook {
  const { definition } = spec;
  return {
    ...entry(spec, "mutating"),
    review(request, context) {
      const decoded = inStorageVersion(definition, request);
      if (!decoded.ok) return decoded.refusal;
      const { object } = decoded.request;
      if (!object) return allow;
      const settle = (result: T | Verdict): Verdict => {
        if (!isObject(result)) return result;
        return result === object ? allow : { allowed: true, object: decoded.back(result) };
      };
      const result = spec.fill(object, decoded.request, context);
      return result instanceof Promise ? result.then(settle) : settle(result);
    },
  };
}

export function validating<T extends KubeObject>(spec: Validating<T>): Webhook {
  return {
    ...entry(spec, "validating"),
    review(request, context) {
      const decoded = inStorageVersion(spec.definition, request);
      return decoded.ok ? spec.validate(decoded.request, context) : decoded.refusal;
    },
  };
}

function entry<T extends KubeObject>(
  { name, definition, operations = written, failurePolicy, path }: Omit<Validating<T>, "validate">,
  type: Webhook["type"],
): Omit<Webhook, "review"> {
  const { group, plural } = definition.kind;
  const verb = type === "mutating" ? "mutate" : "validate";
  // Installed configurations spell the paths with the version or without; both are served.
  const spellings = ["", "v1alpha1-"].map((version) => `/${verb}-${group.replaceAll(".", "-")}-${version}${definition.singular}`);
  const main = path ?? (spellings[0] as string);
  const aliases = spellings.filter((spelling) => spelling !== main);
  const versions = definition.versions.filter(({ served }) => served).map((version) => version.name);
  return { name, type, path: main, aliases, rules: [{ operations, group, versions, resources: [plural] }], failurePolicy };
}

type InStorageVersion<T> =
  | { readonly ok: true; readonly request: AdmissionRequest<T>; back(object: T): KubeObject }
  | { readonly ok: false; readonly refusal: Verdict };

function inStorageVersion<T extends KubeObject>(definition: KindDefinition<T>, request: AdmissionRequest): InStorageVersion<T> {
  const { version } = request.resource;
  const conversion = version === definition.kind.version ? undefined : definition.conversion?.[version];
  if (!conversion) return { ok: true, request: request as AdmissionRequest<T>, back: (object) => object };
  try {
    const stored = (object: KubeObject | undefined) => object && (conversion.toStorage(object) as T);
    return {
      ok: true,
      request: { ...request, object: stored(request.object), oldObject: stored(request.oldObject) },
      back: (object) => conversion.fromStorage(object),
    };
  } catch (error) {
    return { ok: false, refusal: deny(400, `${definition.kind.kind} in version ${version} cannot be read: ${(error as Error).message}`) };
  }
}

function isObject<T extends KubeObject>(result: T | Verdict): result is T {
  return typeof (result as Partial<T>).metadata === "object";
}
