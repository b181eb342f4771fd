/** Watches: from where, of what, and how they end. */
import { expect } from "bun:test";
import { type Bench, type Case, type Json, tableAccept, type WatchEvent } from "../bench.ts";

const path = (b: Bench, query: string) => b.core(`configmaps?labelSelector=watched${query === "" ? "" : `&${query}`}`);
const make = (b: Bench, name: string, labels: object = { watched: "yes" }) =>
  b.must(b.post(b.core("configmaps"), { metadata: { name, labels } }));
const brief = (events: readonly WatchEvent[]) => events.map(({ type, object }) => `${type} ${object.metadata?.name ?? object.code}`);
const versionNow = async (b: Bench): Promise<string> => (await b.must(b.get(path(b, "")))).metadata.resourceVersion;

export const watchCases: readonly Case[] = [
  {
    name: "from a version: what happens after it, in order",
    async run(b) {
      const version = await versionNow(b);
      const watch = await b.watch(path(b, `resourceVersion=${version}`));
      await make(b, "a");
      await b.must(b.patch(b.core("configmaps/a"), { data: { k: "v" } }));
      await b.must(b.delete(b.core("configmaps/a")));
      const events = await watch.take(3);
      watch.close();
      expect(brief(events)).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
      const versions = events.map(({ object }) => Number(object.metadata.resourceVersion));
      expect(versions).toEqual([...versions].sort((x, y) => x - y));
      // A deletion has a version of its own.
      expect(versions[2]).toBeGreaterThan(versions[1] as number);
    },
  },
  {
    name: "from an earlier version: what was missed comes first",
    async run(b) {
      const version = await versionNow(b);
      await make(b, "a");
      await make(b, "b");
      const watch = await b.watch(path(b, `resourceVersion=${version}`));
      await make(b, "c");
      expect(brief(await watch.take(3))).toEqual(["ADDED a", "ADDED b", "ADDED c"]);
      watch.close();
    },
  },
  {
    name: "without a version: what is there comes as ADDED",
    async run(b) {
      await make(b, "a");
      const watch = await b.watch(path(b, ""));
      expect(brief(await watch.take(1))).toEqual(["ADDED a"]);
      await make(b, "b");
      expect(brief(await watch.take(1))).toEqual(["ADDED b"]);
      watch.close();
    },
  },
  {
    name: "version 0: what is there comes as ADDED",
    async run(b) {
      await make(b, "a");
      const watch = await b.watch(path(b, "resourceVersion=0"));
      expect(brief(await watch.take(1))).toEqual(["ADDED a"]);
      watch.close();
    },
  },
  {
    name: "an object that begins to match is ADDED, one that no longer does is DELETED",
    async run(b) {
      await make(b, "a", {});
      const watch = await b.watch(path(b, `resourceVersion=${await versionNow(b)}`));
      await b.must(b.patch(b.core("configmaps/a"), { metadata: { labels: { watched: "yes" } } }));
      const left = await b.must(b.patch(b.core("configmaps/a"), { metadata: { labels: { watched: null } } }));
      const events = await watch.take(2);
      watch.close();
      expect(brief(events)).toEqual(["ADDED a", "DELETED a"]);
      // As it was seen last, at the version at which it left.
      expect(events[1]?.object.metadata.labels).toEqual({ watched: "yes" });
      expect(events[1]?.object.metadata.resourceVersion).toBe(left.metadata.resourceVersion);
    },
  },
  {
    name: "by name",
    async run(b) {
      const watch = await b.watch(b.core(`configmaps?fieldSelector=metadata.name%3Db&resourceVersion=${await versionNow(b)}`));
      await make(b, "a");
      await make(b, "b");
      expect(brief(await watch.take(1))).toEqual(["ADDED b"]);
      watch.close();
    },
  },
  {
    name: "objects of a watch carry kind and apiVersion",
    async run(b) {
      await make(b, "a");
      const watch = await b.watch(path(b, ""));
      const [event] = await watch.take(1);
      watch.close();
      expect([event?.object.kind, event?.object.apiVersion]).toEqual(["ConfigMap", "v1"]);
    },
  },
  {
    name: "the list as the beginning of a watch ends with a marked bookmark",
    async run(b) {
      await make(b, "a");
      await make(b, "b");
      const watch = await b.watch(path(b, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"));
      const events = await watch.take(3);
      expect(events.map(({ type }) => type)).toEqual(["ADDED", "ADDED", "BOOKMARK"]);
      expect(events[2]?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
      expect([events[2]?.object.kind, Number(events[2]?.object.metadata.resourceVersion)]).toEqual(["ConfigMap", expect.any(Number)]);
      await make(b, "c");
      // Another bookmark may come at any time.
      const isBookmark = ({ type }: { readonly type: string }) => type === "BOOKMARK";
      let [next] = await watch.take(1);
      while (next !== undefined && isBookmark(next)) [next] = await watch.take(1);
      expect(brief(next === undefined ? [] : [next])).toEqual(["ADDED c"]);
      watch.close();
    },
  },
  {
    name: "sendInitialEvents needs resourceVersionMatch",
    async run(b) {
      const watch = await b.watch(path(b, "sendInitialEvents=true"));
      expect(watch.status).toBe(422);
      expect(await watch.text()).toContain("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    },
  },
  {
    name: "resourceVersionMatch needs sendInitialEvents",
    async run(b) {
      const watch = await b.watch(path(b, "resourceVersion=1&resourceVersionMatch=NotOlderThan"));
      expect(watch.status).toBe(422);
      await watch.text();
    },
  },
  {
    name: "timeoutSeconds ends the watch",
    async run(b) {
      const watch = await b.watch(path(b, `timeoutSeconds=1&resourceVersion=${await versionNow(b)}`));
      expect(await watch.next()).toBe("end");
    },
  },
  {
    name: "a finalizer's deletion is seen as a change, then as a deletion",
    async run(b) {
      const watch = await b.watch(path(b, `resourceVersion=${await versionNow(b)}`));
      await b.must(b.post(b.core("configmaps"), { metadata: { name: "a", labels: { watched: "yes" }, finalizers: ["example.com/hold"] } }));
      await b.must(b.delete(b.core("configmaps/a")));
      await b.must(b.patch(b.core("configmaps/a"), { metadata: { finalizers: null } }));
      const events = await watch.take(3);
      watch.close();
      expect(brief(events)).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
      expect(events[1]?.object.metadata.deletionTimestamp).toBeTruthy();
    },
  },
  {
    name: "an update that changes nothing is not seen",
    async run(b) {
      const made = await make(b, "a");
      const watch = await b.watch(path(b, `resourceVersion=${made.metadata.resourceVersion}`));
      await b.must(b.put(b.core("configmaps/a"), made));
      await b.must(b.patch(b.core("configmaps/a"), { data: { k: "v" } }));
      const [event] = await watch.take(1);
      watch.close();
      expect(event?.object.data).toEqual({ k: "v" });
    },
  },
  {
    name: "a watch as table sends its columns once",
    async run(b) {
      await make(b, "a");
      const watch = await b.watch(path(b, ""), { accept: tableAccept });
      const [first] = await watch.take(1);
      await make(b, "b");
      const [second] = await watch.take(1);
      watch.close();
      const columns = (event: WatchEvent | undefined) => event?.object.columnDefinitions?.map((c: Json) => c.name) ?? null;
      expect([columns(first), columns(second)]).toEqual([["Name", "Data", "Age"], null]);
      expect(second?.object.rows[0].cells[0]).toBe("b");
    },
  },
  {
    name: "a bookmark comes before the watch's time is over",
    async run(b) {
      const made = await make(b, "a");
      const watch = await b.watch(path(b, `resourceVersion=${made.metadata.resourceVersion}&allowWatchBookmarks=true&timeoutSeconds=5`));
      const events: WatchEvent[] = [];
      for (let event = await watch.next(); event !== "end"; event = await watch.next()) events.push(event);
      expect(new Set(events.map(({ type }) => type))).toEqual(new Set(["BOOKMARK"]));
      const { kind, apiVersion, metadata } = (events[0] as WatchEvent).object;
      expect([kind, apiVersion, Number(metadata.resourceVersion) >= Number(made.metadata.resourceVersion)]).toEqual([
        "ConfigMap",
        "v1",
        true,
      ]);
    },
  },
  {
    name: "no bookmarks for who does not ask for them",
    async run(b) {
      const watch = await b.watch(path(b, `resourceVersion=${await versionNow(b)}&timeoutSeconds=4`));
      expect(await watch.next()).toBe("end");
    },
  },
];
