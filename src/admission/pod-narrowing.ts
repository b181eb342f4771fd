/** What the pod webhooks' entries are narrowed by, and the wrapping of the webhooks whose objects bring pods to them. */
import type { KindDefinition } from "../api/definition.ts";
import type { Settings } from "../api/settings.ts";
import { type Kind, resourceName } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import {
  mutatingConfigurationName,
  mutatingConfigurations,
  validatingConfigurationName,
  validatingConfigurations,
} from "./configuration.ts";
import type { PodSource } from "./narrow-scope.ts";
import type { NarrowedEntry } from "./narrow-state.ts";
import type { NarrowedConfiguration, Narrowing } from "./narrowing.ts";
import type { PodWebhookParts } from "./pod.ts";
import { type AdmissionRequest, deny, type PodGuard, type PodMutation, type Webhook } from "./webhook.ts";

export interface PodNarrowing {
  readonly configurations: readonly NarrowedConfiguration[];
  readonly sources: readonly PodSource[];
}

export function podNarrowing({ mutations, guards }: Pick<PodWebhookParts, "mutations" | "guards">, settings: Settings): PodNarrowing {
  const steps = mutations.filter(({ gate }) => gate === undefined || settings.gates.enabled(gate));
  // A kind that is not served now may be in a moment.
  const asked = guards.filter(({ active }) => active({ ...settings, serves: () => true }));
  const evictions = asked.filter(({ operations }) => operations.includes("evict"));
  const others = asked.filter(({ operations }) => operations.some((operation) => operation !== "evict"));
  return {
    configurations: [
      {
        of: mutatingConfigurations,
        name: mutatingConfigurationName,
        entries: [{ ...entryOf("mpod.kb.io", steps, (step) => step.concerns?.(settings)), seesPod: true }],
      },
      {
        of: validatingConfigurations,
        name: validatingConfigurationName,
        entries: [
          { name: "vpod.kb.io", always: others.map(({ concerns }) => concerns ?? "true"), sources: [], seesPod: true },
          { ...entryOf("vpodeviction.kb.io", evictions, () => undefined), seesPod: false },
        ],
      },
    ],
    sources: uniqueSources([...steps, ...evictions]),
  };
}

/** A part that says nothing of what concerns it is asked about every pod. */
function entryOf<T extends PodMutation | PodGuard>(
  name: string,
  parts: readonly T[],
  always: (part: T) => string | undefined,
): Omit<NarrowedEntry, "seesPod"> {
  const expressions = parts.flatMap((part) => always(part) ?? (part.source === undefined ? ["true"] : []));
  return { name, always: expressions, sources: uniqueSources(parts).map(({ of }) => resourceName(of)) };
}

function uniqueSources(parts: readonly { readonly source?: PodSource }[]): readonly PodSource[] {
  return [...new Map(parts.flatMap(({ source }) => (source === undefined ? [] : [[resourceName(source.of), source] as const]))).values()];
}

/** The webhook that has the last word on a source's objects announces those that it lets through. */
export function announcing(
  webhook: Webhook,
  sources: readonly PodSource[],
  kinds: readonly KindDefinition[],
  narrowing: Pick<Narrowing, "announce">,
): Webhook {
  const source = sources.find(({ of }) =>
    webhook.rules.some(({ group, resources }) => group === of.group && resources.includes(of.plural)),
  );
  if (webhook.type !== "validating" || source === undefined) return webhook;
  const definition = kinds.find(({ kind }) => kind.group === source.of.group && kind.plural === source.of.plural);
  return {
    ...webhook,
    review: async (request, context) => {
      const verdict = await webhook.review(request, context);
      const { operation, object, oldObject } = request;
      if (!verdict.allowed || request.dryRun || object === undefined || (operation !== "CREATE" && operation !== "UPDATE")) return verdict;
      const stored = (each: Readonly<KubeObject>) => inStorageVersion(each, request, source.of, definition);
      const problem = await narrowing.announce(
        source.of,
        stored(object),
        operation === "UPDATE" && oldObject !== undefined ? stored(oldObject) : undefined,
      );
      if (problem === undefined) return verdict;
      return deny(503, `the API server could not be told to ask about the pods of this ${source.of.kind} (${problem}): try again`);
    },
  };
}

function inStorageVersion(
  object: Readonly<KubeObject>,
  { resource, namespace }: AdmissionRequest,
  of: Kind,
  definition: KindDefinition | undefined,
): Readonly<KubeObject> {
  const conversion = resource.version === of.version ? undefined : definition?.conversion?.[resource.version];
  const stored = conversion === undefined ? object : conversion.toStorage(object as KubeObject);
  return stored.metadata.namespace || namespace === "" ? stored : { ...stored, metadata: { ...stored.metadata, namespace } };
}
