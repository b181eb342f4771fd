/**
 * What kind of program a file is, by its own headers: a build is for the machine that its name says, and a Mac would start it.
 * ELF, Mach-O (64 bits, not fat) and PE, little-endian all of them; signatures of Mach-O are big-endian.
 */
import type { Target } from "./targets.ts";

export interface Executable {
  readonly format: "elf" | "mach-o" | "pe";
  readonly arch: "amd64" | "arm64";
  /** ELF: the program that loads it. */
  readonly interpreter?: string;
  /** Mach-O: macOS kills a program for arm64 whose pages are not those that were signed. */
  readonly signature?: Signature;
}

export type Signature =
  | { readonly state: "absent" }
  | { readonly state: "broken"; readonly why: string }
  /** Whole, of this name; `adhoc`: by nobody. */
  | { readonly state: "whole"; readonly identifier: string; readonly adhoc: boolean };

const formats = { linux: "elf", darwin: "mach-o", windows: "pe" } as const;
const loaders: Readonly<Record<string, string>> = {
  "linux-amd64": "/lib64/ld-linux-x86-64.so.2",
  "linux-arm64": "/lib/ld-linux-aarch64.so.1",
  "linux-amd64-musl": "/lib/ld-musl-x86_64.so.1",
  "linux-arm64-musl": "/lib/ld-musl-aarch64.so.1",
};

/** @returns why this program is not one for that machine; undefined: it is. @throws Error as `executableOf` does */
export function misfitOf(bytes: Uint8Array, target: Pick<Target, "name" | "os">): string | undefined {
  const { format, arch, interpreter, signature } = executableOf(bytes);
  if (format !== formats[target.os]) return `it is a program in the format ${format}`;
  if (arch !== target.name.split("-")[1]) return `it is for ${arch}`;
  if (interpreter !== loaders[target.name]) return `it is loaded by ${interpreter}`;
  if (signature?.state === "absent") return "it is not signed";
  return signature?.state === "broken" ? `its signature is broken: ${signature.why}` : undefined;
}

/** @throws Error for what is no such program, or one for another processor */
export function executableOf(bytes: Uint8Array): Executable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength > 64) {
    if (view.getUint32(0) === 0x7f_45_4c_46) return elf(view);
    if (view.getUint32(0, true) === 0xfe_ed_fa_cf) return machO(view);
    if (view.getUint16(0) === 0x4d_5a) return pe(view);
  }
  throw new Error("neither an ELF, a Mach-O nor a PE program of 64 bits");
}

function archOf(machine: number, names: { readonly amd64: number; readonly arm64: number }): "amd64" | "arm64" {
  if (machine === names.amd64) return "amd64";
  if (machine === names.arm64) return "arm64";
  throw new Error(`for processor 0x${machine.toString(16)}, which is neither amd64 nor arm64`);
}

function textAt(view: DataView, offset: number): string {
  let end = offset;
  while (view.getUint8(end) !== 0) end += 1;
  return Buffer.from(view.buffer, view.byteOffset + offset, end - offset).toString();
}

const programInterpreter = 3;

function elf(view: DataView): Executable {
  const arch = archOf(view.getUint16(18, true), { amd64: 62, arm64: 183 });
  const start = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  const headers = Array.from({ length: view.getUint16(56, true) }, (_, index) => start + index * size);
  const loader = headers.find((header) => view.getUint32(header, true) === programInterpreter);
  if (loader === undefined) return { format: "elf", arch };
  return { format: "elf", arch, interpreter: textAt(view, Number(view.getBigUint64(loader + 8, true))) };
}

function pe(view: DataView): Executable {
  const header = view.getUint32(60, true);
  if (view.getUint32(header) !== 0x50_45_00_00) throw new Error("a DOS program, not a PE one");
  return { format: "pe", arch: archOf(view.getUint16(header + 4, true), { amd64: 0x86_64, arm64: 0xaa_64 }) };
}

const loadCodeSignature = 0x1d;

function machO(view: DataView): Executable {
  const arch = archOf(view.getUint32(4, true), { amd64: 0x01_00_00_07, arm64: 0x01_00_00_0c });
  let command = 32;
  for (let left = view.getUint32(16, true); left > 0; left -= 1) {
    if (view.getUint32(command, true) === loadCodeSignature) {
      const [offset, size] = [view.getUint32(command + 8, true), view.getUint32(command + 12, true)];
      return { format: "mach-o", arch, signature: signatureAt(view, offset, size) };
    }
    command += view.getUint32(command + 4, true);
  }
  return { format: "mach-o", arch, signature: { state: "absent" } };
}

/** Of Apple's cs_blobs.h. */
const magic = { embeddedSignature: 0xfa_de_0c_c0, codeDirectory: 0xfa_de_0c_02 };
const flagAdhoc = 0x2;
const hashSha256 = 2;
const sha256Bytes = 32;

function signatureAt(view: DataView, offset: number, size: number): Signature {
  const broken = (why: string): Signature => ({ state: "broken", why });
  if (offset + size !== view.byteLength) return broken(`it ends at byte ${offset + size} of ${view.byteLength}`);
  if (view.getUint32(offset) !== magic.embeddedSignature) return broken("there is none where the header says");
  const blobs = Array.from({ length: view.getUint32(offset + 8) }, (_, index) => offset + view.getUint32(offset + 12 + index * 8 + 4));
  const directory = blobs.find((blob) => view.getUint32(blob) === magic.codeDirectory);
  if (directory === undefined) return broken("it has no code directory");
  const hashes = directory + view.getUint32(directory + 16);
  const pages = view.getUint32(directory + 28);
  const signedBytes = view.getUint32(directory + 32);
  const pageBytes = 2 ** view.getUint8(directory + 39);
  if (view.getUint8(directory + 37) !== hashSha256) return broken("its hashes are not SHA-256");
  if (signedBytes !== offset) return broken(`it is of ${signedBytes} bytes, and the program has ${offset}`);
  if (pages !== Math.ceil(signedBytes / pageBytes)) return broken(`it has ${pages} hashes of pages of ${pageBytes} bytes`);
  for (let page = 0; page < pages; page += 1) {
    const from = page * pageBytes;
    const content = new Uint8Array(view.buffer, view.byteOffset + from, Math.min(pageBytes, signedBytes - from));
    const expected = new Uint8Array(view.buffer, view.byteOffset + hashes + page * sha256Bytes, sha256Bytes);
    if (!new Bun.CryptoHasher("sha256").update(content).digest().equals(expected))
      return broken(`page ${page} of ${pages} is not the one that was signed`);
  }
  const flags = view.getUint32(directory + 12);
  return { state: "whole", identifier: textAt(view, directory + view.getUint32(directory + 20)), adhoc: (flags & flagAdhoc) !== 0 };
}
