import { describe, expect, test } from "bun:test";
import { cloneSets } from "../api/cloneset.ts";
import { sidecarSets } from "../api/sidecarset.ts";
import { FakeEnv } from "../env/fake.ts";
import type { KubeClient } from "../kube/client.ts";
import { Discovery } from "../kube/discovery.ts";
import { apiVersion, type Kind } from "../kube/kind.ts";
import { ServedKinds } from "./served.ts";

const discovered = (kinds: readonly Kind[], silent: readonly string[] = []) =>
  new Discovery(
    kinds.map((kind) => ({ kind, singular: "", shortNames: [], categories: [], verbs: [], subresources: [] })),
    silent,
  );
const older: Kind = { ...sidecarSets, version: "v1alpha1" };

describe("a kind is served", () => {
  const cases: readonly [string, readonly Kind[], readonly string[], boolean][] = [
    ["in its version", [sidecarSets], [], true],
    ["in both", [older, sidecarSets], [], true],
    ["not when it is only in another version", [older], [], false],
    ["not when others of its group are", [cloneSets], [], false],
    ["perhaps, where its group does not answer", [], ["apps.kruise.io/v1beta1"], true],
    ["not when a core version does not answer", [], ["v1"], false],
  ];
  for (const [what, kinds, silent, expected] of cases) {
    test(what, () => {
      const served = new ServedKinds(new FakeEnv(), {} as KubeClient, discovered(kinds, silent));
      expect([served.serves(sidecarSets), served.serves(sidecarSets)]).toEqual([expected, expected]);
    });
  }

  test("from the moment that discovery says so", async () => {
    const env = new FakeEnv();
    let resources = [older];
    const client = {
      raw: async (_method: string, path: string) => ({
        ok: true,
        object:
          path === "/api" ? { kind: "APIGroupDiscoveryList", items: [] } : { kind: "APIGroupDiscoveryList", items: [group(resources)] },
      }),
    } as unknown as KubeClient;
    const served = new ServedKinds(env, client, discovered(resources));
    const told: boolean[] = [];
    served.changed(() => told.push(served.serves(sidecarSets)));
    expect(served.serves(sidecarSets)).toBe(false);
    resources = [older, sidecarSets];
    served.refresh();
    await env.advance(1_000);
    expect([told, served.serves(sidecarSets)]).toEqual([[true], true]);
  });
});

const group = (kinds: readonly Kind[]) => ({
  metadata: { name: "apps.kruise.io" },
  versions: kinds.map((kind) => ({
    version: kind.version,
    resources: [
      {
        resource: kind.plural,
        responseKind: { group: kind.group, version: apiVersion(kind), kind: kind.kind },
        scope: "Cluster",
        verbs: [],
      },
    ],
  })),
});
