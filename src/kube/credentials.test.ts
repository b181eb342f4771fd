import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeEnv } from "../env/fake.ts";
import { type CredentialSources, loadCredentials } from "./credentials.ts";
import { chooseContext, mergeKubeconfigs } from "./kubeconfig.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "kruiser-credentials-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}
const base64 = (text: string) => Buffer.from(text).toString("base64");

const simple = (user: string, server = "https://one.example:6443/") => `
apiVersion: v1
kind: Config
current-context: one
clusters:
- name: one
  cluster: {server: "${server}", certificate-authority-data: ${base64("CA")}}
users:
- name: me
  user: ${user}
contexts:
- name: one
  context: {cluster: one, user: me, namespace: shop}
`;

async function load(sources: CredentialSources, env = new FakeEnv()) {
  const result = await loadCredentials(env, { environment: {}, homeDir: join(dir, "nobody"), ...sources });
  if (!result.ok) throw new Error(result.message);
  return result.credentials;
}

describe("kubeconfig", () => {
  test.each([
    ['{token: "t1"}', { authorization: "Bearer t1" }, {}],
    ['{username: u, password: "p:q"}', { authorization: `Basic ${base64("u:p:q")}` }, {}],
    [`{client-certificate-data: ${base64("CERT")}, client-key-data: ${base64("KEY")}}`, {}, { cert: "CERT", key: "KEY" }],
    [
      '{token: t, as: other, as-uid: "7", as-groups: [dev]}',
      { authorization: "Bearer t", "impersonate-user": "other", "impersonate-uid": "7", "impersonate-group": "dev" },
      {},
    ],
  ])("user %s", async (user, headers, tls) => {
    const credentials = await load({ kubeconfig: write("config", simple(user)) });
    expect(credentials).toMatchObject({ server: "https://one.example:6443", namespace: "shop", context: "one", inCluster: false });
    expect(await credentials.auth()).toEqual({ headers, tls: { ca: "CA", ...tls } });
  });

  test("files beside it, read again when they have changed, at most once a minute", async () => {
    write("pki/ca.crt", "CA-1");
    write("pki/token", "one\n");
    const env = new FakeEnv();
    const text = simple("{tokenFile: pki/token}").replace(
      /certificate-authority-data: \w+=*/,
      "certificate-authority: pki/ca.crt, tls-server-name: api.internal",
    );
    const credentials = await load({ kubeconfig: write("config", text) }, env);
    const first = await credentials.auth();
    expect(first).toEqual({ headers: { authorization: "Bearer one" }, tls: { ca: "CA-1", serverName: "api.internal" } });
    write("pki/token", "two\n");
    await env.advance(59_000);
    expect(await credentials.auth()).toBe(first);
    await env.advance(2000);
    expect((await credentials.auth()).headers).toEqual({ authorization: "Bearer two" });
    write("pki/token", "three\n");
    credentials.renew();
    expect((await credentials.auth()).headers).toEqual({ authorization: "Bearer three" });
    rmSync(join(dir, "pki/token"));
    await env.advance(61_000);
    expect((await credentials.auth()).headers).toEqual({ authorization: "Bearer three" });
    expect(env.lines.some(({ level }) => level === "warn")).toBe(true);
  });

  test("several files are one; what the first says wins", async () => {
    const first = write("first", "current-context: two\nusers: [{name: me, user: {token: from-first}}]\n");
    const second = write("second", simple("{token: from-second}"));
    const third = write("third", "contexts: [{name: two, context: {cluster: one, user: me}}]\n");
    const credentials = await load({ environment: { KUBECONFIG: `${first}:${join(dir, "absent")}:${second}:${third}` } });
    expect(credentials).toMatchObject({ context: "two", namespace: "default", server: "https://one.example:6443" });
    expect((await credentials.auth()).headers).toEqual({ authorization: "Bearer from-first" });
    expect((await load({ environment: { KUBECONFIG: `${first}:${second}:${third}` }, context: "one", namespace: "other" })).namespace).toBe(
      "other",
    );
  });

  test.each([
    ["config: [", {}, "is not a readable kubeconfig"],
    ["- a", {}, "is not a kubeconfig"],
    ["current-context: gone", {}, 'no context "gone" (it has: none)'],
    [simple("{}"), { context: "gone" }, 'no context "gone" (it has: one)'],
    [simple("{}"), { cluster: "gone" }, 'no cluster "gone"'],
    [simple("{}"), { user: "gone" }, 'no user "gone"'],
    ["kind: Config", {}, "has no current-context"],
    [simple("{}", ""), {}, "has no server"],
    [simple("{client-certificate: /no/such/file}"), {}, "/no/such/file"],
    [simple("{as: a, as-groups: [b, c]}"), {}, "more than one group"],
  ] as const)("%j with %j says: %s", async (text, overrides, message) => {
    const result = await loadCredentials(new FakeEnv(), { kubeconfig: write("config", text), environment: {}, ...overrides });
    expect(result).toMatchObject({ ok: false });
    expect(result.ok ? "" : result.message).toContain(message);
  });

  test("the command line wins over the file", () => {
    const config = mergeKubeconfigs([{ path: "/x/config", text: simple("{exec: {command: bin/login}, as: other}") }]);
    const chosen = chooseContext(config, { server: "https://else", token: "t", insecureSkipTlsVerify: true });
    expect(chosen).toMatchObject({
      ok: true,
      context: {
        cluster: { server: "https://else", "insecure-skip-tls-verify": true },
        user: { token: "t", as: "other" },
      },
    });
    expect(chosen.ok && chosen.context.user).not.toHaveProperty("exec");
    expect(config.users.get("me")?.exec?.command).toBe("/x/bin/login");
  });

  test("an exec plugin is asked, once for many requests, and again when its token is refused", async () => {
    const count = join(dir, "asked");
    const plugin = write(
      "login.sh",
      `#!/bin/sh\necho x >> ${count}\nprintf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t%s%s"}}' "$(wc -l < ${count} | tr -d ' ')" "$\{KUBERNETES_EXEC_INFO:+-info}"\n`,
    );
    chmodSync(plugin, 0o755);
    const user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login.sh, interactiveMode: Never}}";
    const credentials = await load({ kubeconfig: write("config", simple(user)) });
    const [a, b] = await Promise.all([credentials.auth(), credentials.auth()]);
    expect(a).toBe(b);
    expect(a).toEqual({ headers: { authorization: "Bearer t1-info" }, tls: { ca: "CA" } });
    expect(credentials.auth()).toBe(a);
    credentials.renew();
    expect((await credentials.auth()).headers).toEqual({ authorization: "Bearer t2-info" });
  });
});

describe("where they come from", () => {
  const account = () => {
    write("account/token", "pod-token\n");
    write("account/ca.crt", "POD-CA");
    write("account/namespace", "kruise-system");
    return { serviceAccountDir: join(dir, "account"), environment: { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" } };
  };

  test("in a pod", async () => {
    const env = new FakeEnv();
    const credentials = await load(account(), env);
    expect(credentials).toMatchObject({ server: "https://[fd00::1]:443", namespace: "kruise-system", inCluster: true });
    expect(await credentials.auth()).toEqual({ headers: { authorization: "Bearer pod-token" }, tls: { ca: "POD-CA" } });
    write("account/token", "rotated\n");
    await env.advance(61_000);
    expect((await credentials.auth()).headers).toEqual({ authorization: "Bearer rotated" });
  });

  test("--kubeconfig, then $KUBECONFIG, then the pod's, then the home directory's", async () => {
    const flag = write("flag", simple("{}", "https://flag"));
    const variable = write("variable", simple("{}", "https://variable"));
    write("home/.kube/config", simple("{}", "https://home"));
    const pod = account();
    const homeDir = join(dir, "home");
    const environment = { ...pod.environment, KUBECONFIG: variable };
    expect((await load({ ...pod, homeDir, environment, kubeconfig: flag })).server).toBe("https://flag");
    expect((await load({ ...pod, homeDir, environment })).server).toBe("https://variable");
    expect((await load({ ...pod, homeDir })).server).toBe("https://[fd00::1]:443");
    expect((await load({ homeDir })).server).toBe("https://home");
  });

  test("nowhere: says what it looked for", async () => {
    const sources = { environment: {}, homeDir: join(dir, "nobody") };
    expect(await loadCredentials(new FakeEnv(), sources)).toMatchObject({
      ok: false,
      message: expect.stringContaining("give --kubeconfig, set KUBECONFIG"),
    });
    expect(await loadCredentials(new FakeEnv(), { ...sources, kubeconfig: join(dir, "absent") })).toMatchObject({
      ok: false,
      message: expect.stringContaining("not found"),
    });
  });
});
