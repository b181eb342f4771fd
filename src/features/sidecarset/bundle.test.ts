import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { annotation } from "../../api/names.ts";
import type { SidecarContainer } from "../../api/sidecarset.ts";
import { jsonOf } from "../../kube/kept-text.ts";
import { formatTime } from "../../kube/time.ts";
import { hashesText } from "./annotations.ts";
import { bundleLimits, bundleOf } from "./bundle.ts";
import { type Content, currentContent } from "./content.ts";
import { noAnnotations, record, recordIn } from "./record.ts";
import { sidecarSet } from "./testing/objects.ts";

const contentOf = (name: string, more: Partial<SidecarContainer> = {}, init = false): Content =>
  currentContent(
    sidecarSet(name, {
      containers: [{ name: `${name}-a`, image: "a:1", volumeMounts: [{ name: "v", mountPath: "/v" }], ...more }],
      ...(init
        ? {
            initContainers: [
              { name: `${name}-z`, image: "z:1" },
              { name: `${name}-b`, image: "b:1", restartPolicy: "Always" },
            ],
          }
        : {}),
      volumes: [{ name: "v", emptyDir: {} }],
      imagePullSecrets: [{ name: "s" }],
    }),
  );
const all: readonly Content[] = [
  contentOf("a"),
  contentOf("b", {}, true),
  contentOf("c", { upgradeStrategy: { upgradeType: "HotUpgrade", hotUpgradeEmptyImage: "empty:1" } }),
  contentOf("d", { shareVolumePolicy: { type: "enabled" } }),
  contentOf("e", { podInjectPolicy: "AfterAppContainer" }),
];
/** By name, as the webhook has them. */
const anyContents = fc.subarray([...all], { minLength: 1 });

describe("a bundle", () => {
  test("is what the contents bring, whatever was asked for before", () =>
    fc.assert(
      fc.property(fc.array(anyContents, { minLength: 1, maxLength: 40 }), (asked) => {
        for (const contents of asked) {
          const bundle = bundleOf(contents);
          expect(bundleOf([...contents])).toBe(bundle);
          expect(bundle.contents).toEqual(contents);
          expect([...bundle.names].sort()).toEqual([...new Set(contents.flatMap(({ parts }) => [...parts.names]))].sort());
          const templates = contents.flatMap(({ parts }) => [...parts.initContainers, ...parts.containers]);
          expect(bundle.queue === undefined).toBe(templates.some(({ ready }) => ready === undefined));
          if (bundle.queue === undefined) continue;
          expect(bundle.queue.containers.map(({ container }) => container)).toEqual(
            contents.flatMap(({ parts }) => parts.containers.flatMap(({ ready = [] }) => ready)),
          );
          expect(bundle.queue.volumes).toEqual(templates.flatMap(({ volumes }) => volumes));
          for (const { container } of [...bundle.queue.containers, ...bundle.queue.initContainers])
            expect(jsonOf(container)).toBe(JSON.stringify(container));
          for (const volume of bundle.queue.volumes) expect(jsonOf(volume)).toBe(JSON.stringify(volume));
        }
      }),
    ));

  test("is forgotten when too many others begin with the same SidecarSet", () => {
    const [first, ...others] = [
      contentOf("first"),
      ...Array.from({ length: bundleLimits.alikeMax + 1 }, (_, index) => contentOf(`s${index}`)),
    ];
    const bundles = others.map((other) => bundleOf([first as Content, other]));
    expect(bundleOf([first as Content, others.at(-1) as Content])).toBe(bundles.at(-1) as object as never);
    expect(bundleOf([first as Content, others[1] as Content])).toBe(bundles[1] as object as never);
    const again = bundleOf([first as Content, others[0] as Content]);
    expect(again).not.toBe(bundles[0] as object as never);
    expect(again).toEqual(bundles[0] as object as never);
  });

  test("a new version of a SidecarSet is another content, the same one is the same", () => {
    const set = sidecarSet("mesh", { containers: [{ name: "mesh", image: "mesh:1" }] });
    expect(currentContent(set)).toBe(currentContent(set));
    const changed = { ...set, status: { latestRevision: "mesh-1" } } as typeof set;
    expect(currentContent(changed).revision).toBe("mesh-1");
    expect(bundleOf([currentContent(changed)])).not.toBe(bundleOf([currentContent(set)]));
  });
});

const entries = (name: string) =>
  hashesText(new Map([[name, { updateTimestamp: "2024-01-01T00:00:00Z", hash: "h", sidecarSetName: name, sidecarList: ["x"] }]]));
const anyAnnotations = fc.oneof(
  fc.constant(noAnnotations),
  fc.record(
    {
      own: fc.string(),
      constructor: fc.string(),
      [annotation.sidecarSetHash]: fc.constantFrom("", "{}", entries("a"), entries("x"), '{"a":"old"}', "not JSON"),
      [annotation.sidecarSetHashWithoutImage]: fc.constantFrom("", entries("b"), "[]"),
      [annotation.sidecarSetInjectedList]: fc.constantFrom("", "x", "b,a"),
      [annotation.sidecarSetWorkingHotUpgradeContainer]: fc.constantFrom("", '{"c-a":"c-a-2","x":"x-1"}'),
      "version.sidecarset.kruise.io/c-a-1": fc.constantFrom("0", "7"),
    },
    { requiredKeys: [] },
  ),
);

test("a record that is kept for a second is the one that would be made anew", () =>
  fc.assert(
    fc.property(
      fc.array(fc.tuple(anyContents, anyAnnotations, fc.integer({ min: -1_500, max: 2_500 })), { minLength: 1, maxLength: 20 }),
      (asked) => {
        let nowMs = Date.UTC(2025, 0, 1);
        for (const [contents, annotations, passedMs] of asked) {
          nowMs += passedMs;
          const recorded = recordIn(annotations as Readonly<Record<string, string>>, bundleOf(contents), nowMs);
          const anew = record(annotations as Readonly<Record<string, string>>, contents, formatTime(nowMs));
          expect(recorded).toEqual(anew);
          if ("annotations" in recorded) {
            expect(jsonOf(recorded.annotations)).toBe(JSON.stringify(recorded.annotations));
            if ("annotations" in anew) expect(Object.keys(recorded.annotations)).toEqual(Object.keys(anew.annotations));
          }
        }
      },
    ),
  ));
