import { expect, test } from "bun:test";
import { isCompatible, isCompatibleButForSize, isExpanded, isPatchCompleted, matchClaim, needsExpansion } from "./pvc.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate } from "./types.ts";

interface Draft {
  readonly size?: string;
  readonly capacity?: string;
  readonly storageClass?: string;
  readonly modes?: string[];
  readonly resizePending?: boolean;
}
const spec = ({ size, storageClass, modes = ["ReadWriteOnce"] }: Draft): PersistentVolumeClaimSpec => ({
  accessModes: modes,
  ...(storageClass === undefined ? {} : { storageClassName: storageClass }),
  resources: { requests: size === undefined ? {} : { storage: size } },
});
const claim = (draft: Draft): PersistentVolumeClaim => ({
  metadata: { name: "c", uid: "u", resourceVersion: "1", creationTimestamp: "" },
  spec: spec(draft),
  status: {
    ...(draft.capacity === undefined ? {} : { capacity: { storage: draft.capacity } }),
    conditions: draft.resizePending === true ? [{ type: "FileSystemResizePending", status: "True" }] : [],
  },
});
const template = (draft: Draft): PersistentVolumeClaimTemplate => ({ spec: spec(draft) });

test.each<[string, Draft, Draft, { compatible: boolean; butForSize: boolean; grow: boolean; expanded: boolean; completed: boolean }]>([
  [
    "as asked",
    { size: "1Gi", capacity: "1Gi" },
    { size: "1024Mi" },
    { compatible: true, butForSize: true, grow: false, expanded: true, completed: true },
  ],
  [
    "too small",
    { size: "1Gi", capacity: "1Gi" },
    { size: "2Gi" },
    { compatible: false, butForSize: true, grow: true, expanded: true, completed: false },
  ],
  [
    "growing",
    { size: "2Gi", capacity: "1Gi" },
    { size: "2Gi" },
    { compatible: true, butForSize: true, grow: false, expanded: false, completed: false },
  ],
  [
    "file system to grow",
    { size: "2Gi", capacity: "1Gi", resizePending: true },
    { size: "2Gi" },
    { compatible: true, butForSize: true, grow: false, expanded: false, completed: true },
  ],
  [
    "larger than asked",
    { size: "3Gi", capacity: "3Gi" },
    { size: "2Gi" },
    { compatible: true, butForSize: true, grow: false, expanded: true, completed: true },
  ],
  [
    "other class",
    { size: "1Gi", capacity: "1Gi", storageClass: "a" },
    { size: "1Gi", storageClass: "b" },
    { compatible: false, butForSize: false, grow: false, expanded: true, completed: false },
  ],
  [
    "class left open",
    { size: "1Gi", capacity: "1Gi", storageClass: "a" },
    { size: "1Gi" },
    { compatible: true, butForSize: true, grow: false, expanded: true, completed: true },
  ],
  [
    "other modes",
    { size: "1Gi", capacity: "1Gi" },
    { size: "1Gi", modes: ["ReadWriteMany"] },
    { compatible: false, butForSize: false, grow: false, expanded: true, completed: false },
  ],
  [
    "more modes",
    { size: "1Gi", capacity: "1Gi" },
    { size: "1Gi", modes: ["ReadWriteOnce", "ReadOnlyMany"] },
    { compatible: false, butForSize: false, grow: false, expanded: true, completed: false },
  ],
  ["no size at all", {}, {}, { compatible: true, butForSize: true, grow: false, expanded: true, completed: true }],
])("%s", (_, claimed, wanted, expected) => {
  const have = claim(claimed);
  const want = template(wanted);
  expect({
    compatible: isCompatible(have, want),
    butForSize: isCompatibleButForSize(have, want),
    grow: needsExpansion(have, want),
    expanded: isExpanded(have),
    completed: isPatchCompleted(have, want),
  }).toEqual(expected);
});

test("a question is asked only of claims that can be kept", () => {
  const have = claim({ size: "1Gi" });
  expect(matchClaim(have, template({ size: "2Gi" }), needsExpansion)).toEqual({ matches: false, needsWork: true });
  expect(matchClaim(have, template({ size: "1Gi" }), needsExpansion)).toEqual({ matches: true, needsWork: false });
  expect(
    matchClaim(have, template({ modes: [] }), () => {
      throw new Error("not to be asked");
    }),
  ).toEqual({ matches: false, needsWork: false });
});
