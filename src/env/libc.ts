/** Calls into the system's C library, for the little that the runtime has no words for. */
import { dlopen, type FFIFunction } from "bun:ffi";

const libraries = ["libc.so.6", "libc.so", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

/** Functions of the C library by their names; undefined where there is none that can be called. */
export function cFunctions<Functions extends Record<string, FFIFunction>>(functions: Functions) {
  if (process.platform !== "linux") return undefined;
  for (const library of libraries) {
    try {
      return dlopen(library, functions).symbols;
    } catch {
      // Another libc: the next name.
    }
  }
  return undefined;
}
