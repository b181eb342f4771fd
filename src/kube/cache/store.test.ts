import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Index } from "../kind.ts";
import { pods } from "../kinds.ts";
import type { KubeObject, Pod } from "../types.ts";
import { share } from "./share.ts";
import { Store, versionOf } from "./store.ts";

/** What the server did, in order: each entry is one version. */
interface Happened {
  readonly type: "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

const labelIndex: Index<KubeObject> = { name: "label", of: pods as never, keys: ({ metadata }) => Object.values(metadata.labels ?? {}) };

/** A history of three names: each command creates or changes the object of that name, or deletes it. */
function historyOf(commands: readonly { name: number; remove: boolean; label: number }[]): Happened[] {
  const alive = new Map<string, KubeObject>();
  let uid = 0;
  return commands.flatMap(({ name, remove, label }, index): Happened[] => {
    const id = `pod-${name}`;
    const before = alive.get(id);
    const resourceVersion = String(index + 1);
    if (remove) {
      if (!before) return [];
      alive.delete(id);
      return [{ type: "DELETED", object: { ...before, metadata: { ...before.metadata, resourceVersion } } }];
    }
    uid += before ? 0 : 1;
    const metadata = {
      name: id,
      namespace: "n",
      uid: before?.metadata.uid ?? `uid-${uid}`,
      resourceVersion,
      creationTimestamp: "",
      labels: { l: `v${label}` },
    };
    const object = { metadata };
    alive.set(id, object);
    return [{ type: "MODIFIED", object }];
  });
}

/** The world right after version `version`. */
function worldAt(history: readonly Happened[], version: number): KubeObject[] {
  const alive = new Map<string, KubeObject>();
  for (const { type, object } of history) {
    if (versionOf(object) > version) break;
    if (type === "DELETED") alive.delete(object.metadata.name);
    else alive.set(object.metadata.name, object);
  }
  return [...alive.values()];
}

const anyHistory = fc
  .array(fc.record({ name: fc.nat(2), remove: fc.boolean(), label: fc.nat(1) }), { minLength: 1, maxLength: 30 })
  .map(historyOf)
  .filter((history) => history.length > 0);

describe("any interleaving of a list, its watch and the answers of writes", () => {
  test("ends at the newest state, never goes back, and brings nothing back", () => {
    fc.assert(
      fc.property(anyHistory, fc.nat(), fc.infiniteStream(fc.nat(99)), (history, listAt, dice) => {
        const chance = () => dice.next().value as number;
        const shown = new Map<string, KubeObject>();
        const gone = new Set<string>();
        const store = new Store<KubeObject>((before, after) => {
          const key = (before ?? after)!.metadata.name;
          // Each change begins where the last one ended.
          expect(shown.get(key)).toBe(before as KubeObject);
          if (before && after) {
            expect(after.metadata.uid).toBe(before.metadata.uid);
            expect(versionOf(after)).toBeGreaterThan(versionOf(before));
          }
          if (after) {
            shown.set(key, after);
            expect(gone).not.toContain(after.metadata.uid);
          } else {
            shown.delete(key);
            gone.add(before!.metadata.uid);
          }
        });
        const { length } = history;
        const listVersion = versionOf(history[listAt % length]!.object);
        // Writes of ours answer late, and in any order: each answer may come at any time after it happened.
        const answers = history.filter(() => chance() < 40);
        const answer = (upToVersion: number) => {
          while (answers.length > 0 && chance() < 50) {
            const index = chance() % answers.length;
            const { type, object } = answers[index]!;
            if (versionOf(object) > upToVersion + 3) return;
            answers.splice(index, 1);
            if (type === "DELETED") store.remove({ namespace: "n", name: object.metadata.name }, object.metadata.uid);
            else store.put({ ...object });
          }
        };
        const list = () => {
          const seen = new Set<string>();
          for (const object of worldAt(history, listVersion)) {
            seen.add(object.metadata.uid);
            store.upsert({ ...object });
            answer(listVersion);
          }
          for (const object of store.missing(seen, listVersion)) store.drop(object);
          store.seenVersion = listVersion;
        };
        answer(listVersion);
        list();
        expect(store.find(labelIndex, "v0").length + store.find(labelIndex, "v1").length).toBe(store.size);
        for (const { type, object } of history) {
          const version = versionOf(object);
          if (version <= listVersion) continue;
          store.seenVersion = version;
          if (type === "DELETED") store.deleted({ ...object });
          else store.upsert({ ...object });
          answer(version);
        }
        while (answers.length > 0) {
          const { type, object } = answers.pop()!;
          if (type === "DELETED") store.remove({ namespace: "n", name: object.metadata.name }, object.metadata.uid);
          else store.put({ ...object });
        }
        const newest = worldAt(history, Number.POSITIVE_INFINITY);
        const order = (a: KubeObject, b: KubeObject) => a.metadata.name.localeCompare(b.metadata.name);
        expect([...store.list()].sort(order)).toEqual(newest.sort(order));
        expect([...shown.values()].sort(order)).toEqual([...store.list()].sort(order));
        expect(store.size).toBe(newest.length);
        for (const value of ["v0", "v1"]) {
          const filed = newest.filter(({ metadata }) => metadata.labels?.l === value);
          expect([...store.find(labelIndex, value)].sort(order)).toEqual(filed.sort(order));
        }
      }),
      { numRuns: 300 },
    );
  });
});

test("what another object of its name has replaced does not come back by an answer that was late, while a list is under way", () => {
  const store = new Store<KubeObject>(() => {});
  const version = (uid: string, resourceVersion: string) => ({
    metadata: { name: "pod-0", namespace: "n", uid, resourceVersion, creationTimestamp: "" },
  });
  store.put(version("uid-1", "4"));
  store.upsert(version("uid-2", "9"));
  store.remove({ namespace: "n", name: "pod-0" }, "uid-2");
  store.put(version("uid-1", "3"));
  expect(store.list()).toEqual([]);
});

test("parts that did not change are the same reference, of siblings too", () => {
  const store = new Store<Pod>(() => {});
  const make = (name: string, version: number, phase: string): Pod => ({
    metadata: {
      name,
      namespace: "n",
      uid: `uid-${name}`,
      resourceVersion: String(version),
      creationTimestamp: "",
      ownerReferences: [{ apiVersion: "apps/v1", kind: "X", name: "o", uid: "o", controller: true }],
    },
    spec: { nodeName: name, containers: [{ name: "app", image: "registry.example/app:1", env: [{ name: "A", value: "1" }] }] },
    status: { phase },
  });
  store.upsert(make("a", 1, "Pending"));
  const first = store.get({ namespace: "n", name: "a" })!;
  store.upsert(make("a", 2, "Running"));
  const second = store.get({ namespace: "n", name: "a" })!;
  expect(second.spec).toBe(first.spec);
  expect(second.status).not.toBe(first.status);
  expect(first.status?.phase).toBe("Pending");
  store.upsert(make("b", 3, "Running"));
  const sibling = store.get({ namespace: "n", name: "b" })!;
  expect(sibling.spec.containers).toBe(first.spec.containers);
  expect(sibling.spec).not.toBe(first.spec);
  expect(sibling).toEqual(make("b", 3, "Running"));
});

test("sharing never changes what is said, nor what it is shared with", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.boolean(), (one, other, related) => {
      const before = JSON.stringify(other);
      const wanted = related ? { a: one, b: [other, 1], c: other } : one;
      const shared = share(JSON.parse(JSON.stringify(wanted)), related ? { a: one, b: [other, 2], c: other, d: 1 } : other);
      expect(JSON.stringify(shared)).toBe(JSON.stringify(wanted));
      expect(JSON.stringify(other)).toBe(before);
    }),
  );
});
