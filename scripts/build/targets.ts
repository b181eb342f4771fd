/** The machines Kruiser is built for. Bun has no runtime for 32-bit ARM, ppc64le or s390x, so neither has Kruiser. */
export interface Target {
  /** In file names: "linux-arm64-musl". */
  readonly name: string;
  /** The npm package that holds Bun for this machine; its version and checksum are in bun.lock. */
  readonly runtime: string;
  readonly os: "linux" | "darwin" | "windows";
  /** As npm writes them, to pick the package on a foreign machine. */
  readonly npm: { readonly os: string; readonly cpu: string; readonly libc?: string };
  /** Manager and daemon need Linux; elsewhere the same binary serves as kubectl-kruise. */
  readonly roles: "all" | "cli";
}

const linux = (arch: "amd64" | "arm64", musl: boolean): Target => ({
  name: `linux-${arch}${musl ? "-musl" : ""}`,
  runtime: `@oven/bun-linux-${arch === "amd64" ? "x64" : "aarch64"}${musl ? "-musl" : ""}`,
  os: "linux",
  npm: { os: "linux", cpu: arch === "amd64" ? "x64" : "arm64", libc: musl ? "musl" : "glibc" },
  roles: "all",
});

export const targets: readonly Target[] = [
  linux("amd64", false),
  linux("arm64", false),
  linux("amd64", true),
  linux("arm64", true),
  { name: "darwin-amd64", runtime: "@oven/bun-darwin-x64", os: "darwin", npm: { os: "darwin", cpu: "x64" }, roles: "cli" },
  { name: "darwin-arm64", runtime: "@oven/bun-darwin-aarch64", os: "darwin", npm: { os: "darwin", cpu: "arm64" }, roles: "cli" },
  { name: "windows-amd64", runtime: "@oven/bun-windows-x64", os: "windows", npm: { os: "win32", cpu: "x64" }, roles: "cli" },
];

export function fileOf(target: Target): string {
  return `kruise-${target.name}${target.os === "windows" ? ".exe" : ""}`;
}

/** @throws Error naming what there is */
export function targetNamed(name: string): Target {
  const found = targets.find((target) => target.name === name);
  if (!found) throw new Error(`no target "${name}": expected ${targets.map((target) => target.name).join(", ")}`);
  return found;
}
