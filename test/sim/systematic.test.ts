/** CloneSet, step by step: whatever befalls the manager after any of its writes, nothing breaks and it gets there. */
import { describe, expect, test } from "bun:test";
import type { CloneSet } from "../../src/api/cloneset.ts";
import { namespace } from "./cluster.ts";
import { cloneSetKind, cloneSetScene } from "./scenes/cloneset.ts";
import { type Blow, course, fixedDice, type Scenario } from "./systematic.ts";
import type { World } from "./world.ts";

const path = `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/clonesets/web`;
const labels = { app: "web" };
const template = (image: string) => ({ metadata: { labels }, spec: { containers: [{ name: "main", image }] } });
const claims = [
  { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } },
] as NonNullable<CloneSet["spec"]["volumeClaimTemplates"]>;

type Rolling = NonNullable<NonNullable<CloneSet["spec"]["updateStrategy"]>["rollingUpdate"]>;

interface Case extends Scenario {
  readonly hasClaims: boolean;
}

function scenario(
  name: string,
  spec: Partial<CloneSet["spec"]>,
  rolling: Rolling,
  change: object | ((world: World) => Promise<unknown>),
): Case {
  const updateStrategy = { type: "RollingUpdate" as const, rollingUpdate: { maxUnavailable: 1, ...rolling } };
  const whole = { replicas: 3, selector: { matchLabels: labels }, template: template("app:v1"), ...spec, updateStrategy };
  return {
    name,
    hasClaims: spec.volumeClaimTemplates !== undefined,
    scene: (world) => cloneSetScene(world, fixedDice(name), { whole }),
    act: (world) => (typeof change === "function" ? change(world) : world.ask("PATCH", path, { spec: change })),
  };
}

const inPlace: Rolling = { podUpdatePolicy: "InPlaceIfPossible" };
const recreate: Rolling = { podUpdatePolicy: "ReCreate" };

const scenarios: readonly Case[] = [
  scenario("scale up", { volumeClaimTemplates: claims }, inPlace, { replicas: 6 }),
  scenario("in place", {}, inPlace, { template: template("app:v2") }),
  scenario(
    "in place, with grace and partition",
    {},
    { ...inPlace, partition: 1, inPlaceUpdateStrategy: { gracePeriodSeconds: 1 } },
    { template: template("app:v2") },
  ),
  scenario("recreate", { volumeClaimTemplates: claims }, recreate, { template: template("app:v2") }),
  scenario("recreate with surge", {}, { ...recreate, maxUnavailable: 0, maxSurge: 1 }, { template: template("app:v2") }),
  scenario("roll back in the middle", {}, inPlace, async (world) => {
    await world.ask("PATCH", path, { spec: { template: template("app:v2") } });
    world.env.after(1_500, () => void world.ask("PATCH", path, { spec: { template: template("app:v1") } }));
  }),
  scenario("scale down", { replicas: 5, volumeClaimTemplates: claims }, inPlace, { replicas: 2 }),
  scenario("both at once", { replicas: 4 }, recreate, { replicas: 3, template: template("app:v2") }),
];

/** Without claims there is one write to revisions, which the other blows cover. */
const claimsAndRevisions: Blow = { kind: "stale", resources: ["persistentvolumeclaims", "controllerrevisions"] };

const blows: readonly (readonly [string, Blow])[] = [
  ["a crash", { kind: "crash" }],
  ["a takeover", { kind: "takeover" }],
  ["pods that stand still", { kind: "stale", resources: ["pods"] }],
  ["everything that stands still", { kind: "stale", resources: ["pods", "clonesets", "persistentvolumeclaims", "controllerrevisions"] }],
  ["claims and revisions that stand still", claimsAndRevisions],
  ["a gap in the watch", { kind: "gap" }],
];

for (const each of scenarios)
  describe(each.name, () => {
    for (const [what, blow] of blows) {
      if (blow === claimsAndRevisions && !each.hasClaims) continue;
      test(`${what} after every write`, async () => {
        const plain = await course(cloneSetKind, each);
        expect(plain.problems, plain.trace.join("\n")).toEqual([]);
        expect(plain.managerWrites).toBeGreaterThan(plain.writesBefore);
        for (let at = plain.writesBefore + 1; at <= plain.managerWrites; at += 1) {
          const { problems, trace } = await course(cloneSetKind, each, blow, at);
          if (problems.length > 0) throw new Error([`after write ${at}: ${problems.join("; ")}`, ...trace.slice(-60)].join("\n"));
        }
      });
    }
  });
