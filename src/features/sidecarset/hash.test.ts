import { expect, test } from "bun:test";
import fc from "fast-check";
import type { SidecarContainer } from "../../api/sidecarset.ts";
import { hashesOf } from "./hash.ts";

const container1: SidecarContainer = { name: "container1", image: "test-image" };
const plain = {
  hash: "w26c4x8fz245642fdv499b464248f974xddx4x55z5dw55bc6x66464fxz77dc78",
  withoutImage: "8wzddb4dvv9c6x8zdc77z4z75987424f457dfv6724ddw6zbdx467wz5x24fc759",
};

test("vectors of OpenKruise", () => {
  expect(hashesOf({ containers: [container1] })).toEqual(plain);
  expect(hashesOf({ containers: [container1], initContainers: [container1] })).toEqual(plain);
  expect(hashesOf({ containers: [container1], initContainers: [{ ...container1, restartPolicy: "Always" }] })).toEqual({
    hash: "4xwx4d4844vd4v9x79wb4xbxf4xb29475cc4446v8cz2c2f2f5c5bw448vd42z8w",
    withoutImage: "5725fw8bwbx249bw57v5892c847dzf48bww9zb7c86xb95264fdz26654847b2c8",
  });
});

test("only the image is left out of the second", () => {
  const changed = hashesOf({ containers: [{ ...container1, image: "other" }] });
  expect(changed.hash).not.toBe(plain.hash);
  expect(changed.withoutImage).toBe(plain.withoutImage);
  expect(hashesOf({ containers: [{ ...container1, env: [{ name: "A", value: "1" }] }] }).withoutImage).not.toBe(plain.withoutImage);
});

test("amounts count by value, absent and empty fields are the same", () => {
  const one = hashesOf({ containers: [{ ...container1, resources: { limits: { cpu: "1000m" } }, env: [], upgradeStrategy: {} }] });
  expect(hashesOf({ containers: [{ ...container1, resources: { limits: { cpu: 1 } } }] })).toEqual(one);
});

test("any JSON has a hash of 64 characters", () =>
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (containers, initContainers) => {
      const { hash, withoutImage } = hashesOf({ containers, initContainers } as never);
      expect(hash).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{64}$/);
      expect(withoutImage).toHaveLength(64);
    }),
  ));
