import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { annotation, label } from "../../api/names.ts";
import type { Change, Create } from "../../engine/plan.ts";
import type { Reader } from "../../kube/access.ts";
import type { Kind } from "../../kube/kind.ts";
import { controllerRevisions } from "../../kube/kinds.ts";
import { matchEverything } from "../../kube/selector.ts";
import type { ControllerRevision, PodTemplateSpec } from "../../kube/types.ts";
import { revision, template } from "../testing/pods.ts";
import {
  chooseRevisions,
  cloneSetRevisionLabels,
  isEqualRevision,
  matchesRevision,
  observeRevisions,
  orphanRevisions,
  type RevisionRequest,
  revisionsOf,
  shortHash,
  sortRevisions,
  surplusRevisions,
} from "./index.ts";

const cloneSets: Kind = { group: "apps.kruise.io", version: "v1beta1", kind: "CloneSet", plural: "clonesets", namespaced: true };
const d1: PodTemplateSpec = {
  metadata: { labels: { app: "sample" } },
  spec: {
    containers: [
      {
        name: "nginx",
        image: "nginx:alpine",
        imagePullPolicy: "IfNotPresent",
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
      },
    ],
    dnsPolicy: "ClusterFirst",
    restartPolicy: "Always",
    schedulerName: "default-scheduler",
    securityContext: {},
    terminationGracePeriodSeconds: 30,
  },
};
const image = (of: string) => template({ spec: { containers: [{ name: "c1", image: of }] } });

function choose(of: PodTemplateSpec, existing: readonly ControllerRevision[], more: Partial<RevisionRequest> = {}) {
  return chooseRevisions({
    owner: { of: cloneSets, metadata: { name: "sample", namespace: "default", uid: "uid-sample" } },
    template: of,
    labels: { app: "sample" },
    existing,
    ...more,
  });
}
const created = ({ actions }: ReturnType<typeof choose>) => (actions[0] as unknown as Create<ControllerRevision>).object;
const bumped = ({ actions }: ReturnType<typeof choose>, fresh: ControllerRevision) => {
  const step = (actions[0] as unknown as Change<ControllerRevision>).steps[0]!;
  return "write" in step ? step.write(fresh) : undefined;
};

describe("active revisions", () => {
  test("1: the first one", () => {
    const choice = choose(d1, [], { annotations: { note: "x" }, claimTemplatesHash: "" });
    expect(choice).toMatchObject({ collisionCount: 0, current: { name: "sample-c6b87f574" }, update: { name: "sample-c6b87f574" } });
    expect(created(choice)).toMatchObject({
      metadata: {
        name: "sample-c6b87f574",
        namespace: "default",
        labels: { app: "sample", [label.controllerHash]: "c6b87f574" },
        annotations: { note: "x", [annotation.cloneSetVolumeClaimTemplateHash]: "" },
        ownerReferences: [
          {
            apiVersion: "apps.kruise.io/v1beta1",
            kind: "CloneSet",
            name: "sample",
            uid: "uid-sample",
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
      revision: 1,
    });
    expect(choice.update.template.spec.containers[0]?.image).toBe("nginx:alpine");
  });

  test("2: known, however it was written", () => {
    const stored = {
      ...revision("sample-old", {} as PodTemplateSpec),
      data: {
        spec: {
          template: {
            $patch: "replace",
            metadata: { creationTimestamp: null, labels: { app: "sample" } },
            spec: { ...d1.spec, hostNetwork: false, containers: [{ ...d1.spec.containers[0], resources: {}, env: [] }] },
          },
        },
      },
    };
    expect(choose(d1, [stored])).toMatchObject({ update: { name: "sample-old" }, current: { name: "sample-old" }, actions: [] });
  });

  test("8: quantities in other words are no new revision", () => {
    const cpu = (amount: string) =>
      template({ spec: { containers: [{ name: "c1", image: "a", resources: { requests: { cpu: amount } } }] } });
    expect(choose(cpu("1"), [revision("r", cpu("1000m"))]).actions).toEqual([]);
  });

  test("4: a return to v1 makes its revision the newest", () => {
    const history = [revision("r2", image("v2"), { number: 2 }), revision("r1", image("v1"), { number: 1 })];
    const choice = choose(image("v1"), history, { currentName: "r2" });
    expect(choice).toMatchObject({ update: { name: "r1" }, current: { name: "r2" } });
    expect(bumped(choice, history[1]!)).toEqual({ patch: "merge", body: { revision: 3 } });
    expect(bumped(choice, { ...history[1]!, revision: 3 })).toBeUndefined();
  });

  test("a return records other claim templates in the same write, also where there are no annotations", () => {
    const history = [revision("r1", image("v1"), { number: 1 }), revision("r2", image("v2"), { number: 2 })];
    const choice = choose(image("v1"), history, { claimTemplatesHash: "7" });
    expect(bumped(choice, history[0]!)).toEqual({
      patch: "merge",
      body: { revision: 3, metadata: { annotations: { [annotation.cloneSetVolumeClaimTemplateHash]: "7" } } },
    });
  });

  test("other claim templates alone make no new revision", () => {
    expect(choose(image("v1"), [revision("r1", image("v1"))], { claimTemplatesHash: "7" }).actions).toEqual([]);
  });

  test("the current revision that is gone falls back to the update revision", () => {
    expect(choose(image("v1"), [revision("r1", image("v1"))], { currentName: "gone" }).current.name).toBe("r1");
  });

  test("of several equal ones the newest counts", () => {
    const history = [revision("a", image("v1"), { number: 1 }), revision("b", image("v1"), { number: 2 })];
    expect(choose(image("v1"), history)).toMatchObject({ update: { name: "b" }, actions: [] });
  });
});

describe("a name that is taken", () => {
  const foreign = revision("sample-c6b87f574", image("other"));
  test("5: by other data: another name, the first hash as label", () => {
    const choice = choose(d1, [], { occupant: (name) => (name === "sample-c6b87f574" ? foreign : undefined) });
    expect(choice).toMatchObject({ collisionCount: 1, update: { name: "sample-c6b87f575" } });
    expect(created(choice).metadata.labels?.[label.controllerHash]).toBe("c6b87f574");
  });
  test("7 of the pitfalls: by the same data: it is used", () => {
    const same = revision("sample-c6b87f574", d1);
    expect(choose(d1, [], { occupant: () => same })).toMatchObject({ collisionCount: 0, update: { object: same }, actions: [] });
  });
  test("it is read live before it is created, and only then", async () => {
    const asked: string[] = [];
    const read = {
      get: () => undefined,
      live: {
        get: async (_: unknown, { name }: { name: string }) => {
          asked.push(name);
          return name === foreign.metadata.name ? { ok: true, object: foreign } : { ok: false, why: "notFound", message: "" };
        },
      },
    } as unknown as Reader;
    const request = { owner: { of: cloneSets, metadata: { name: "sample", namespace: "default", uid: "u" } }, template: d1, existing: [] };
    expect(await observeRevisions(read, request)).toMatchObject({ collisionCount: 1, update: { name: "sample-c6b87f575" } });
    expect(asked).toEqual(["sample-c6b87f574", "sample-c6b87f575"]);
    await observeRevisions(read, { ...request, existing: [revision("r", d1)] });
    expect(asked).toHaveLength(2);
  });
});

describe("history", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name, index) =>
    revision(name, image(name), { number: index + 1 }),
  ) as ControllerRevision[];
  test("sorted by number, then age, then name", () => {
    const older = { ...b!, revision: 1, metadata: { ...b!.metadata, creationTimestamp: "2024-01-01T00:00:00Z" } };
    expect(sortRevisions([d!, a!, older]).map(({ metadata }) => metadata.name)).toEqual(["b", "a", "d"]);
  });
  test("6: the oldest that nothing needs go", () => {
    const live = (name: string) => name === "a" || name === "d";
    const surplus = (limit: number) => surplusRevisions([a!, b!, c!, d!], live, limit).map(({ metadata }) => metadata.name);
    expect([surplus(2), surplus(1), surplus(0), surplus(-1)]).toEqual([[], ["b"], ["b", "c"], ["b", "c"]]);
  });
  test("its own and orphans, not others'", () => {
    const owned = (name: string, uid: string): ControllerRevision => ({
      ...revision(name, d1),
      metadata: { ...revision(name, d1).metadata, ownerReferences: [{ apiVersion: "v1", kind: "X", name: "x", uid, controller: true }] },
    });
    const all = [owned("mine", "u"), owned("theirs", "v"), revision("nobody's", d1)];
    const read = {
      find: (index: { name: string }, value: string) =>
        all.filter((one) =>
          (index.name === "orphan" ? orphanRevisions.keys(one) : (one.metadata.ownerReferences ?? []).map(({ uid }) => uid)).includes(
            value,
          ),
        ),
    } as unknown as Reader;
    expect(revisionsOf(read, { namespace: "default", uid: "u" }, matchEverything).map(({ metadata }) => metadata.name)).toEqual([
      "mine",
      "nobody's",
    ]);
    expect(orphanRevisions.of).toBe(controllerRevisions);
  });
});

describe("labels", () => {
  test.each([
    ["web-6d5f", "web-6d5f", true],
    ["6d5f", "web-6d5f", true],
    ["web-6d5f", "6d5f", true],
    ["web-6d5f", "web-7777", false],
    ["", "", false],
    [undefined, "web-6d5f", false],
  ])("%s is at %s: %p", (pod, name, same) => {
    expect(matchesRevision(pod, name)).toBe(same);
  });
  test("9: the short style", () => {
    expect(cloneSetRevisionLabels("sample-c6b87f574", true)).toEqual({
      "controller-revision-hash": "c6b87f574",
      "pod-template-hash": "c6b87f574",
    });
    expect(cloneSetRevisionLabels("sample-c6b87f574", false)["controller-revision-hash"]).toBe("sample-c6b87f574");
    expect(shortHash("plain")).toBe("plain");
  });
});

test("a created revision is found again by the next plan, whatever the template and however many collisions", () =>
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }), fc.string(), fc.nat(3), (labels, name, taken) => {
      const of: PodTemplateSpec = { metadata: { labels }, spec: { containers: [{ name, image: "a" }] } };
      let left = taken;
      const choice = choose(of, [], { occupant: () => (left-- > 0 ? revision("x", image("other")) : undefined) });
      const stored = created(choice) as ControllerRevision;
      expect(choice.collisionCount).toBe(taken);
      expect(choose(structuredClone(of), [stored])).toMatchObject({ actions: [], update: { name: stored.metadata.name } });
      expect(isEqualRevision(stored, { ...stored, data: structuredClone(stored.data) })).toBe(true);
    }),
  ));
