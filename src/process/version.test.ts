import { expect, test } from "bun:test";
import { platformOf } from "./version.ts";

test.each([
  ["linux", "x64", "linux/amd64"],
  ["linux", "arm64", "linux/arm64"],
  ["darwin", "arm64", "darwin/arm64"],
  ["win32", "x64", "windows/amd64"],
])("%s on %s is called %s", (os, arch, name) => {
  expect(platformOf(os, arch)).toBe(name);
});
