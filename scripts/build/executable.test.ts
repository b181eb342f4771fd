import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { executableOf, misfitOf } from "./executable.ts";
import { signedAdhoc } from "./sign-macho.ts";
import { targetNamed } from "./targets.ts";

const pageBytes = 4096;
const codeBytes = 3 * pageBytes + 100;

/** The least of a Mach-O program: two segments, and a place for a signature of which only the size is there. */
function machO(): Uint8Array {
  const bytes = new Uint8Array(codeBytes + 64).fill(7);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0xfeedfacf, true);
  view.setUint32(4, 0x01000007, true);
  view.setUint32(16, 3, true);
  const segment = (at: number, name: string, offset: number, size: number) => {
    view.setUint32(at, 0x19, true);
    view.setUint32(at + 4, 72, true);
    bytes.set(Buffer.from(name.padEnd(16, "\0")), at + 8);
    for (const [index, value] of [0, size, offset, size].entries()) view.setBigUint64(at + 24 + 8 * index, BigInt(value), true);
  };
  segment(32, "__TEXT", 0, 2 * pageBytes);
  segment(104, "__LINKEDIT", 2 * pageBytes, bytes.length - 2 * pageBytes);
  for (const [index, value] of [0x1d, 16, codeBytes, 64].entries()) view.setUint32(176 + 4 * index, value, true);
  return bytes;
}

describe("signatures of Mach-O", () => {
  test("what is there is of no use, then it is whole, and a changed byte breaks it", () => {
    const target = targetNamed("darwin-amd64");
    expect(misfitOf(machO(), target)).toBe("its signature is broken: there is none where the header says");
    const signed = signedAdhoc(machO(), "kruise");
    expect(executableOf(signed)).toEqual({
      format: "mach-o",
      arch: "amd64",
      signature: { state: "whole", identifier: "kruise", adhoc: true },
    });
    expect(misfitOf(signed, target)).toBeUndefined();
    for (const at of [20, pageBytes, codeBytes - 1]) {
      const changed = signed.slice();
      changed[at]! ^= 1;
      expect(executableOf(changed).signature).toMatchObject({
        state: "broken",
        why: `page ${Math.floor(at / pageBytes)} of 4 is not the one that was signed`,
      });
    }
    const longer = new Uint8Array([...signed, 0]);
    expect(executableOf(longer).signature?.state).toBe("broken");
  });

  test("the last segment reaches to the end of the file, in memory too; signing again changes nothing", () => {
    const signed = signedAdhoc(machO(), "kruise");
    const view = new DataView(signed.buffer);
    const [memoryBytes, offset, fileBytes] = [32, 40, 48].map((at) => Number(view.getBigUint64(104 + at, true)));
    expect(offset! + fileBytes!).toBe(signed.length);
    expect(memoryBytes).toBeGreaterThanOrEqual(fileBytes!);
    expect(signedAdhoc(signed, "kruise")).toEqual(signed);
  });
});

test("this very runtime fits where it runs, and nowhere else", () => {
  const bytes = readFileSync(process.execPath);
  const { format, arch } = executableOf(bytes);
  expect(arch).toBe(process.arch === "arm64" ? "arm64" : "amd64");
  if (format !== "elf") return;
  expect(misfitOf(bytes, targetNamed(`linux-${arch}`))).toBeUndefined();
  expect(misfitOf(bytes, targetNamed(`linux-${arch}-musl`))).toContain("it is loaded by /lib");
  expect(misfitOf(bytes, targetNamed(arch === "arm64" ? "linux-amd64" : "linux-arm64"))).toBe(`it is for ${arch}`);
  expect(misfitOf(bytes, targetNamed("windows-amd64"))).toBe("it is a program in the format elf");
});

test("a script is no program", () => {
  expect(() => executableOf(Buffer.from("#!/bin/sh\n".repeat(20)))).toThrow("neither an ELF");
});
