/** An image registry on loopback, inside the test process: it can ask for a password, answer late or fail, and remembers what was pulled. */
import { type Image, manifestType } from "./oci.ts";
import { freePort } from "./process.ts";

export interface RepositoryRule {
  /** Wait so long before each blob: a slow pull. */
  readonly blobDelayMs?: number;
  /** HTTP basic credentials that every request needs. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Answer every request with this status: a registry out of order. */
  readonly status?: number;
  /** Break the connection in the middle of each blob, or send other bytes than were asked for. */
  readonly blobs?: "cut" | "corrupt";
}

export interface Pull {
  readonly repository: string;
  readonly what: "manifest" | "blob";
  /** A tag or a digest. */
  readonly reference: string;
  readonly atMs: number;
}

export interface Registry {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** A reference for pods: nodes find every registry host here. `image("app", "v1")` is `registry.test/app:v1`. */
  image(repository: string, tag: string): string;
  push(repository: string, tag: string, image: Image): void;
  /** How a repository behaves from now on; undefined: normally again. */
  rule(repository: string, rule: RepositoryRule | undefined): void;
  /** Every answered request for content, oldest first. */
  readonly pulls: readonly Pull[];
  stop(): Promise<void>;
}

/** Reserved for tests by RFC 6761: no name server knows it. */
const host = "registry.test";
const pullsMax = 10_000;

export async function serveRegistry(): Promise<Registry> {
  /** "repository:tag" and "repository@digest" → image */
  const images = new Map<string, Image>();
  const blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  const rules = new Map<string, RepositoryRule>();
  const pulls: Pull[] = [];
  const record = (repository: string, what: Pull["what"], reference: string) => {
    if (pulls.length < pullsMax) pulls.push({ repository, what, reference, atMs: Date.now() });
  };
  const answer = async (request: Request): Promise<Response> => {
    const path = new URL(request.url).pathname;
    if (path === "/v2/") return new Response("{}");
    const [, repository = "", what, reference = ""] = path.match(/^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/) ?? [];
    const rule = rules.get(repository) ?? {};
    if (rule.status !== undefined) return new Response("the rig was told to fail", { status: rule.status });
    if (rule.credentials && request.headers.get("authorization") !== basic(rule.credentials))
      return refuse(401, "UNAUTHORIZED", { "www-authenticate": 'Basic realm="rig"' });
    if (what === "manifests") {
      const image = images.get(`${repository}${reference.startsWith("sha256:") ? "@" : ":"}${reference}`);
      if (!image) return refuse(404, "MANIFEST_UNKNOWN");
      if (request.method === "GET") record(repository, "manifest", reference);
      return new Response(image.manifest, { headers: { "content-type": manifestType, "docker-content-digest": image.digest } });
    }
    const blob = what === "blobs" ? blobs.get(reference) : undefined;
    if (!blob) return refuse(404, "BLOB_UNKNOWN");
    if (rule.blobDelayMs) await Bun.sleep(rule.blobDelayMs);
    if (request.method === "GET") record(repository, "blob", reference);
    return blobAnswer(blob, reference, request.method === "GET" ? rule.blobs : undefined);
  };
  const server = Bun.serve({ hostname: "127.0.0.1", port: await freePort(), idleTimeout: 255, fetch: answer });
  server.unref();
  return {
    address: `127.0.0.1:${server.port}`,
    image: (repository, tag) => `${host}/${repository}:${tag}`,
    push: (repository, tag, image) => {
      for (const [digest, bytes] of image.blobs) blobs.set(digest, bytes);
      images.set(`${repository}:${tag}`, image);
      images.set(`${repository}@${image.digest}`, image);
    },
    rule: (repository, rule) => {
      if (rule) rules.set(repository, rule);
      else rules.delete(repository);
    },
    pulls,
    stop: () => server.stop(true),
  };
}

function blobAnswer(blob: Uint8Array<ArrayBuffer>, digest: string, how: RepositoryRule["blobs"]): Response {
  if (how === "cut") return cutOff(blob);
  const body = how === "corrupt" ? blob.map((byte) => byte ^ 1) : blob;
  return new Response(body, { headers: { "content-type": "application/octet-stream", "docker-content-digest": digest } });
}

/** Says how long it is, sends half of it, and is gone. */
function cutOff(blob: Uint8Array<ArrayBuffer>): Response {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(blob.subarray(0, Math.floor(blob.length / 2)));
      controller.error(new Error("cut off"));
    },
  });
  return new Response(body, { headers: { "content-type": "application/octet-stream", "content-length": String(blob.length) } });
}

function basic(credentials: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
}

function refuse(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ errors: [{ code, message: code }] }, { status, headers });
}
