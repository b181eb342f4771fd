import { expect, test } from "bun:test";
import { annotation } from "../../api/names.ts";
import { type SidecarSet, sidecarSets } from "../../api/sidecarset.ts";
import type { Context } from "../../engine/controller.ts";
import { namespaces, pods } from "../../kube/kinds.ts";
import type { Pod } from "../../kube/types.ts";
import { defaultSidecarSet } from "./defaults.ts";
import { explainSet } from "./explain.ts";
import { explainPod } from "./explain-pod.ts";
import { run } from "./testing/node.ts";
import { pod, sidecarSet, stage } from "./testing/objects.ts";

const mesh = { containers: [{ name: "mesh", image: "mesh:1" }] };

async function look() {
  const { world, settings, env, add, inject } = stage();
  const context: Context = { read: world, settings, random: () => 0.5, nowMs: () => env.nowMs() };
  add(sidecarSet("mesh", mesh));
  for (const name of ["web-1", "web-2"]) run(world, world.add<Pod>(pods, await inject(pod(name))));
  const edit = (change: (set: SidecarSet) => void) =>
    world.edit<SidecarSet>(sidecarSets, { namespace: "", name: "mesh" }, (set) => {
      change(set);
      set.metadata = defaultSidecarSet(set).metadata;
    });
  return {
    env,
    world,
    context,
    add,
    edit,
    set: () => explainSet(context, { namespace: "", name: "mesh" }),
    pod: (name: string) => explainPod(context, { namespace: "shop", name }),
  };
}

test("a set whose image changed: who moves, who is held", async () => {
  const { edit, set, context } = await look();
  edit(({ spec }) => {
    spec.containers![0]!.image = "mesh:2";
  });
  const explained = await set();
  expect(explained?.state).toBe("moving");
  expect(explained?.next.map((line) => line.replace(/-[a-z0-9]+$/, ""))).toEqual([
    "record revision mesh",
    "update in place the sidecars of pod shop/web",
  ]);
  expect(explained?.held.map(({ on, text }) => `${on}: ${text}`)).toEqual(["shop/web-2: held by maxUnavailable: 1 of 1 used"]);
  expect(await explainSet(context, { namespace: "", name: "gone" })).toBeUndefined();
});

test("what needs recreate, and what new pods get", async () => {
  const { edit, set } = await look();
  edit(({ spec }) => {
    spec.containers![0]!.env = [{ name: "A", value: "1" }];
    spec.updateStrategy!.paused = true;
    spec.injectionStrategy = { paused: true };
  });
  const explained = await set();
  expect(explained?.summary).toContain("0 of 2 pods up to date");
  expect(explained?.summary).toContain("needs recreate: 2 pods, new pods get nothing: injection is paused");
});

test("a pod: injected, outdated, missed, older, paused, elsewhere, replaced", async () => {
  const { env, world, context, edit, add, pod: explain } = await look();
  expect(explain("web-1")).toMatchObject({ state: "rest", summary: "web-1: injected by SidecarSet mesh, up to date" });
  edit(({ spec }) => {
    spec.containers![0]!.image = "mesh:2";
  });
  expect(explain("web-1")?.summary).toBe("web-1: injected by SidecarSet mesh, outdated (explain sidecarset/mesh tells what holds it)");
  edit(({ spec }) => {
    spec.containers![0]!.env = [{ name: "A", value: "1" }];
  });
  expect(explain("web-1")).toMatchObject({ state: "held", held: [{ on: "mesh", code: "NeedsRecreate" }] });
  world.add<Pod>(pods, pod("old"));
  expect(explain("old")?.summary).toContain("the pod is older");
  await env.advance(2_000);
  world.add<Pod>(pods, pod("bare"));
  expect(explain("bare")).toMatchObject({ state: "held", held: [{ on: "mesh", code: "InjectionMissed" }] });
  add(
    sidecarSet("paused", { ...mesh, injectionStrategy: { paused: true } }),
    sidecarSet("else", { ...mesh, namespaceSelector: { matchLabels: { team: "x" } } }),
    sidecarSet(
      "canary",
      { selector: { matchLabels: { app: "none" } } },
      { annotations: { [annotation.sidecarSetCanary]: "true", [annotation.sidecarSetBase]: "based" } },
    ),
    sidecarSet("based", mesh),
  );
  world.add<Pod>(pods, pod("with-canary", {}, { annotations: { [annotation.sidecarSetInjectedList]: "canary" } }));
  const { summary } = explain("with-canary")!;
  expect(summary).toContain("not injected by SidecarSet paused: its injection is paused");
  expect(summary).toContain("not injected by SidecarSet else: its namespaceSelector leaves the namespace out");
  expect(summary).toContain("not injected by SidecarSet based: its canary canary stands in for it");
  world.add<Pod>(pods, pod("db", {}, { labels: { app: "db" } }));
  expect(explain("db")?.summary).toBe("db: no SidecarSet selects it");
  world.add(namespaces, { metadata: { name: "closed", labels: { "control-plane": "x" } } });
  world.add<Pod>(pods, pod("there", {}, { namespace: "closed" }));
  expect(explainPod(context, { namespace: "closed", name: "there" })?.summary).toContain("the webhook does not serve this namespace");
});
