/** Garbage collection: dependents go with their owners, before them, or stay behind, as the deletion of the owner said. */
import { withFields } from "../../kube/json.ts";
import type { Key } from "../../kube/kind.ts";
import type { OwnerReference } from "../../kube/types.ts";
import type { Change, Store, Stored } from "../storage/store.ts";
import type { Inside } from "./inside.ts";
import { retryOf } from "./worker.ts";

const foreground = "foregroundDeletion";
const orphan = "orphan";

/** Which objects name which owner, kept from the changes of the store. */
export class Owners {
  readonly #dependents = new Map<string, Map<string, { readonly resource: string; readonly uid: string }>>();

  constructor(private readonly store: Store) {
    for (const resource of store.resources()) for (const object of store.list(resource)) this.#file(resource, undefined, object);
  }

  changed({ resource, before, after }: Change): void {
    this.#file(resource, before, after);
  }

  dependentsOf(uid: string): readonly { readonly resource: string; readonly object: Stored }[] {
    return [...(this.#dependents.get(uid)?.values() ?? [])].flatMap((entry) => this.store.byUid(entry.uid) ?? []);
  }

  #file(resource: string, before: Stored | undefined, after: Stored | undefined): void {
    const references = after?.metadata.ownerReferences;
    if (before !== undefined && after !== undefined && before.metadata.ownerReferences === references) return;
    for (const { uid } of before?.metadata.ownerReferences ?? []) this.#dependents.get(uid)?.delete(before?.metadata.uid ?? "");
    for (const { uid } of references ?? []) {
      const known = this.#dependents.get(uid) ?? new Map();
      this.#dependents.set(uid, known.set(after?.metadata.uid ?? "", { resource, uid: after?.metadata.uid ?? "" }));
    }
  }
}

/** Keys are uids: of owners that go or are gone, and of dependents. */
export class GarbageCollector {
  readonly name = "generic-garbage-collector";
  readonly watches = {};
  readonly #owners: Owners;

  constructor(
    private readonly inside: Inside,
    private readonly store: Store,
  ) {
    this.#owners = new Owners(store);
  }

  /** @returns the keys that a change wakes */
  seen(change: Change): readonly Key[] {
    this.#owners.changed(change);
    const { before, after } = change;
    const uid = (after ?? before)?.metadata.uid ?? "";
    const keys: Key[] = [];
    if (after === undefined) {
      // Those it left behind, and those that waited for it to go.
      keys.push(...this.#owners.dependentsOf(uid).map(({ object }) => uidKey(object.metadata.uid)));
      keys.push(...(before?.metadata.ownerReferences ?? []).map((reference) => uidKey(reference.uid)));
    } else {
      if (after.metadata.deletionTimestamp !== undefined) keys.push(uidKey(uid));
      const references = after.metadata.ownerReferences ?? [];
      if (references.length > 0 && references !== before?.metadata.ownerReferences) keys.push(uidKey(uid));
    }
    return keys;
  }

  async reconcile({ name: uid }: Key): Promise<number | "again" | undefined> {
    const found = this.store.byUid(uid);
    if (found === undefined) return undefined;
    const { resource, object } = found;
    const { deletionTimestamp, finalizers = [] } = object.metadata;
    if (deletionTimestamp !== undefined && finalizers.includes(orphan)) return this.#orphan(resource, object);
    if (deletionTimestamp !== undefined && finalizers.includes(foreground)) return this.#foreground(resource, object);
    if (deletionTimestamp !== undefined) return undefined;
    return this.#attemptToDelete(resource, object);
  }

  async #attemptToDelete(resource: string, object: Stored): Promise<"again" | undefined> {
    const references = object.metadata.ownerReferences ?? [];
    if (references.length === 0) return undefined;
    const dangling = references.filter((reference) => !this.#exists(reference, object));
    const waiting = references.filter((reference) => this.#waitsForDependents(reference));
    const solid = references.filter((reference) => !dangling.includes(reference) && !waiting.includes(reference));
    if (dangling.length === 0 && waiting.length === 0) return undefined;
    if (solid.length > 0) {
      const kept = new Set(solid.map(({ uid }) => uid));
      return retryOf(await this.#rewrite(resource, object, (reference) => (kept.has(reference.uid) ? reference : undefined)));
    }
    const policy = waiting.length > 0 && this.#owners.dependentsOf(object.metadata.uid).length > 0 ? "Foreground" : "Background";
    return retryOf(await this.inside.remove(resource, object, { propagationPolicy: ownPolicy(object) ?? policy }));
  }

  /** An owner of another namespace, or of another uid under the same name, is none. */
  #exists(reference: OwnerReference, dependent: Stored): boolean {
    const found = this.store.byUid(reference.uid);
    if (found === undefined) return false;
    const { namespace } = found.object.metadata;
    return namespace === undefined || namespace === dependent.metadata.namespace;
  }

  #waitsForDependents(reference: OwnerReference): boolean {
    const owner = this.store.byUid(reference.uid)?.object;
    return owner?.metadata.deletionTimestamp !== undefined && (owner.metadata.finalizers ?? []).includes(foreground);
  }

  async #orphan(resource: string, owner: Stored): Promise<"again" | undefined> {
    const { uid } = owner.metadata;
    const outcomes = [];
    for (const { resource: of, object } of this.#owners.dependentsOf(uid))
      outcomes.push(await this.#rewrite(of, object, (reference) => (reference.uid === uid ? undefined : reference)));
    return retryOf(...outcomes) ?? retryOf(await this.#dropFinalizer(resource, owner, orphan));
  }

  async #foreground(resource: string, owner: Stored): Promise<number | "again" | undefined> {
    const { uid } = owner.metadata;
    const dependents = this.#owners.dependentsOf(uid);
    for (const { resource: of, object } of dependents)
      if (object.metadata.deletionTimestamp === undefined) await this.#attemptToDelete(of, object);
    const blocking = this.#owners
      .dependentsOf(uid)
      .filter(({ object }) =>
        object.metadata.ownerReferences?.some((reference) => reference.uid === uid && reference.blockOwnerDeletion === true),
      );
    // The last of them wakes the owner when it goes.
    if (blocking.length > 0) return undefined;
    return retryOf(await this.#dropFinalizer(resource, owner, foreground));
  }

  #dropFinalizer(resource: string, object: Stored, finalizer: string) {
    return this.inside.update(resource, keyOf(object), (current) => {
      const kept = (current.metadata.finalizers ?? []).filter((other) => other !== finalizer);
      return withFields(current, {
        metadata: withFields(current.metadata, { finalizers: kept.length === 0 ? undefined : kept }),
      }) as Stored;
    });
  }

  #rewrite(resource: string, object: Stored, change: (reference: OwnerReference) => OwnerReference | undefined) {
    return this.inside.update(resource, keyOf(object), (current) => {
      const references = (current.metadata.ownerReferences ?? []).flatMap((reference) => change(reference) ?? []);
      return withFields(current, {
        metadata: withFields(current.metadata, { ownerReferences: references.length === 0 ? undefined : references }),
      }) as Stored;
    });
  }
}

const uidKey = (uid: string): Key => ({ namespace: "", name: uid });
const keyOf = ({ metadata }: Stored): Key => ({ namespace: metadata.namespace ?? "", name: metadata.name });

/** A dependent that was told how to go keeps to it. */
function ownPolicy(object: Stored): string | undefined {
  const finalizers = object.metadata.finalizers ?? [];
  if (finalizers.includes(orphan)) return "Orphan";
  return finalizers.includes(foreground) ? "Foreground" : undefined;
}
