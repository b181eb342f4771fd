/**
 * The least that a webhook on this runtime does: Hono over TLS that parses the review and answers a patch it need not think about.
 *
 * bun test/bench/bare.ts PATCH_BYTES     prints {"port": …, "caPem": "…"} once it listens
 */
import { Hono } from "hono";
import { issueIdentity } from "../../src/admission/issue.ts";

const patchOf = (value: string) => [{ op: "add", path: "/metadata/annotations/bare", value }];
const patchBytes = Number(process.argv[2]);
const patch = patchOf("x".repeat(Math.max(0, patchBytes - JSON.stringify(patchOf("")).length)));

const app = new Hono();
app.post("*", async (context) => {
  const { apiVersion, kind, request } = await context.req.json<{ apiVersion: string; kind: string; request: { uid: string } }>();
  const text = Buffer.from(JSON.stringify(patch)).toString("base64");
  return context.json({ apiVersion, kind, response: { uid: request.uid, allowed: true, patchType: "JSONPatch", patch: text } });
});

const hostname = "127.0.0.1";
const { certificate, key, caCertificate } = issueIdentity("bare", "bare-ca", [hostname], Date.now());
const server = Bun.serve({ hostname, port: 0, development: false, tls: { cert: certificate, key }, fetch: app.fetch });
console.log(JSON.stringify({ port: server.port, caPem: caCertificate }));
