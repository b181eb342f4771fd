/** What has to go to a registry, in which order, as lines that a shell can read. */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { blobPath, type Descriptor, readBlob } from "../image/layout.ts";

const refName = "org.opencontainers.image.ref.name";

interface AnyManifest {
  readonly mediaType?: string;
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

/** The tags under which cosign keeps signatures and attestations of an image's index and of its platforms. Signatures must be there. */
export function references(layout: string, tag: string): { tag: string; optional: boolean }[] {
  const top = entries(layout).find(({ annotations }) => annotations?.[refName] === tag);
  if (!top) throw new Error(`${layout} holds no image ${tag}`);
  const platforms = manifestOf(layout, top).manifests ?? [];
  return [top, ...platforms].flatMap(({ digest }) => {
    const base = digest.replace(":", "-");
    return [
      { tag: `${base}.sig`, optional: false },
      { tag: `${base}.att`, optional: true },
    ];
  });
}

/**
 * `blob <digest> <path>`, then `manifest <media type> <digest or tag> <path>`: what others refer to comes first. Paths are relative to the
 * folder of the layout's parent.
 */
export function pushList(layout: string): string {
  const blobs = new Map<string, string>();
  const manifests: string[] = [];
  const path = (digest: string) => relative(join(layout, ".."), blobPath(layout, digest));
  const add = (descriptor: Descriptor, reference: string) => {
    const manifest = manifestOf(layout, descriptor);
    for (const child of manifest.manifests ?? []) add(child, child.digest);
    for (const blob of [...(manifest.config ? [manifest.config] : []), ...(manifest.layers ?? [])])
      blobs.set(blob.digest, path(blob.digest));
    manifests.push(`manifest ${manifest.mediaType ?? descriptor.mediaType} ${reference} ${path(descriptor.digest)}`);
  };
  for (const entry of entries(layout)) add(entry, entry.annotations?.[refName] ?? entry.digest);
  return `${[...[...blobs].map(([digest, file]) => `blob ${digest} ${file}`), ...manifests].join("\n")}\n`;
}

function entries(layout: string): readonly Descriptor[] {
  return (JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: Descriptor[] }).manifests;
}

function manifestOf(layout: string, { digest }: Descriptor): AnyManifest {
  return JSON.parse(readBlob(layout, digest).toString()) as AnyManifest;
}
