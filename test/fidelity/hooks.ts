/** Webhooks on loopback, which the API server under test calls by URL: their answers are functions, what they were asked is kept. */
import { issueIdentity } from "../../src/sandbox/identity.ts";
import type { Bench, Json } from "./bench.ts";

type Answer = (body: Json) => Json | Promise<Json>;

interface Hooks {
  readonly url: string;
  readonly caBundle: string;
  readonly answers: Map<string, Answer>;
}

let running: Promise<Hooks> | undefined;

function hooks(): Promise<Hooks> {
  running ??= start();
  return running;
}

async function start(): Promise<Hooks> {
  const identity = await issueIdentity(["127.0.0.1"], Date.now());
  const answers = new Map<string, Answer>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: identity.certificate, key: identity.key },
    fetch: async (request) => {
      const answer = answers.get(new URL(request.url).pathname);
      if (answer === undefined) return new Response("nobody here", { status: 404 });
      const said: Json = await answer(await request.json());
      return said === undefined ? new Response("broken", { status: 500 }) : Response.json(said);
    },
  });
  server.unref();
  return { url: `https://127.0.0.1:${server.port}`, caBundle: Buffer.from(identity.caCertificate).toString("base64"), answers };
}

/** A webhook with a path of its own. @returns its clientConfig */
export async function listen(path: string, answer: Answer): Promise<{ readonly url: string; readonly caBundle: string }> {
  const { url, caBundle, answers } = await hooks();
  answers.set(path, answer);
  return { url: url + path, caBundle };
}

export interface Hook {
  readonly type: "Mutating" | "Validating";
  /** Of the webhook's configuration, beside the usual. */
  readonly webhook?: object;
  /** Undefined: it answers with an error of its own. @returns the response without its uid */
  readonly answer: (request: Json, asked: number) => Json | Promise<Json>;
  /** Makes the webhook be asked, so that one knows that it is in force. */
  readonly probe?: (b: Bench) => Promise<unknown>;
}

/** What admission asked, in order. */
export type Asked = readonly Json[];

const probeConfigMap = (b: Bench) =>
  b.post(`${b.core("configmaps")}?dryRun=All`, { metadata: { name: "probe", labels: { probe: "yes" } } });

let counter = 0;

/** Runs with webhooks in force for this namespace; they go afterwards. */
export async function withHooks(b: Bench, all: readonly Hook[], run: (asked: readonly Asked[]) => Promise<void>): Promise<void> {
  const made: string[] = [];
  const asked: Json[][] = [];
  try {
    for (const [index, hook] of all.entries()) {
      counter += 1;
      const requests: Json[] = [];
      asked.push(requests);
      const path = `/${b.namespace}/${counter}`;
      const clientConfig = await listen(path, async ({ request, apiVersion, kind }) => {
        requests.push(request);
        const response = await hook.answer(request, requests.length);
        return response === undefined ? undefined : { apiVersion, kind, response: { uid: request.uid, ...response } };
      });
      const kind = `${hook.type}WebhookConfiguration`;
      const collection = `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}s`;
      const name = `${b.namespace}-${index}`;
      await b.must(
        b.post(collection, {
          metadata: { name },
          webhooks: [
            {
              name: `hook-${index}.example.com`,
              clientConfig,
              admissionReviewVersions: ["v1"],
              sideEffects: "None",
              namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": b.namespace } },
              rules: [{ operations: ["*"], apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"] }],
              ...hook.webhook,
            },
          ],
        }),
      );
      made.push(`${collection}/${name}`);
      const probe = hook.probe ?? probeConfigMap;
      await b.eventually(async () => {
        await probe(b);
        return requests.length > 0;
      });
    }
    for (const requests of asked) requests.length = 0;
    await run(asked);
  } finally {
    for (const path of made) await b.delete(path);
  }
}

export const allow = { allowed: true };

/** An answer with a JSON patch. */
export function patchOf(operations: readonly object[]): object {
  return { allowed: true, patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(operations)).toString("base64") };
}
