/** Names of images and the digests that the sandbox gives them. */
import { createHash } from "node:crypto";

export interface ImageName {
  readonly repository: string;
  /** "" for an image by digest. */
  readonly tag: string;
  readonly digest: string;
}

export function parseImageRef(image: string): ImageName {
  const at = image.indexOf("@");
  const named = at < 0 ? image : image.slice(0, at);
  const digest = at < 0 ? "" : image.slice(at + 1);
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  return {
    repository: hasTag ? named.slice(0, colon) : named,
    tag: hasTag ? named.slice(colon + 1) : digest === "" ? "latest" : "",
    digest,
  };
}

/** The same name has the same content; ":v1-same" has that of ":v1". */
export function imageIdOf(image: string): string {
  const { repository, tag, digest } = parseImageRef(image);
  if (digest !== "") return `${repository}@${digest}`;
  const content = `${repository}:${tag.replace(/-same$/, "")}`;
  return `${repository}@sha256:${createHash("sha256").update(content).digest("hex")}`;
}
