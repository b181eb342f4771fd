/** buildah, with a store of its own: it needs no daemon, and leaves the machine's images alone. */
import { join } from "node:path";
import { must } from "./command.ts";

export type Architecture = "amd64" | "arm64";

const store = join(import.meta.dir, "../../.kruiser/buildah");
// vfs works everywhere, also inside a container whose own file system is an overlay.
const global = ["buildah", `--root=${store}/root`, `--runroot=${store}/run`, "--storage-driver=vfs"];

/** @throws Error when buildah is missing or fails */
export function buildah(args: readonly string[], cwd?: string): Promise<string> {
  if (Bun.which("buildah") === null) throw new Error("images are built with buildah: install it (Debian: apt-get install buildah)");
  // Where the file system allows no user namespace of its own, `chroot` is the isolation that needs none.
  return must([...global, ...args], { env: { BUILDAH_ISOLATION: "chroot" }, ...(cwd === undefined ? {} : { cwd }) });
}

/** For cleaning up, where a failure is no news. */
export async function buildahQuiet(args: readonly string[]): Promise<void> {
  await buildah(args).catch(() => {});
}
