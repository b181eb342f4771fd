/** The product's image, built as for a release, for this machine's architecture. */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { stampOf } from "../../scripts/build/stamp.ts";
import { imageFacts, type Platform, readBlob } from "../../scripts/image/layout.ts";
import { ensurePackages } from "../rig/debian.ts";
import type { Image } from "../rig/oci.ts";
import { must } from "../rig/process.ts";

const root = join(import.meta.dir, "../..");
const buildTimeoutMs = 15 * 60_000;
export const architecture = process.arch === "arm64" ? "arm64" : "amd64";

export interface ProductImage {
  /** Directory of the OCI layout. */
  readonly layout: string;
  readonly digest: string;
  readonly platform: Platform;
  /** For the rig's registry. */
  readonly image: Image;
}

const architectures = ["amd64", "arm64"] as const;

let built: Promise<ProductImage> | undefined;

/** Built by whoever asks first, and shared: within a process always, beyond it as long as it is of this very commit. */
export function productImage(): Promise<ProductImage> {
  built ??= reusable() ? Promise.resolve(readProductImage(sharedLayout)) : buildProductImage(relative(root, sharedLayout));
  return built;
}

const sharedLayout = join(root, ".kruiser/test-image");

function reusable(): boolean {
  const { commit } = stampOf();
  if (commit.endsWith("-dirty") || !existsSync(sharedLayout)) return false;
  const { platforms } = imageFacts(sharedLayout);
  return (
    platforms.length === architectures.length &&
    platforms.every(({ config }) => config.config.Labels?.["org.opencontainers.image.revision"] === commit)
  );
}

/** Builds binaries and image anew, for all architectures. @param out below the root of the repository */
export async function buildProductImage(out: string): Promise<ProductImage> {
  await ensurePackages(["buildah"]);
  const options = { cwd: root, timeoutMs: buildTimeoutMs };
  const bun = process.execPath;
  await must([bun, "scripts/build.ts", `--target=${architectures.map((name) => `linux-${name}`).join(",")}`], options);
  await must([bun, "scripts/licences.ts"], options);
  await must([bun, "scripts/image.ts", "--base=debian", `--arch=${architectures.join(",")}`, `--out=${out}`], options);
  return readProductImage(join(root, out));
}

export function readProductImage(layout: string): ProductImage {
  if (!existsSync(layout)) throw new Error(`${layout} is not there: build it first`);
  const { digest, platforms } = imageFacts(layout);
  const platform = platforms.find((candidate) => candidate.architecture === architecture);
  if (!platform) throw new Error(`${layout} holds no image for ${architecture}`);
  const { manifest } = platform;
  const bytes = (of: string) => new Uint8Array(readBlob(layout, of));
  const blobs = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, bytes(blob.digest)]));
  return { layout, digest, platform, image: { manifest: bytes(platform.digest), digest: platform.digest, blobs } };
}
