/** The product's image, built as for a release, for this machine's architecture. */
import { existsSync } from "node:fs";
import { join } from "node:path";
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

/** Builds binary and image anew. @param out below the root of the repository */
export async function buildProductImage(out: string): Promise<ProductImage> {
  await ensurePackages(["buildah"]);
  const options = { cwd: root, timeoutMs: buildTimeoutMs };
  const bun = process.execPath;
  await must([bun, "scripts/build.ts", `--target=linux-${architecture}`], options);
  await must([bun, "scripts/licences.ts"], options);
  await must([bun, "scripts/image.ts", "--base=debian", `--arch=${architecture}`, `--out=${out}`], options);
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
