import { expect, test } from "bun:test";
import { join } from "node:path";
import { readLock } from "./lockfile.ts";

const lock = readLock(join(import.meta.dir, "../../bun.lock"));

test("packages are found by name, with version, checksum and what they need", () => {
  const pino = lock.get("pino");
  expect(pino).toMatchObject({
    name: "pino",
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    integrity: expect.stringMatching(/^sha512-/),
  });
  expect(pino?.dependencies).toContain("sonic-boom");
});
