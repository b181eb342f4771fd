/** The resources served now: Kubernetes' own, and those that CustomResourceDefinitions add. */
import { compareVersions } from "../kinds/custom.ts";
import { type Resource, resourceId, type Version, versionOf } from "../kinds/resource.ts";

export class Registry {
  readonly #builtin: ReadonlyMap<string, Resource>;
  readonly #custom = new Map<string, Resource>();
  readonly #handlers = new Set<() => void>();
  #byPath: Map<string, Resource> | undefined;
  /** Grows with each change: what is made from the resources can be kept until then. */
  generation = 0;

  constructor(builtin: readonly Resource[]) {
    this.#builtin = new Map(builtin.map((resource) => [resourceId(resource.kind), resource]));
  }

  /** By "pods", "clonesets.apps.kruise.io". */
  get(id: string): Resource | undefined {
    return this.#builtin.get(id) ?? this.#custom.get(id);
  }

  find(group: string, version: string, plural: string): { readonly resource: Resource; readonly version: Version } | undefined {
    this.#byPath ??= new Map(this.all().map((resource) => [`${resource.kind.group}/${resource.kind.plural}`, resource]));
    const resource = this.#byPath.get(`${group}/${plural}`);
    const served = resource && versionOf(resource, version);
    return resource === undefined || served === undefined ? undefined : { resource, version: served };
  }

  byKind(group: string, kind: string): Resource | undefined {
    return this.all().find((resource) => resource.kind.group === group && resource.kind.kind === kind);
  }

  all(): readonly Resource[] {
    return [...this.#builtin.values(), ...this.#custom.values()];
  }

  set(resource: Resource): void {
    this.#custom.set(resourceId(resource.kind), resource);
    this.#changed();
  }

  delete(id: string): void {
    if (this.#custom.delete(id)) this.#changed();
  }

  onChange(handler: () => void): void {
    this.#handlers.add(handler);
  }

  /** Groups with their versions, the preferred one first; Kubernetes' own before the others. */
  groups(): ReadonlyMap<string, readonly string[]> {
    const groups = new Map<string, string[]>();
    for (const { kind, versions } of this.all()) {
      const known = groups.get(kind.group) ?? [];
      for (const { name } of versions) if (!known.includes(name)) known.push(name);
      groups.set(kind.group, known.sort(compareVersions));
    }
    return groups;
  }

  #changed(): void {
    this.#byPath = undefined;
    this.generation += 1;
    for (const handler of this.#handlers) handler();
  }
}
