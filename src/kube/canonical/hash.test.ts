import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { encodeAs } from "./encode.ts";
import {
  byteTextHash,
  daemonSetRevisionHash,
  envHash,
  fnv1,
  fnv1a,
  isPlainContainerHash,
  nameAndImageHash,
  safeEncode,
  volumeClaimTemplatesHash,
  wholeContainerHash,
} from "./hash.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const claim = (name: string, requests: string, limits?: string) => ({
  metadata: { name, labels: { ignored: "yes" } },
  spec: {
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: requests }, ...(limits === undefined ? {} : { limits: { storage: limits } }) },
  },
  status: { phase: "Pending" },
});

test("FNV's own vectors", () => {
  expect(fnv1(bytes(""))).toBe(0x811c9dc5);
  expect(fnv1(bytes("foobar"))).toBe(0x31f0b262);
  expect(fnv1a(bytes("foobar"))).toBe(0xbf9cf968);
});

test("digits become letters that make no words", () => expect(safeEncode("0123456789")).toBe("456789bcdf"));

test("the short cut equals the text it stands for", () => {
  const json = '{"a":"\u00ff\u0001~","b":100}';
  expect(byteTextHash(json)).toBe(fnv1a(bytes(`([]uint8)[${[...bytes(json)].join(" ")}]`)));
  expect(byteTextHash("")).toBe(fnv1a(bytes("([]uint8)[]")));
});

test.each([
  [[], ""],
  [undefined, ""],
  [[claim("data", "20Gi")], "1632514146"],
  [[claim("pvc-1", "1Gi", "2Gi")], "1129974074"],
  [[claim("pvc-1", "1Gi", "2Gi"), claim("pvc-2", "2Gi", "4Gi")], "510584408"],
  [[claim("pvc-2", "2Gi", "4Gi"), claim("pvc-1", "1024Mi", "2Gi")], "510584408"],
])("claims %j hash to %p", (templates, hash) => expect(volumeClaimTemplatesHash(templates)).toBe(hash));

test("a container as two generations of kubelets hash it", () => {
  expect(nameAndImageHash({ name: "c1", image: "nginx:1.25" })).toBe(1263982755);
  const whole = {
    name: "c1",
    image: "nginx:1.25",
    imagePullPolicy: "IfNotPresent",
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
  };
  expect(wholeContainerHash(whole)).toBe(1014853968);
  expect(isPlainContainerHash(1263982755, whole)).toBe(true);
  expect(isPlainContainerHash(1014853968, whole)).toBe(true);
  expect(isPlainContainerHash(1014853969, whole)).toBe(false);
});

test.each([
  [[], 86995377],
  [[{ name: "CFG", value: "v1" }], 429381897],
  [
    [
      { name: "ZONE", value: "" },
      { name: "CFG", value: "v1" },
    ],
    1980215223,
  ],
])("env %j hashes to %p", (entries, hash) => expect(envHash(entries)).toBe(hash));

test("an Advanced DaemonSet's count is eight bytes", () => {
  const counted = new Uint8Array([...bytes("{}"), 1, 0, 0, 0, 0, 0, 0, 0]);
  expect(daemonSetRevisionHash("{}", 1)).toBe(safeEncode(String(fnv1a(counted))));
  expect(daemonSetRevisionHash("{}")).toBe(safeEncode(String(fnv1a(bytes("{}")))));
});

test("a SidecarSet's hash over its containers in the order of declaration", () => {
  const set = (json: string): string => safeEncode(createHash("sha256").update(json).digest("hex"));
  const container = { name: "container1", image: "test-image" };
  const list = (...containers: unknown[]): string => encodeAs("[]SidecarContainer", containers, { sorted: false });
  expect(list(container)).toBe('[{"name":"container1","image":"test-image","resources":{},"upgradeStrategy":{},"shareVolumePolicy":{}}]');
  expect(set(`{"containers":${list(container)}}`)).toBe("w26c4x8fz245642fdv499b464248f974xddx4x55z5dw55bc6x66464fxz77dc78");
  expect(set(`{"containers":${list({ name: "container1" })}}`)).toBe("8wzddb4dvv9c6x8zdc77z4z75987424f457dfv6724ddw6zbdx467wz5x24fc759");
  const native = { ...container, restartPolicy: "Always" };
  expect(set(`{"containers":${list(container)},"initContainers":${list(native)}}`)).toBe(
    "4xwx4d4844vd4v9x79wb4xbxf4xb29475cc4446v8cz2c2f2f5c5bw448vd42z8w",
  );
  expect(
    set(`{"containers":${list({ name: "container1" })},"initContainers":${list({ name: "container1", restartPolicy: "Always" })}}`),
  ).toBe("5725fw8bwbx249bw57v5892c847dzf48bww9zb7c86xb95264fdz26654847b2c8");
});
