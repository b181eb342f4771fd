/**
 * Our CRDs say what OpenKruise 1.9's say: same names, columns, fields, defaults and limits. The facts are in the *.tsv files here, with
 * three corrections: PodUnavailableBudget is converted by webhook, as its two versions differ; NodeImage has pullSecrets[].mode in both;
 * ImagePullJob has its column MESSAGE in both.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { customResourceDefinition } from "../../src/api/crd.ts";
import { definitions } from "../../src/api/index.ts";
import { resourceName } from "../../src/kube/kind.ts";
import { factsOf } from "./flatten.ts";

for (const definition of definitions) {
  const resource = resourceName(definition.kind);
  test(resource, async () => {
    const expected = await Bun.file(join(import.meta.dir, `${resource}.tsv`)).text();
    expect(factsOf(JSON.parse(JSON.stringify(customResourceDefinition(definition)))).join("\n")).toBe(expected.trimEnd());
  });
}
