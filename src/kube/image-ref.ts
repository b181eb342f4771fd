/** Image references, as the container registries' grammar has them: `[domain/]path[:tag][@digest]`. */

export interface ImageRef {
  /** "docker.io" when the reference names none. */
  readonly domain: string;
  /** "library/nginx" for "nginx". */
  readonly path: string;
  /** undefined when the reference has none: see `tagOrLatest`. */
  readonly tag?: string;
  /** "sha256:…" */
  readonly digest?: string;
}

const domainShape =
  /^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const pathShape = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagShape = /^\w[\w.-]{0,127}$/;
const digestShape = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const bareIdentifier = /^[a-f0-9]{64}$/;
const nameLengthMax = 255; // characters of domain and path, as registries have it
const referenceLengthMax = 1024; // characters; bounds the work that a status can ask for

/** Strips the `docker-pullable://`-like prefix of an imageID. */
export function withoutScheme(imageId: string): string {
  const at = imageId.indexOf("://");
  return at < 0 ? imageId : imageId.slice(at + 3);
}

/** @returns undefined when the text is no reference (upper case in the path, a bare image ID, …) */
export function parseImage(text: string): ImageRef | undefined {
  if (text.length > referenceLengthMax || bareIdentifier.test(text)) return undefined;
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !digestShape.test(digest)) return undefined;
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !tagShape.test(tag)) return undefined;
  const { domain, path } = splitDomain(colon < 0 ? named : named.slice(0, colon));
  if (!domainShape.test(domain) || !pathShape.test(path) || domain.length + path.length + 1 > nameLengthMax) return undefined;
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain = slash >= 0 && (/[.:]/.test(first) || first === "localhost" || first.toLowerCase() !== first);
  const domain = isDomain ? first : "docker.io";
  const path = isDomain ? name.slice(slash + 1) : name;
  if (domain !== "docker.io" && domain !== "index.docker.io") return { domain, path };
  return { domain: "docker.io", path: path.includes("/") ? path : `library/${path}` };
}

/** "docker.io/library/nginx": what credentials are looked up by. */
export function repositoryOf(image: ImageRef): string {
  return `${image.domain}/${image.path}`;
}

/** The tag; "latest" when there is neither tag nor digest; "" when there is only a digest. */
export function tagOrLatest(image: ImageRef): string {
  return image.tag ?? (image.digest === undefined ? "latest" : "");
}

/**
 * One spelling per image: full domain and path, `latest` if nothing else is said, and the digest alone where there is one.
 * @returns the text itself when it is no reference
 */
export function normaliseImage(text: string): string {
  const image = parseImage(text);
  if (image === undefined) return text;
  return image.digest === undefined ? `${repositoryOf(image)}:${tagOrLatest(image)}` : `${repositoryOf(image)}@${image.digest}`;
}

/** Whether two references name the same image: by digest where both have one, else by tag. One of each is never the same. */
export function sameImage(a: string, b: string): boolean {
  if (a === b) return true;
  const left = parseImage(withoutScheme(a));
  const right = parseImage(withoutScheme(b));
  if (left === undefined || right === undefined) return false;
  if (left.domain !== right.domain || left.path !== right.path) return false;
  if (left.digest !== undefined && right.digest !== undefined) return left.digest === right.digest;
  return tagOrLatest(left) === tagOrLatest(right);
}

/** What Kubernetes fills in for a missing imagePullPolicy: a tag that moves is always pulled. */
export function defaultPullPolicy(text: string): "Always" | "IfNotPresent" {
  const image = parseImage(text);
  return image !== undefined && tagOrLatest(image) === "latest" ? "Always" : "IfNotPresent";
}
