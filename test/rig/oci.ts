/** Small OCI images made of files in memory: no base image, no build tool, the same bytes every time. */

export interface ImageFile {
  /** Without the leading slash. */
  readonly path: string;
  /** Permission bits. Default 0o755 for directories, 0o644 for files. */
  readonly mode?: number;
  readonly content?: string | Uint8Array<ArrayBuffer>;
  /** Makes this a symbolic link. */
  readonly linkTo?: string;
  readonly directory?: boolean;
}

export interface ImageOptions {
  /** Lowest first. */
  readonly layers: readonly (readonly ImageFile[])[];
  readonly entrypoint: readonly string[];
  readonly env?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Image {
  readonly manifest: Uint8Array<ArrayBuffer>;
  readonly digest: string;
  /** By digest: config and layers. */
  readonly blobs: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

export const manifestType = "application/vnd.oci.image.manifest.v1+json";

export function buildImage(options: ImageOptions): Image {
  const layers = options.layers.map(tar);
  const config = encodeJson({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: {
      Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", ...(options.env ?? [])],
      Entrypoint: options.entrypoint,
      WorkingDir: "/",
      ...(options.labels ? { Labels: options.labels } : {}),
    },
    rootfs: { type: "layers", diff_ids: layers.map(digestOf) },
  });
  const descriptor = (mediaType: string, bytes: Uint8Array) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = encodeJson({
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: layers.map((layer) => descriptor("application/vnd.oci.image.layer.v1.tar", layer)),
  });
  return { manifest, digest: digestOf(manifest), blobs: new Map([config, ...layers].map((bytes) => [digestOf(bytes), bytes])) };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
}

function encodeJson(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

const blockBytes = 512;

/** POSIX ustar, owner root, time zero. Paths up to 100 bytes. */
function tar(files: readonly ImageFile[]): Uint8Array<ArrayBuffer> {
  const blocks: Uint8Array<ArrayBuffer>[] = [];
  for (const file of files) {
    const content = typeof file.content === "string" ? new TextEncoder().encode(file.content) : (file.content ?? new Uint8Array());
    blocks.push(header(file, content.length), content, new Uint8Array((blockBytes - (content.length % blockBytes)) % blockBytes));
  }
  blocks.push(new Uint8Array(2 * blockBytes));
  return new Uint8Array(Buffer.concat(blocks));
}

function header(file: ImageFile, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, offset: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset, "latin1");
  const type = file.directory ? "5" : file.linkTo === undefined ? "0" : "2";
  block.write(file.path, 0, 100, "utf8");
  octal(file.mode ?? (file.directory ? 0o755 : 0o644), 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(sizeBytes, 124, 12);
  octal(0, 136, 12);
  block.write("        ", 148, "latin1");
  block.write(type, 156, "latin1");
  if (file.linkTo !== undefined) block.write(file.linkTo, 157, 100, "utf8");
  block.write("ustar\0", 257, "latin1");
  block.write("00", 263, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return new Uint8Array(block);
}
