/** What is forgotten cannot be resumed: watches, lists and pages from before a compaction are Gone, in virtual time. */
import { expect, test } from "bun:test";
import { type Fields, fieldsOf } from "../../kube/json.ts";
import { World } from "../testing/world.ts";

const path = "/api/v1/namespaces/default/configmaps";

async function versionOf(world: World): Promise<string> {
  return String(fieldsOf((await world.get(path))["metadata"])["resourceVersion"]);
}

/** The first events of a watch that is then left. */
async function firstEvents(world: World, query: string, count: number): Promise<readonly Fields[]> {
  const abort = new AbortController();
  const answer = await world.sandbox.handle({
    method: "GET",
    path: `${path}?watch=true&${query}`,
    headers: { accept: "application/json" },
    signal: abort.signal,
  });
  const events: Fields[] = [];
  let text = "";
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    events.push(...lines.map((line) => fieldsOf(JSON.parse(line))));
    if (events.length >= count) break;
  }
  abort.abort();
  return events;
}

test("a watch resumes while what came after is known, and is Gone afterwards", async () => {
  const world = await World.start();
  const before = await versionOf(world);
  for (const name of ["a", "b"]) await world.create(path, { metadata: { name } });
  const resumed = await firstEvents(world, `resourceVersion=${before}`, 2);
  expect(resumed.map(({ type, object }) => [type, fieldsOf(fieldsOf(object)["metadata"])["name"]])).toEqual([
    ["ADDED", "a"],
    ["ADDED", "b"],
  ]);
  world.sandbox.store.compact();
  const [gone] = await firstEvents(world, `resourceVersion=${before}`, 1);
  expect([gone?.["type"], fieldsOf(gone?.["object"])["code"], fieldsOf(gone?.["object"])["reason"]]).toEqual(["ERROR", 410, "Expired"]);
  // From where it was compacted one may go on.
  const now = await versionOf(world);
  await world.create(path, { metadata: { name: "c" } });
  const [next] = await firstEvents(world, `resourceVersion=${now}`, 1);
  expect(next?.["type"]).toBe("ADDED");
});

test("the next page of a list shows its moment, or is Gone", async () => {
  const world = await World.start();
  for (const name of ["a", "b", "c"]) await world.create(path, { metadata: { name } });
  const first = fieldsOf((await world.get(`${path}?limit=1`))["metadata"]);
  await world.must("DELETE", `${path}/b`);
  const second = await world.list(`${path}?limit=1&continue=${String(first["continue"])}`);
  expect(second.map((object) => fieldsOf(object["metadata"])["name"])).toEqual(["b"]);
  world.sandbox.store.compact();
  const late = await world.request("GET", `${path}?limit=1&continue=${String(first["continue"])}`);
  expect([late.status, late.body["reason"]]).toEqual([410, "Expired"]);
  const exact = await world.request("GET", `${path}?resourceVersion=${String(first["resourceVersion"])}&resourceVersionMatch=Exact`);
  expect(exact.status).toBe(410);
});

test("bookmarks: each minute, and shortly before the end", async () => {
  const world = await World.start();
  const answer = await world.sandbox.handle({
    method: "GET",
    path: `${path}?watch=true&allowWatchBookmarks=true&timeoutSeconds=100&resourceVersion=${await versionOf(world)}`,
    headers: { accept: "application/json" },
  });
  const types: unknown[] = [];
  const reading = (async () => {
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>)
      for (const line of Buffer.from(chunk).toString().trim().split("\n")) types.push(fieldsOf(JSON.parse(line))["type"]);
  })();
  await world.pass(61_000);
  expect(types).toEqual(["BOOKMARK"]);
  await world.pass(40_000);
  expect(types).toEqual(["BOOKMARK", "BOOKMARK"]);
  await reading;
});
