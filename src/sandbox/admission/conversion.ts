/** Between the version in which an object is stored and the one in which it is asked for. */
import { fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { internalError } from "../api/refusal.ts";
import { type Resource, type Version, versionOf } from "../kinds/resource.ts";
import { pruneCustom } from "../schema/decode.ts";
import { withSchemaDefaults } from "../schema/structural.ts";
import type { Stored } from "../storage/store.ts";

/** Sends a review to a webhook. @returns the answer's body @throws Error when there is none */
export type CallWebhook = (config: unknown, review: unknown, timeoutMs: number) => Promise<unknown>;

const conversionTimeoutMs = 30_000;

export class Converter {
  /** What was converted once need not be again: objects in the store never change. */
  readonly #cache = new WeakMap<Stored, Map<string, Stored>>();

  constructor(
    private readonly callWebhook: CallWebhook,
    private readonly uuid: () => string,
  ) {}

  /** As the clients of `version` see it: at once where nobody has to be asked. */
  show(resource: Resource, version: Version, stored: Stored): Stored | Promise<Stored> {
    if (resource.custom === undefined) return version.fromStorage === undefined ? stored : version.fromStorage(stored);
    const wanted = `${resource.kind.group}/${version.name}`;
    const known = this.#cache.get(stored)?.get(wanted);
    if (known !== undefined) return known;
    if (stored.apiVersion === wanted) return this.#keep(stored, wanted, defaulted(version, stored));
    return this.#convert(resource, wanted, [stored]).then(([converted = stored]) =>
      this.#keep(stored, wanted, defaulted(version, converted)),
    );
  }

  async showAll(resource: Resource, version: Version, stored: readonly Stored[]): Promise<readonly Stored[]> {
    const wanted = `${resource.kind.group}/${version.name}`;
    const missing =
      resource.custom === undefined
        ? []
        : stored.filter((object) => object.apiVersion !== wanted && this.#cache.get(object)?.get(wanted) === undefined);
    if (missing.length > 0) {
      const converted = await this.#convert(resource, wanted, missing);
      for (const [index, object] of missing.entries()) this.#keep(object, wanted, defaulted(version, converted[index] as Stored));
    }
    return Promise.all(stored.map((object) => this.show(resource, version, object)));
  }

  /** The shape that is stored. */
  store(resource: Resource, version: Version, object: Stored): Stored | Promise<Stored> {
    if (resource.custom === undefined) return version.toStorage === undefined ? object : version.toStorage(object);
    const wanted = `${resource.kind.group}/${resource.kind.version}`;
    if (object.apiVersion === wanted) return object;
    const storage = versionOf(resource, resource.kind.version) ?? version;
    return this.#convert(resource, wanted, [object]).then(([converted = object]) => {
      const pruned = pruneCustom(storage.schema, converted).value as Stored;
      return withSchemaDefaults(storage.schema, pruned) as Stored;
    });
  }

  #keep(stored: Stored, wanted: string, shown: Stored): Stored {
    const versions = this.#cache.get(stored) ?? new Map<string, Stored>();
    this.#cache.set(stored, versions.set(wanted, shown));
    return shown;
  }

  async #convert(resource: Resource, desired: string, objects: readonly Stored[]): Promise<readonly Stored[]> {
    const conversion = resource.custom?.conversion;
    if (conversion === undefined) return objects.map((object) => withFields(object, { apiVersion: desired }) as Stored);
    const webhook = fieldsOf(conversion["webhook"]);
    const versions = itemsOf(webhook["conversionReviewVersions"]).map(textOf);
    const review = {
      apiVersion: `apiextensions.k8s.io/${versions.includes("v1") ? "v1" : (versions[0] ?? "v1")}`,
      kind: "ConversionReview",
      request: { uid: this.uuid(), desiredAPIVersion: desired, objects },
    };
    const failed = (why: string) =>
      internalError(`conversion webhook for ${objects[0]?.apiVersion}, Kind=${resource.kind.kind} failed: ${why}`);
    let answer: unknown;
    try {
      answer = await this.callWebhook(webhook["clientConfig"], review, conversionTimeoutMs);
    } catch (error) {
      throw failed((error as Error).message);
    }
    const response = fieldsOf(fieldsOf(answer)["response"]);
    const result = fieldsOf(response["result"]);
    if (result["status"] !== "Success") throw failed(textOf(result["message"]));
    const converted = itemsOf(response["convertedObjects"]) as readonly Stored[];
    if (converted.length !== objects.length) throw failed(`returned ${converted.length} objects, expected ${objects.length}`);
    // Metadata but for labels and annotations is the server's own.
    return converted.map((object, index) => {
      const { labels, annotations } = fieldsOf(object.metadata);
      return withFields(object, { metadata: withFields((objects[index] as Stored).metadata, { labels, annotations }) }) as Stored;
    });
  }
}

function defaulted(version: Version, object: Stored): Stored {
  return withSchemaDefaults(version.schema, object) as Stored;
}
