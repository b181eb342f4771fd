/**
 * What Bun links into itself, and so into our binary, as Bun's own licence page lists it. Versions come from the runtime where it tells them.
 */
export interface Component {
  readonly name: string;
  /** SPDX expression; NOASSERTION where Bun's page says "several licences". */
  readonly license: string;
  /** A release or a commit; absent where the runtime does not say. */
  readonly version?: string;
}

const versions = process.versions as Readonly<Record<string, string | undefined>>;

const component = (name: string, license: string, version?: string): Component => ({ name, license, ...(version ? { version } : {}) });

export const runtimeComponents: readonly Component[] = [
  component("JavaScriptCore", "LGPL-2.0-only", versions["webkit"]),
  component("boringssl", "NOASSERTION", versions["boringssl"]),
  component("brotli", "MIT", versions["brotli"]),
  component("c-ares", "MIT", versions["ares"]),
  component("icu", "Unicode-3.0", versions["icu"]),
  component("libarchive", "NOASSERTION", versions["libarchive"]),
  component("libbase64", "BSD-2-Clause"),
  component("libdeflate", "MIT", versions["libdeflate"]),
  component("lol-html", "BSD-3-Clause", versions["lolhtml"]),
  component("ls-hpack", "MIT", versions["lshpack"]),
  component("mimalloc", "MIT", versions["mimalloc"]),
  component("picohttpparser", "MIT", versions["picohttpparser"]),
  component("simdutf", "Apache-2.0", versions["simdutf"]),
  component("sqlite", "blessing", versions["sqlite"]),
  component("tinycc", "LGPL-2.1-only", versions["tinycc"]),
  component("uSockets", "Apache-2.0", versions["usockets"]),
  component("uWebSockets", "Apache-2.0", versions["uwebsockets"]),
  component("zlib", "Zlib", versions["zlib"]),
  component("zstd", "BSD-3-Clause", versions["zstd"]),
];
