/** Image references as image pulling spells them: the familiar name without tag, and what stands behind it. */
import { type ImageRef, parseImage } from "../../kube/image-ref.ts";

export interface FamiliarImage {
  /** "nginx" for docker.io/library/nginx, "team/app" for docker.io/team/app; other registries stay: "registry.test:5000/app". */
  readonly name: string;
  /** The digest if there is one (a tag beside it is dropped), else the tag, else "latest". */
  readonly tag: string;
}

const knownDigest = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/;

/** @returns undefined when the text is no reference */
export function familiarImage(text: string): FamiliarImage | undefined {
  const image = parseImage(text);
  if (image === undefined || !isRegistry(image.domain)) return undefined;
  if (image.digest !== undefined && !knownDigest.test(image.digest)) return undefined;
  return { name: familiarName(image), tag: image.digest ?? image.tag ?? "latest" };
}

/** "UPPERCASE/image" is a path in upper case, which registries refuse, and no registry's name. */
function isRegistry(domain: string): boolean {
  return domain === "localhost" || domain.includes(".") || domain.includes(":");
}

function familiarName({ domain, path }: ImageRef): string {
  if (domain !== "docker.io") return `${domain}/${path}`;
  const rest = path.startsWith("library/") ? path.slice("library/".length) : path;
  return rest.includes("/") ? path : rest;
}

/** Whether a task's tag is a digest. */
export function isDigest(tag: string): boolean {
  return tag.includes(":");
}

/** What a runtime is asked for. @param qualified with the registry spelled out, for runtimes that look short names up elsewhere */
export function pullReference(name: string, tag: string, qualified = false): string {
  const image = qualified ? repositoryOfName(name) : name;
  return isDigest(tag) ? `${image}@${tag}` : `${image}:${tag}`;
}

/** "docker.io/library/nginx" for "nginx": what credentials are looked up by. */
export function repositoryOfName(name: string): string {
  const image = parseImage(name);
  return image === undefined ? name : `${image.domain}/${image.path}`;
}
