import { describe, expect, test } from "bun:test";
import { annotation } from "../../api/names.ts";
import { podCondition } from "../../kube/pod.ts";
import type { Condition, ContainerStatus, Pod } from "../../kube/types.ts";
import { updatesText } from "./annotations.ts";
import { upgradableCondition } from "./condition.ts";
import { pendingContainer } from "./consistency.ts";
import { pod } from "./testing/objects.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const since = "2025-01-01T12:00:00Z";

interface Given {
  readonly image?: string;
  readonly status?: Partial<ContainerStatus>;
  /** What was recorded before the update. */
  readonly before?: { readonly imageID: string; readonly containerID?: string };
  readonly state?: string;
  readonly seen?: number;
}

function podWith({ image = "mesh:2", status, before, state, seen }: Given): Pod {
  const text =
    state ??
    (before === undefined
      ? undefined
      : updatesText(
          new Map([
            ["mesh", { revision: "h", updateTimestamp: since, lastContainerStatuses: new Map([["mesh", { containerID: "", ...before }]]) }],
          ]),
        ));
  const given = pod(
    "web-1",
    { containers: [{ name: "mesh", image }] },
    { generation: 2, annotations: text === undefined ? {} : { [annotation.sidecarSetInPlaceUpdateState]: text } },
  );
  const full: ContainerStatus = { name: "mesh", image: "mesh:2", imageID: `mesh@${digest("b")}`, ready: true, restartCount: 0, ...status };
  return {
    ...given,
    status: { phase: "Running", observedGeneration: seen, containerStatuses: status === undefined && image === "none" ? [] : [full] },
  };
}

const running = (startedAt: string) => ({ state: { running: { startedAt } } });

describe("a container has arrived", () => {
  test.each<[string, Given, string | undefined]>([
    ["never updated", {}, undefined],
    ["another image ID", { before: { imageID: `mesh@${digest("a")}` } }, undefined],
    ["the same image ID, another tag", { before: { imageID: `mesh@${digest("b")}` }, status: { image: "mesh:1" } }, "mesh"],
    ["the same image ID, the new tag", { before: { imageID: `mesh@${digest("b")}` } }, undefined],
    [
      "the tag with its full name",
      { before: { imageID: `mesh@${digest("b")}` }, status: { image: "docker.io/library/mesh:2" } },
      undefined,
    ],
    [
      "a new container since",
      { before: { imageID: `mesh@${digest("b")}`, containerID: "c1" }, status: { image: "mesh:1", containerID: "c2", ...running(since) } },
      undefined,
    ],
    [
      "the old container still",
      { before: { imageID: `mesh@${digest("b")}`, containerID: "c1" }, status: { image: "mesh:1", containerID: "c1", ...running(since) } },
      "mesh",
    ],
    [
      "a new container, of the pod before the update",
      {
        before: { imageID: `mesh@${digest("b")}`, containerID: "c1" },
        status: { image: "mesh:1", containerID: "c2", ...running(since) },
        seen: 1,
      },
      "mesh",
    ],
    [
      "a later start, without the old ID",
      { before: { imageID: `mesh@${digest("b")}` }, status: { image: "mesh:1", ...running("2025-01-01T12:00:01Z") } },
      undefined,
    ],
    [
      "the same second, without the old ID",
      { before: { imageID: `mesh@${digest("b")}` }, status: { image: "mesh:1", ...running(since) } },
      "mesh",
    ],
    ["a record that is none", { state: "x" }, ""],
    ["a digest that runs", { image: `mesh@${digest("b")}` }, undefined],
    [
      "a digest, spelled in full",
      { image: `mesh@${digest("b")}`, status: { imageID: `docker-pullable://docker.io/library/mesh@${digest("b")}` } },
      undefined,
    ],
    ["another digest", { image: `mesh@${digest("a")}` }, "mesh"],
    ["a digest of another repository", { image: `other@${digest("b")}` }, "mesh"],
    ["a digest that nobody reports", { image: `mesh@${digest("b")}`, status: { imageID: "" } }, "mesh"],
  ])("%s", (_, given, expected) => expect(pendingContainer(podWith(given), "mesh", new Set(["mesh"]))).toBe(expected as string));

  test("8: every container has to be reported", () =>
    expect(pendingContainer({ ...podWith({}), status: { containerStatuses: [] } }, "mesh", new Set(["mesh"]))).toBe("mesh"));
  test("others do not count", () =>
    expect(pendingContainer(podWith({ image: `mesh@${digest("a")}` }), "mesh", new Set(["x"]))).toBeUndefined());
});

describe("condition", () => {
  const told = (condition: Partial<Condition> | undefined, injected = "a,mesh"): Pod => ({
    ...pod("web-1", {}, { annotations: { [annotation.sidecarSetInjectedList]: injected } }),
    status: {
      conditions:
        condition === undefined
          ? []
          : [{ type: "SidecarSetUpgradable", status: "True", reason: "AllSidecarsetUpgradable", message: "{}", ...condition }],
    },
  });
  const nowMs = Date.UTC(2025, 0, 1);
  test.each<[string, Partial<Condition> | undefined, boolean, Partial<Condition> | undefined]>([
    [
      "the first word",
      undefined,
      false,
      { status: "False", reason: "UpdateImmutableField", message: '{"mesh":false}', lastTransitionTime: "2025-01-01T00:00:00Z" },
    ],
    [
      "another set says no",
      { status: "False", reason: "UpdateImmutableField", message: '{"a":false}', lastTransitionTime: "t" },
      true,
      { status: "False", message: '{"a":false,"mesh":true}', lastTransitionTime: "t" },
    ],
    [
      "a set that is gone drops out",
      { status: "False", reason: "UpdateImmutableField", message: '{"gone":false}' },
      true,
      { status: "True", message: '{"mesh":true}', lastTransitionTime: "2025-01-01T00:00:00Z" },
    ],
    ["no news", { message: '{"mesh":true}' }, true, undefined],
    ["a message that is none", { message: "x" }, true, { status: "True", message: '{"mesh":true}' }],
  ])("%s", (_, before, upgradable, expected) => {
    const given = told(before);
    const [condition] = upgradableCondition(given, "mesh", upgradable, nowMs) ?? [];
    if (expected === undefined) expect(condition).toBeUndefined();
    else expect(condition).toMatchObject(expected);
    expect(podCondition(given, "SidecarSetUpgradable")?.message).toBe(before?.message as string);
  });
});
