/** Which credentials fit an image: the kubelet's rules, so that what works for pods works here. */

export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** Of Docker Hub, however the configuration spells it. */
const defaultRegistry = "index.docker.io";

export class Keyring {
  /** Host, port and path prefix → credentials, in the order in which they were added. */
  readonly #entries = new Map<string, Credential[]>();
  #sorted: readonly string[] | undefined;

  get size(): number {
    return this.#entries.size;
  }

  /** @param registry as in a docker configuration: "registry.test:5000/team", "*.example.com", "https://index.docker.io/v1/" */
  add(registry: string, credential: Credential): void {
    const key = keyOf(registry);
    if (key === undefined) return;
    const known = this.#entries.get(key) ?? [];
    if (known.some(({ username, password }) => username === credential.username && password === credential.password)) return;
    this.#entries.set(key, [...known, credential]);
    this.#sorted = undefined;
  }

  /** @param repository with its registry: "docker.io/library/nginx". @returns the more specific ones first */
  lookup(repository: string): readonly Credential[] {
    this.#sorted ??= [...this.#entries.keys()].sort().reverse();
    const found = this.#sorted.filter((key) => matchesImage(key, repository)).flatMap((key) => this.#entries.get(key) ?? []);
    if (found.length > 0 || !isDockerHub(repository)) return found;
    return this.#entries.get(defaultRegistry) ?? [];
  }
}

/** Without scheme and API version; undefined when it is no address. */
function keyOf(registry: string): string | undefined {
  const address = registry.replace(/^https?:\/\//, "");
  const slash = address.indexOf("/");
  const host = slash < 0 ? address : address.slice(0, slash);
  if (host === "") return undefined;
  const path = (slash < 0 ? "" : address.slice(slash)).replace(/^\/v[12]\//, "/");
  return path === "" || path === "/" ? host : host + path;
}

function isDockerHub(repository: string): boolean {
  const slash = repository.indexOf("/");
  const host = slash < 0 ? "" : repository.slice(0, slash);
  return slash < 0 || host === "docker.io" || host === defaultRegistry || (host !== "" && !/[.:]/.test(host));
}

/** Same port, as many parts of the host, each of them by its pattern, and a path that begins the same. */
export function matchesImage(pattern: string, image: string): boolean {
  const [wanted, given] = [split(pattern), split(image)];
  if (wanted.port !== given.port || wanted.parts.length !== given.parts.length || !given.path.startsWith(wanted.path)) return false;
  return wanted.parts.every((part, index) => matchesPart(part, given.parts[index] ?? ""));
}

function split(address: string): { readonly parts: readonly string[]; readonly port: string; readonly path: string } {
  const slash = address.indexOf("/");
  const authority = slash < 0 ? address : address.slice(0, slash);
  const [, host = authority, port = ""] = /^(.*?)(?::(\d*))?$/.exec(authority) ?? [];
  return { parts: host.split("."), port, path: slash < 0 ? "" : address.slice(slash) };
}

/** `*` any run, `?` any character, `[a-z]` and `[^a]` one of a set. An unreadable pattern matches nothing. */
function matchesPart(pattern: string, text: string): boolean {
  if (!/[*?[\\]/.test(pattern)) return pattern === text;
  const source = pattern.replace(/\[\^?[^\]]+\]|\\.|[\s\S]/g, (token) => {
    if (token === "*") return ".*";
    if (token === "?") return ".";
    if (token.startsWith("[") && token.length > 1) return token;
    return (token.startsWith("\\") && token.length > 1 ? token.slice(1) : token).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  try {
    return new RegExp(`^${source}$`).test(text);
  } catch {
    return false;
  }
}
