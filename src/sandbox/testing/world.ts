/** A sandbox in virtual time, and the few words that tests of it are written in. */
import { FakeEnv } from "../../env/fake.ts";
import { type Fields, fieldsOf, itemsOf } from "../../kube/json.ts";
import { createSandbox, type Sandbox, type SandboxOptions } from "../sandbox.ts";

const patchTypes = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

export interface Answer {
  readonly status: number;
  readonly body: Fields;
  readonly text: string;
}

export class World {
  private constructor(
    readonly env: FakeEnv,
    readonly sandbox: Sandbox,
  ) {}

  static async start(options: SandboxOptions = {}): Promise<World> {
    const env = new FakeEnv();
    const sandbox = createSandbox(env, options);
    await sandbox.start();
    const world = new World(env, sandbox);
    await world.pass(100);
    return world;
  }

  /** Lets time pass. */
  pass(ms: number): Promise<void> {
    return this.env.advance(ms);
  }

  async request(method: string, path: string, body?: unknown, contentType = "application/json"): Promise<Answer> {
    const headers = { "content-type": contentType, accept: "application/json", "user-agent": "tester/1" };
    const answer = await this.sandbox.handle({ method, path, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = typeof answer.body === "string" ? answer.body : "";
    return { status: answer.status, body: text.startsWith("{") ? fieldsOf(JSON.parse(text)) : {}, text };
  }

  async must(method: string, path: string, body?: unknown, contentType?: string): Promise<Fields> {
    const answer = await this.request(method, path, body, contentType);
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${String(answer.body["message"])}`);
    return answer.body;
  }

  create(path: string, object: unknown): Promise<Fields> {
    return this.must("POST", path, object);
  }
  get(path: string): Promise<Fields> {
    return this.must("GET", path);
  }
  patch(path: string, patch: unknown, type: keyof typeof patchTypes = "merge"): Promise<Fields> {
    return this.must("PATCH", path, patch, patchTypes[type]);
  }
  async list(path: string): Promise<readonly Fields[]> {
    return itemsOf((await this.must("GET", path))["items"]).map(fieldsOf);
  }

  async pods(selector = ""): Promise<readonly Fields[]> {
    return this.list(`/api/v1/namespaces/default/pods${selector === "" ? "" : `?labelSelector=${encodeURIComponent(selector)}`}`);
  }
}

/** What waits for the file system or for cryptography gets real time; everything else has the clock of `env`. */
export async function until<T>(env: FakeEnv, work: Promise<T>): Promise<T> {
  let done = false;
  const settled = work.finally(() => {
    done = true;
  });
  settled.catch(() => {});
  while (!done) {
    await env.advance(5);
    await Bun.sleep(1);
  }
  return settled;
}

export const template = (image: string, labels: Readonly<Record<string, string>> = { app: "web" }, spec: Fields = {}): Fields => ({
  metadata: { labels },
  spec: { containers: [{ name: "main", image }], ...spec },
});

export const nameOf = (object: Fields): string => String(fieldsOf(object["metadata"])["name"]);
export const statusOf = (object: Fields): Fields => fieldsOf(object["status"]);
