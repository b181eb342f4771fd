/** Reading an OCI image layout, the form in which images are built, measured, bundled and pushed. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly architecture: string; readonly os: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export interface Platform {
  readonly architecture: string;
  readonly digest: string;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** What a node pulls: all layers and the configuration. */
  readonly compressedBytes: number;
  /** What it unpacks them to. */
  readonly contentBytes: number;
}

export interface ImageConfig {
  readonly architecture: string;
  readonly config: { readonly User?: string; readonly Entrypoint?: readonly string[]; readonly Labels?: Readonly<Record<string, string>> };
}

export interface ImageFacts {
  /** Of the index over all platforms: what an install pins. */
  readonly digest: string;
  readonly platforms: readonly Platform[];
}

export function blobPath(layout: string, digest: string): string {
  return join(layout, "blobs", ...digest.split(":"));
}

export function readBlob(layout: string, digest: string): Buffer {
  return readFileSync(blobPath(layout, digest));
}

/** @throws Error when the layout does not hold exactly one index of images */
export function imageFacts(layout: string): ImageFacts {
  const { manifests } = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: Descriptor[] };
  const [top, ...others] = manifests;
  if (!top || others.length > 0) throw new Error(`${layout}: expected one image, found ${manifests.length}`);
  const index = JSON.parse(readBlob(layout, top.digest).toString()) as { manifests: Descriptor[] };
  return { digest: top.digest, platforms: index.manifests.map((entry) => platformOf(layout, entry)) };
}

function platformOf(layout: string, entry: Descriptor): Platform {
  const manifest = JSON.parse(readBlob(layout, entry.digest).toString()) as Manifest;
  const contentBytes = manifest.layers.reduce((sum, layer) => {
    const blob = readBlob(layout, layer.digest);
    return sum + (layer.mediaType.endsWith("gzip") ? gunzipSync(blob).length : blob.length);
  }, 0);
  return {
    architecture: entry.platform?.architecture ?? "",
    digest: entry.digest,
    manifest,
    config: JSON.parse(readBlob(layout, manifest.config.digest).toString()) as ImageConfig,
    compressedBytes: [manifest.config, ...manifest.layers].reduce((sum, { digest }) => sum + statSync(blobPath(layout, digest)).size, 0),
    contentBytes,
  };
}

/** What a layer holds, by path without leading slash; directories and links have no content. */
export function layerFiles(layout: string, layer: Descriptor): ReadonlyMap<string, Buffer> {
  const blob = readBlob(layout, layer.digest);
  return tarFiles(layer.mediaType.endsWith("gzip") ? gunzipSync(blob) : blob);
}

const blockBytes = 512;

/** POSIX tar with ustar prefixes and GNU long names, which is what image builders write. */
function tarFiles(archive: Buffer): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  let longName: string | undefined;
  for (let at = 0; at + blockBytes <= archive.length && archive[at] !== 0; ) {
    const field = (offset: number, length: number) => archive.toString("utf8", at + offset, at + offset + length).split("\0")[0] ?? "";
    const size = Number.parseInt(field(124, 12), 8) || 0;
    const content = archive.subarray(at + blockBytes, at + blockBytes + size);
    const type = field(156, 1);
    if (type === "L") longName = content.toString("utf8").split("\0")[0];
    else if (type !== "x" && type !== "g") {
      const prefix = field(345, 155);
      const name = longName ?? (prefix === "" ? "" : `${prefix}/`) + field(0, 100);
      files.set(name.replace(/^\.?\//, "").replace(/\/$/, ""), content);
      longName = undefined;
    }
    at += blockBytes + Math.ceil(size / blockBytes) * blockBytes;
  }
  return files;
}
