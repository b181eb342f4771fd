/**
 * `lint -f FILE`: would the server take these objects? Asked of a cluster in this process, with the definitions, schemas and webhooks of an
 * installation, and nothing of the user's. What depends on other objects (does the pod of a restart request exist?) cannot be said.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../env/log.ts";
import { systemEnv } from "../env/system.ts";
import { discover } from "../kube/discovery.ts";
import { type Fields, fieldsOf, textOf } from "../kube/json.ts";
import { groupOf } from "../kube/kind.ts";
import { namespaces } from "../kube/kinds.ts";
import { anonymousCredentials, createKube } from "../kube/kube.ts";
import { command } from "./command.ts";
import { each } from "./each.ts";
import { fileFlags } from "./globals.ts";
import { Heard } from "./heard.ts";
import { readManifests } from "./objects.ts";
import { note, out } from "./output.ts";
import { Misused, Refused, refusal } from "./refused.ts";
import { must } from "./session.ts";

/** They name another object that has to be there. */
const dependent: ReadonlySet<string> = new Set(["ContainerRecreateRequest"]);

const flags = {
  filename: fileFlags.filename,
  recursive: fileFlags.recursive,
  "feature-gates": { kind: "string", default: "ImagePullJobGate=true", help: "the gates that the manager runs with" },
} as const;

export const lint = command(
  {
    summary: "Say whether the server would take the objects of files, without a server",
    usage: "-f FILE [flags]",
    examples: "  kubectl-kruise lint -f web.yaml",
  },
  flags,
  async ({ values }) => {
    if (values.filename.length === 0) throw new Misused("error: must specify -f");
    const documents = await readManifests(values.filename, values.recursive);
    const cluster = await startCluster(values["feature-gates"]);
    try {
      return await each(documents, (document) => cluster.check(document));
    } finally {
      await cluster.stop();
    }
  },
);

async function startCluster(gates: string) {
  const ending = new AbortController();
  const env = systemEnv(silentLogger, ending.signal);
  const [{ installKruise, managerHost, managerService, startManagerInside }, { createSandbox }, { webhooksInside }, { issueIdentity }] =
    await Promise.all([
      import("../sandbox/manager-inside.ts"),
      import("../sandbox/sandbox.ts"),
      import("../sandbox/webhooks-inside.ts"),
      import("../sandbox/identity.ts"),
    ]);
  const stateDir = mkdtempSync(join(tmpdir(), "kruise-lint-"));
  const certificates = await issueIdentity([managerHost], env.nowMs());
  const webhooks = webhooksInside(managerService, () => Promise.reject(new Error("lint asks nobody outside")));
  const sandbox = createSandbox(env, {
    nodes: 1,
    fetch: webhooks.fetch,
    serviceUrl: webhooks.serviceUrl,
    caCertificate: certificates.caCertificate,
  });
  await sandbox.start();
  await installKruise(env, sandbox, certificates);
  const fatal = (message: string) => note(`${message}\n`);
  const manager = await startManagerInside(env, { sandbox, webhooks, stateDir, flags: [`--feature-gates=${gates}`], fatal });
  const heard = new Heard(0, sandbox.fetch);
  const { client } = createKube(env, anonymousCredentials(), { userAgent: "kubectl-kruise", fetch: heard.fetch });
  const discovery = must(await discover(client));
  return {
    async check(document: Fields): Promise<void> {
      const kind = textOf(document["kind"]);
      const metadata = fieldsOf(document["metadata"]);
      const name = `${kind.toLowerCase()}/${textOf(metadata["name"]) || textOf(metadata["generateName"])}`;
      const version = textOf(document["apiVersion"]);
      const served = discovery.byKind(groupOf(version), kind, version.split("/").at(-1));
      if (served === undefined || `${served.kind.group === "" ? "" : `${served.kind.group}/`}${served.kind.version}` !== version)
        throw new Refused(`error: ${name}: no matches for kind "${kind}" in version "${version}"`);
      if (dependent.has(kind)) return out(`${name} depends on objects of the cluster: not checked\n`);
      const namespace = served.kind.namespaced ? textOf(metadata["namespace"]) || "default" : "";
      if (namespace !== "" && namespace !== "default") await client.create(namespaces, { metadata: { name: namespace } });
      const object = { ...document, metadata: { ...metadata, ...(namespace === "" ? {} : { namespace }) } };
      const made = await client.create(served.kind, object as never, { dryRun: true });
      if (!made.ok) throw new Refused(`${name}: ${refusal(made).message}`, refusal(made).reason, refusal(made).code);
      out(`${name} ok\n`);
    },
    async stop(): Promise<void> {
      await manager.stop();
      ending.abort();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
