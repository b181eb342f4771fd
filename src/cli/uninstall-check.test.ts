import { expect, test } from "bun:test";
import { cloneSets } from "../api/cloneset.ts";
import { sidecarSets } from "../api/sidecarset.ts";
import type { Kind } from "../kube/kind.ts";
import type { Written } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import { countLeft, textOf } from "./uninstall-check.ts";

const kinds: readonly Kind[] = [cloneSets, sidecarSets] as readonly Kind[];
const objects = (...names: string[]): Written<readonly KubeObject[]> => ({
  ok: true,
  object: names.map((name) => ({ apiVersion: "v1", kind: "X", metadata: { name, namespace: "shop" } }) as unknown as KubeObject),
});
const failed = (why: "notFound" | "forbidden"): Written<readonly KubeObject[]> =>
  ({ ok: false, why, code: why === "notFound" ? 404 : 403, message: "no" }) as unknown as Written<readonly KubeObject[]>;

test("what is left is counted kind by kind, and the first few are named", async () => {
  const left = await countLeft(kinds, async (kind) => (kind === cloneSets ? objects("a", "b", "c", "d", "e", "f") : objects()));
  expect(left).toEqual([{ resource: "clonesets.apps.kruise.io", count: 6, names: ["shop/a", "shop/b", "shop/c", "shop/d", "shop/e"] }]);
  expect(textOf(left as [])).toContain("6 clonesets.apps.kruise.io: shop/a, shop/b, shop/c, shop/d, shop/e, …\n");
});

test("a kind that is not served has no objects", async () => {
  expect(await countLeft(kinds, async () => failed("notFound"))).toEqual([]);
  expect(textOf([])).toContain("can be uninstalled");
});

test("what cannot be listed is no answer", async () => {
  expect(await countLeft(kinds, async () => failed("forbidden"))).toStartWith("cannot list clonesets.apps.kruise.io");
});
