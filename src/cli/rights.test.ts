import { expect, test } from "bun:test";
import type { Writer } from "../kube/access.ts";
import { nodes, pods } from "../kube/kinds.ts";
import { unreadable } from "./rights.ts";

type Asked = { group: string; resource: string; verb: string; namespace: string };

/** A server that knows of these denials, written "verb resource namespace". */
function server(denials: readonly string[], asked: Asked[] = []): Pick<Writer, "create"> {
  return {
    create: (async (_kind: unknown, { spec }: { spec: { resourceAttributes: Asked } }) => {
      const { verb, resource, namespace } = spec.resourceAttributes;
      asked.push(spec.resourceAttributes);
      return { ok: true, object: { status: { allowed: !denials.includes(`${verb} ${resource} ${namespace}`) } } };
    }) as unknown as Writer["create"],
  };
}

test("each kind is asked for where it lives", async () => {
  const asked: Asked[] = [];
  expect(await unreadable(server([], asked), [pods, nodes], "shop")).toEqual([]);
  expect(asked.map(({ verb, resource, namespace }) => `${verb} ${resource} in "${namespace}"`).sort()).toEqual([
    'list nodes in ""',
    'list pods in "shop"',
    'watch nodes in ""',
    'watch pods in "shop"',
  ]);
});

test.each([
  [["list nodes "], [nodes]],
  [["watch pods shop"], [pods]],
  [
    ["watch pods shop", "list pods shop", "watch nodes "],
    [pods, nodes],
  ],
])("%j", async (denials, expected) => expect(await unreadable(server(denials), [pods, nodes], "shop")).toEqual(expected as never));

test("a server that does not say is tried", async () => {
  const silent = { create: (async () => ({ ok: false, why: "notFound", code: 404, message: "" })) as unknown as Writer["create"] };
  expect(await unreadable(silent, [pods], "shop")).toEqual([]);
});
