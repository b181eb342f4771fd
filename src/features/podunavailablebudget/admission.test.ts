import { describe, expect, test } from "bun:test";
import type { Verdict } from "../../admission/webhook.ts";
import { cloneSets } from "../../api/cloneset.ts";
import type { Kind } from "../../kube/kind.ts";
import { replicaSets } from "../../kube/kinds.ts";
import type { Pod } from "../../kube/types.ts";
import { allOn, deletion, eviction, ownerOf, podWith, settle, status, town, update } from "./testing/town.ts";

const code = (verdict: Verdict) => (verdict.allowed ? 200 : verdict.code);
const image = (pod: Pod) => {
  pod.spec.containers[0]!.image = "nginx:v2";
};
const notReady = (pod: Pod) => ({ ...pod, status: { ...pod.status, conditions: [{ type: "Ready", status: "False" as const }] } });

describe("deletions and evictions", () => {
  test("9: the last unit is taken, and the next request is refused, told and counted", async () => {
    const { budget, pod, ledger, replica, deployment } = town();
    const { set } = deployment(10);
    const owner = ownerOf(replicaSets, set("a"));
    budget({}, status(1, 7));
    const [first, second] = [pod("web-0", { owner }), pod("web-1", { owner })];
    const { admit, refused, emitted } = replica();
    expect(code(await admit(deletion(first)))).toBe(200);
    expect(ledger()).toMatchObject({ unavailableAllowed: 0, disruptedPods: { "web-0": "2025-01-01T00:00:00Z" } });
    const refusal = await admit(deletion(second));
    expect(refusal).toMatchObject({ allowed: false, code: 403 });
    expect(!refusal.allowed && refusal.message).toContain('podunavailablebudget.policy.kruise.io "web" is forbidden');
    expect(refused).toEqual([
      { event: "PodUnavailableBudget", kind: "ReplicaSet", namespace: "default", name: "web-a", userAgent: "alice" },
    ]);
    expect(emitted).toMatchObject([{ on: "web-1", reason: "PubPreventPodDeletion", component: "pub-controller" }]);
  });

  test("a pod without a controller is counted by its own name", async () => {
    const { budget, pod, replica } = town();
    budget({}, status(0, 7));
    const { admit, refused } = replica();
    await admit(deletion(pod("web-0")));
    expect(refused).toMatchObject([{ kind: "unknown", name: "web-0", namespace: "default" }]);
  });

  test("10: dry runs are judged and change nothing", async () => {
    const { budget, pod, ledger, replica, world } = town();
    budget({}, status(1, 7));
    const target = pod("web-0");
    const { admit } = replica();
    expect(code(await admit(eviction("web-0", true)))).toBe(200);
    expect(code(await admit(deletion(target, true)))).toBe(200);
    expect(world.writes()).toEqual([]);
    expect(ledger()?.unavailableAllowed).toBe(1);
  });

  test("a dry run that would be refused is, told and counted", async () => {
    const { budget, pod, replica } = town();
    budget({}, status(0, 7));
    const { admit, refused, emitted } = replica();
    expect(code(await admit(deletion(pod("web-0"), true)))).toBe(403);
    expect(refused).toHaveLength(1);
    expect(emitted).toMatchObject([{ on: "web-0", reason: "PubPreventPodDeletion" }]);
  });

  test.each<[string, (pod: Pod) => Pod, object?]>([
    ["11: a pod that is not ready", notReady],
    ["a pod on its way out", (pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2025-01-01T00:00:00Z" } })],
    [
      "a pod that somebody took out by a label",
      (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { app: "web", "unavailable-pod.kruise.io/x": "" } } }),
    ],
    [
      "12: a pod in the middle of an in-place update",
      (pod) => ({
        ...pod,
        metadata: {
          ...pod.metadata,
          annotations: {
            ...pod.metadata.annotations,
            "apps.kruise.io/inplace-update-state": '{"nextContainerImages":{"main":"nginx:v2"}}',
          },
        },
      }),
    ],
    [
      "13: a pod that its user took out",
      (pod) => ({ ...pod, metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, "pub.kruise.io/no-protect": "T" } } }),
    ],
    ["13: a pod that the budget passes over", (pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { app: "web", ignored: "yes" } } })],
    ["a pod without a budget", (pod) => ({ ...pod, metadata: { ...pod.metadata, annotations: {} } })],
  ])("%s goes at no charge", async (_, change) => {
    const { budget, pod, ledger, replica } = town();
    budget({ ignoredPodSelector: { matchLabels: { ignored: "yes" } } }, status(0, 7));
    expect(code(await replica().admit(deletion(change(pod("web-0")))))).toBe(200);
    expect(ledger()).toEqual(status(0, 7));
  });

  test.each<[string, string]>([
    ["false", "no"],
    ["yes", "what is not a boolean"],
    ["", "empty"],
  ])("no-protect %p is %s", async (value) => {
    const { budget, pod, replica } = town();
    budget({}, status(0, 7));
    expect(code(await replica().admit(deletion(pod("web-0", { annotations: { "pub.kruise.io/no-protect": value } }))))).toBe(403);
  });

  test("only the legacy mark is known to pods made by OpenKruise 1.9", async () => {
    const { budget, pod, replica } = town();
    budget({}, status(0, 7));
    expect(code(await replica().admit(deletion(pod("web-0", { mark: "", annotations: { "kruise.io/related-pub": "web" } }))))).toBe(403);
  });

  test("4, 8, 20: nothing is refused while nothing has to stay", async () => {
    const { budget, pod, replica } = town();
    budget({}, status(0, 0));
    expect(code(await replica().admit(deletion(pod("web-0"))))).toBe(200);
  });

  test("29: its budget is gone, or going: the mark alone refuses nothing", async () => {
    const { budget, pod, replica, world } = town();
    expect(code(await replica().admit(deletion(pod("web-0"))))).toBe(200);
    const made = budget({}, status(0, 7));
    world.edit(
      { group: "policy.kruise.io", version: "v1beta1", kind: "PodUnavailableBudget", plural: "podunavailablebudgets", namespaced: true },
      { namespace: "default", name: "web" },
      (object) => {
        object.metadata.finalizers = ["keep"];
      },
    );
    world.drop(
      { group: "policy.kruise.io", version: "v1beta1", kind: "PodUnavailableBudget", plural: "podunavailablebudgets", namespaced: true },
      { namespace: "default", name: made.metadata.name },
    );
    expect(code(await replica().admit(deletion(pod("web-1"))))).toBe(200);
  });

  test("the second request for one pod takes no second unit, and its time starts anew", async () => {
    const { budget, pod, ledger, replica, env } = town();
    budget({}, status(2, 7));
    const target = pod("web-0");
    const { admit } = replica();
    const both = [admit(deletion(target)), admit(deletion(target))];
    expect((await settle(env, Promise.all(both))).map(code)).toEqual([200, 200]);
    expect(ledger()?.unavailableAllowed).toBe(1);
    await env.advance(9_000);
    expect(code(await admit(eviction("web-0")))).toBe(200);
    expect(ledger()).toMatchObject({ unavailableAllowed: 1, disruptedPods: { "web-0": "2025-01-01T00:00:09Z" } });
  });

  test("too many that have not shown yet: nothing more goes", async () => {
    const { budget, pod, replica } = town();
    const disruptedPods = Object.fromEntries(Array.from({ length: 2_001 }, (_, index) => [`other-${index}`, "2025-01-01T00:00:00Z"]));
    budget({}, status(3, 7, { disruptedPods }));
    expect(await replica().admit(deletion(pod("web-0")))).toMatchObject({ code: 403, message: expect.stringContaining("2001 operations") });
  });

  test("an eviction is judged by the pod as the server has it; one that cannot be read is refused", async () => {
    const { budget, pod, replica, world, env } = town();
    budget({}, status(0, 7));
    pod("web-0");
    const { admit } = replica();
    expect(code(await admit(eviction("web-0")))).toBe(403);
    expect(code(await admit(eviction("web-9")))).toBe(400);
    world.fault = ({ verb, kind }) =>
      verb === "get" && kind === "Pod" ? { ok: false, why: "unavailable", mayHaveHappened: false, message: "down" } : undefined;
    expect(code(await settle(env, admit(eviction("web-0"))))).toBe(400);
  });

  test("evictions may be asked to come back instead, so that drain does", async () => {
    const { budget, pod, replica } = town();
    budget({}, status(0, 7), "web", { "pub.kruise.io/eviction-response": "TooManyRequests" });
    const target = pod("web-0");
    const { admit } = replica();
    expect([code(await admit(eviction("web-0"))), code(await admit(deletion(target)))]).toEqual([429, 403]);
  });

  test("16: operations that the budget does not protect are free", async () => {
    const { budget, pod, replica } = town();
    budget({ protectOperations: ["DELETE"] }, status(0, 7));
    const target = pod("web-0");
    const { admit } = replica();
    expect([code(await admit(update(target, image))), code(await admit(eviction("web-0"))), code(await admit(deletion(target)))]).toEqual([
      200, 200, 403,
    ]);
    const other = town();
    other.budget({ protectOperations: ["UPDATE"] }, status(0, 7));
    const { admit: ask } = other.replica();
    const theirs = other.pod("web-0");
    expect([code(await ask(update(theirs, image))), code(await ask(deletion(theirs)))]).toEqual([403, 200]);
  });
});

describe("updates and resizes", () => {
  test("14: an update is recorded; the next one within its time costs nothing", async () => {
    const { budget, pod, ledger, replica, env } = town();
    budget({}, status(1, 7));
    const target = pod("web-0");
    const { admit } = replica();
    expect(code(await admit(update(target, image)))).toBe(200);
    expect(ledger()).toMatchObject({ unavailableAllowed: 0, unavailablePods: { "web-0": "2025-01-01T00:00:00Z" } });
    await env.advance(5_000);
    expect(code(await admit(update(target, image)))).toBe(200);
    expect(ledger()).toMatchObject({ unavailableAllowed: 0, unavailablePods: { "web-0": "2025-01-01T00:00:05Z" } });
  });

  test("15: only what takes the pod from its users counts", async () => {
    const { budget, pod, replica } = town();
    budget({}, status(0, 7));
    const target = pod("web-0");
    const { admit } = replica();
    const tries: [(pod: Pod) => void, number][] = [
      [image, 403],
      [
        (each) => {
          each.metadata.labels = { app: "web", new: "yes" };
        },
        200,
      ],
      [
        (each) => {
          each.metadata.annotations!["x"] = "y";
        },
        200,
      ],
      [
        (each) => {
          each.metadata.labels = { app: "web", "unavailable-pod.kruise.io/x": "" };
        },
        403,
      ],
      [
        (each) => {
          each.spec.tolerations = [{ key: "a", operator: "Exists" }];
        },
        403,
      ],
      [
        (each) => {
          each.spec.activeDeadlineSeconds = 5;
        },
        403,
      ],
      // Ours: removing its own mark does not set it free.
      [
        (each) => {
          each.metadata.annotations = {};
          image(each);
        },
        403,
      ],
      [
        (each) => {
          each.metadata.annotations = {};
        },
        200,
      ],
    ];
    for (const [change, expected] of tries)
      expect([change.toString(), code(await admit(update(target, change)))]).toEqual([change.toString(), expected]);
  });

  test("the gates divide the operations", async () => {
    const { budget, pod, replica } = town({ gates: { ...allOn, PodUnavailableBudgetUpdateGate: false } });
    budget({}, status(0, 7));
    const target = pod("web-0");
    const { admit } = replica();
    expect([code(await admit(update(target, image))), code(await admit(deletion(target)))]).toEqual([200, 403]);
    const other = town({ gates: { ...allOn, PodUnavailableBudgetDeleteGate: false } });
    other.budget({}, status(0, 7));
    const theirs = other.pod("web-0");
    const { admit: ask } = other.replica();
    expect([code(await ask(update(theirs, image))), code(await ask(deletion(theirs))), code(await ask(eviction("web-0")))]).toEqual([
      403, 200, 200,
    ]);
  });

  test.each<[string, boolean, string, string[] | undefined, number]>([
    ["21: on, default operations", true, "NotRequired", undefined, 200],
    ["21: off", false, "NotRequired", undefined, 403],
    ["21: on, with a restart it is an update", true, "RestartContainer", undefined, 403],
    ["on, listed", true, "NotRequired", ["RESIZE"], 403],
    ["on, RESIZE does not mean UPDATE", true, "RestartContainer", ["RESIZE", "DELETE"], 200],
  ])("resize, gate InPlacePodVerticalScaling %s", async (_, gate, restartPolicy, operations, expected) => {
    const { budget, pod, replica } = town({ gates: { ...allOn, InPlacePodVerticalScaling: gate } });
    budget(operations ? { protectOperations: operations as never } : {}, status(0, 7));
    const target = pod("web-0", {
      containers: [
        { name: "main", image: "nginx:v1", resources: { requests: { cpu: "1" } }, resizePolicy: [{ resourceName: "cpu", restartPolicy }] },
      ],
    });
    const resize = update(target, (each) => {
      each.spec.containers[0]!.resources = { requests: { cpu: "3" } };
    });
    const { admit } = replica();
    expect(code(await admit(resize))).toBe(expected);
    expect(code(await admit({ ...resize, subResource: "resize" }))).toBe(expected);
  });

  test("a resize ends nothing: it is recorded as an update", async () => {
    const { budget, pod, replica, ledger } = town();
    budget({}, status(1, 7));
    const target = pod("web-0", { containers: [{ name: "main", image: "nginx:v1", resources: { requests: { cpu: "1" } } }] });
    await replica().admit(
      update(target, (each) => {
        each.spec.containers[0]!.resources = { requests: { cpu: "3" } };
      }),
    );
    expect(ledger()?.unavailablePods).toHaveProperty("web-0");
    expect(ledger()?.disruptedPods).toBeUndefined();
  });
});

describe("marking new pods", () => {
  const marks = (verdict: Verdict) => (verdict.allowed ? (verdict.object as Pod | undefined)?.metadata.annotations : undefined);
  const both = (name: string) => ({ "pub.kruise.io/related-pub": name, "kruise.io/related-pub": name });

  test("28: an ownerless pod by its labels; one of another workload not", async () => {
    const one = town();
    one.budget();
    expect(marks(await one.stamped(podWith("bare", { mark: "" })))).toEqual(both("web"));
    expect(marks(await one.stamped(podWith("other", { mark: "", labels: { app: "other" } })))).toBeUndefined();
    const two = town();
    two.budget({ targetRef: { apiVersion: "apps.kruise.io/v1alpha1", kind: "CloneSet", name: "cs01" } });
    const of = (name: string) => ({ apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", name, uid: name, controller: true });
    expect(marks(await two.stamped(podWith("a", { mark: "", owner: of("cs02") })))).toBeUndefined();
    // Its workload need not be there: marking never fails.
    expect(marks(await two.stamped(podWith("b", { mark: "", owner: of("cs01") })))).toEqual(both("web"));
  });

  test("through a ReplicaSet to its Deployment, or to whatever stands above", async () => {
    const one = town();
    one.budget({ targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } });
    const set = one.deployment(3).set("1");
    const draft = podWith("web-1-x", { mark: "", owner: ownerOf(replicaSets, set) });
    expect(marks(await one.stamped(draft))).toEqual(both("web"));
    const two = town();
    two.budget({ targetRef: { apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", name: "web" } });
    const owner = { apiVersion: "argoproj.io/v1alpha1", kind: "Rollout", name: "web", uid: "r", controller: true };
    const rolled = two.world.add(replicaSets, { metadata: { name: "web-2", namespace: "default", ownerReferences: [owner] }, spec: {} });
    expect(marks(await two.stamped(podWith("web-2-x", { mark: "", owner: ownerOf(replicaSets, rolled) })))).toEqual(both("web"));
  });

  test("of two that could have it, always the first by name", async () => {
    const { budget, stamped, world } = town();
    const set = world.add(cloneSets as Kind, { metadata: { name: "cs", namespace: "default" } });
    budget({ targetRef: { apiVersion: "apps.kruise.io/v1beta1", kind: "CloneSet", name: "cs" } }, undefined, "b");
    budget({}, undefined, "a");
    expect(marks(await stamped(podWith("p", { mark: "", owner: ownerOf(cloneSets, set) })))).toEqual(both("a"));
  });

  test("30: not with both gates off, and never a refusal", async () => {
    const off = town({ gates: { PodUnavailableBudgetDeleteGate: false, PodUnavailableBudgetUpdateGate: false } });
    off.budget();
    expect(marks(await off.stamped(podWith("p", { mark: "" })))).toBeUndefined();
    const broken = town();
    broken.budget({ targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } });
    broken.world.fault = () => ({ ok: false, why: "unavailable", mayHaveHappened: false, message: "down" });
    const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-1", uid: "r", controller: true };
    expect(code(await broken.stamped(podWith("p", { mark: "", owner })))).toBe(200);
  });
});
