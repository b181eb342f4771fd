import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { FakeEnv } from "../../../env/fake.ts";
import { silentLogger } from "../../../env/log.ts";
import { systemEnv } from "../../../env/system.ts";
import type { Secret } from "../../../kube/types.ts";
import { addDockerConfig, addSecret } from "./docker-config.ts";
import { Credentials } from "./index.ts";
import { Keyring, matchesImage } from "./keyring.ts";
import { dockerConfigPaths, NodeFiles } from "./node-files.ts";
import { parsePluginConfig } from "./plugin-config.ts";
import { loadPlugins, Plugins, parseAnswer, type Run } from "./plugins.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const of = (username: string, password = "p") => ({ username, password });

describe("which entry fits an image", () => {
  test.each<[string, string, boolean, string]>([
    ["registry.private.com", "registry.private.com/app/echoserver", true, "the host"],
    ["registry.private.com/app", "registry.private.com/app/echoserver", true, "the path begins so"],
    ["registry.private.com/nginx", "registry.private.com/app/echoserver", false, "another path"],
    ["*.example.com", "registry.example.com/app", true, "any first part"],
    ["*.example.com", "a.b.example.com/app", false, "one part is one part"],
    ["*.*.example.com", "a.b.example.com/app", true, "two are two"],
    ["example.com:5000", "example.com:5000/app", true, "the same port"],
    ["example.com", "example.com:5000/app", false, "a port is not none"],
    ["example.com:5000", "example.com/app", false, "none is not a port"],
    ["registry-[0-9].example.com", "registry-7.example.com/app", true, "one of a set"],
    ["registry-?.example.com", "registry-77.example.com/app", false, "one character"],
    ["reg*.example.com", "registry.example.com/app", true, "the rest of a part"],
    ["example.com/a", "example.com/ab", true, "paths are prefixes, as the kubelet has it"],
  ])("%s and %s: %p, %s", (pattern, image, expected) => {
    expect(matchesImage(pattern, image)).toBe(expected);
  });

  test("the more specific first, each in the order in which they were added, none twice", () => {
    const keyring = new Keyring();
    keyring.add("registry.test", of("host"));
    keyring.add("https://registry.test/team/app", of("app"));
    keyring.add("registry.test/team", of("team"));
    keyring.add("registry.test/team/", of("slash"));
    keyring.add("http://registry.test/v2/", of("host2"));
    keyring.add("registry.test", of("host"));
    expect(keyring.lookup("registry.test/team/app").map(({ username }) => username)).toEqual(["app", "slash", "team", "host", "host2"]);
    expect(keyring.lookup("other.test/app")).toEqual([]);
  });

  test("Docker Hub, however it is spelled", () => {
    for (const spelled of ["https://index.docker.io/v1/", "index.docker.io", "https://index.docker.io/v2/"]) {
      const keyring = new Keyring();
      keyring.add(spelled, of("hub"));
      expect(keyring.lookup("docker.io/library/nginx")).toEqual([of("hub")]);
      expect(keyring.lookup("registry.test/library/nginx")).toEqual([]);
    }
    const keyring = new Keyring();
    keyring.add("docker.io/library/nginx", of("nginx"));
    keyring.add("https://index.docker.io/v1/", of("hub"));
    expect(keyring.lookup("docker.io/library/nginx")).toEqual([of("nginx")]);
    expect(keyring.lookup("docker.io/team/app")).toEqual([of("hub")]);
  });

  test("any pattern is answered", () => {
    fc.assert(fc.property(fc.string(), fc.string(), (pattern, image) => void matchesImage(pattern, image)));
  });
});

describe("docker's configuration", () => {
  test.each<[string, string, "json" | "cfg", unknown]>([
    ["auth", `{"auths":{"r.test":{"auth":"${base64("me:secret:word")}"}}}`, "json", [of("me", "secret:word")]],
    ["auth before username", `{"auths":{"r.test":{"auth":"${base64("me:a")}","username":"you","password":"b"}}}`, "json", [of("me", "a")]],
    ["username and password", `{"auths":{"r.test":{"username":"you","password":"b"}}}`, "json", [of("you", "b")]],
    ["the older form", `{"r.test":{"username":"you","password":"b","email":"x"}}`, "cfg", [of("you", "b")]],
    ["without padding", `{"auths":{"r.test":{"auth":"${base64("me:a").replace(/=+$/, "")}"}}}`, "json", [of("me", "a")]],
    ["an entry without credentials", `{"auths":{"r.test":{}}}`, "json", []],
    ["no auths", `{"credsStore":"x"}`, "json", []],
    ["not JSON", `{"auths":`, "json", "it is not JSON"],
    ["not base64", `{"auths":{"r.test":{"auth":"!secret!"}}}`, "json", "the entry of r.test: auth is not base64"],
    ["no colon", `{"auths":{"r.test":{"auth":"${base64("secret")}"}}}`, "json", "the entry of r.test: auth is not user:password"],
    ["a list", `{"auths":[]}`, "json", "auths is not a JSON object"],
  ])("%s", (_, text, form, expected) => {
    const keyring = new Keyring();
    const problem = addDockerConfig(keyring, text, form);
    expect(problem ?? keyring.lookup("r.test/app")).toEqual(expected as never);
  });

  test("secrets by their type", () => {
    const secret = (type: string, key: string, text: string) =>
      ({ metadata: { namespace: "c", name: "s" }, type, data: { [key]: base64(text) } }) as unknown as Secret;
    const lookup = (...secrets: Secret[]) => {
      const keyring = new Keyring();
      const problems = secrets.map((each) => addSecret(keyring, each)).filter((problem) => problem !== undefined);
      return problems.length > 0 ? problems : keyring.lookup("r.test/app").map(({ username }) => username);
    };
    const json = `{"auths":{"r.test":{"username":"j","password":"1"}}}`;
    const cfg = `{"r.test":{"username":"c","password":"1"}}`;
    expect(lookup(secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", json))).toEqual(["j"]);
    expect(lookup(secret("kubernetes.io/dockercfg", ".dockercfg", cfg))).toEqual(["c"]);
    expect(lookup(secret("Opaque", ".dockerconfigjson", json))).toEqual([]);
    expect(
      lookup(secret("kubernetes.io/dockercfg", ".dockercfg", cfg), secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", json)),
    ).toEqual(["c", "j"]);
    expect(lookup(secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", "secret words"))).toEqual([
      "pull secret c/s: .dockerconfigjson cannot be read: it is not JSON",
    ]);
  });
});

const directory = mkdtempSync(join(tmpdir(), "kruiser-credentials-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("the node's files: the first that can be read, and again after five minutes", async () => {
  const env = new FakeEnv();
  const home = join(directory, "home");
  mkdirSync(join(home, ".docker"), { recursive: true });
  const files = new NodeFiles(env, { workingDirectory: join(directory, "nowhere"), home });
  const users = () =>
    files
      .keyring()
      .lookup("r.test/app")
      .map(({ username }) => username);
  expect(dockerConfigPaths({ workingDirectory: "/w", home: "/h" }).map(({ path }) => path)).toEqual([
    "/w/config.json",
    "/h/.docker/config.json",
    "/.docker/config.json",
    "/w/.dockercfg",
    "/h/.dockercfg",
    "/.dockercfg",
  ]);
  writeFileSync(join(home, ".docker/config.json"), "broken");
  writeFileSync(join(home, ".dockercfg"), `{"r.test":{"username":"cfg","password":"1"}}`);
  expect(users()).toEqual(["cfg"]);
  writeFileSync(join(home, ".docker/config.json"), `{"auths":{"r.test":{"username":"json","password":"1"}}}`);
  expect(users()).toEqual(["cfg"]);
  await env.advance(300_000);
  expect(users()).toEqual(["json"]);
});

describe("plugins", () => {
  const apiVersion = "credentialprovider.kubelet.k8s.io/v1";
  const provider = {
    name: "ecr",
    matchImages: ["*.ecr.test"],
    defaultCacheDuration: "10m",
    apiVersion,
    args: ["get"],
    env: [{ name: "A", value: "b" }],
  };
  const config = { kind: "CredentialProviderConfig", apiVersion: "kubelet.config.k8s.io/v1", providers: [provider] };

  test.each<[string, unknown, string]>([
    ["nothing", undefined, "it is not an object"],
    ["another kind", { ...config, kind: "Pod" }, "want kind CredentialProviderConfig of apiVersion kubelet.config.k8s.io/v1"],
    [
      "a path as name",
      { ...config, providers: [{ ...provider, name: "../sh" }] },
      "providers[0].name: want the name of a file in the plugin directory",
    ],
    [
      "no images",
      { ...config, providers: [{ ...provider, matchImages: [] }] },
      "providers[0].matchImages: want at least one pattern such as *.example.com",
    ],
    [
      "no duration",
      { ...config, providers: [{ ...provider, defaultCacheDuration: "ten" }] },
      "providers[0].defaultCacheDuration: want a duration such as 10m",
    ],
    ["another protocol", { ...config, providers: [{ ...provider, apiVersion: "v1" }] }, `providers[0].apiVersion: want ${apiVersion}`],
    ["twice", { ...config, providers: [provider, provider] }, "providers[1].name: ecr is there twice"],
  ])("a configuration with %s", (_, given, problem) => {
    expect(parsePluginConfig(given)).toEqual({ ok: false, problem });
  });

  function asked(answer: (image: string) => object | string, plugins = parsePluginConfig(config)) {
    if (!plugins.ok) throw new Error(plugins.problem);
    const env = new FakeEnv();
    const calls: { path: string; args: readonly string[]; variable: string | undefined; image: string }[] = [];
    const run: Run = async (path, args, variables, input) => {
      const { image } = JSON.parse(input);
      calls.push({ path, args, variable: variables["A"], image });
      const said = answer(image);
      return typeof said === "string" ? said : { output: JSON.stringify({ kind: "CredentialProviderResponse", apiVersion, ...said }) };
    };
    return { env, calls, plugins: new Plugins(env, plugins.plugins, "/plugins", run) };
  }
  const auth = { "*.ecr.test": of("aws", "token") };

  test("one is asked for images that match, and its answer is used", async () => {
    const { plugins, calls } = asked(() => ({ cacheKeyType: "Registry", auth }));
    expect(await plugins.lookup("a.ecr.test/app")).toEqual([of("aws", "token")]);
    expect(await plugins.lookup("other.test/app")).toEqual([]);
    expect(calls).toEqual([{ path: "/plugins/ecr", args: ["get"], variable: "b", image: "a.ecr.test/app" }]);
  });

  test.each<[string, object, number]>([
    ["Image", { cacheKeyType: "Image", auth }, 3],
    ["Registry", { cacheKeyType: "Registry", auth }, 2],
    ["Global", { cacheKeyType: "Global", auth }, 1],
    ["Registry, not kept", { cacheKeyType: "Registry", cacheDuration: "0s", auth }, 6],
  ])("kept by %s", async (_, answer, expected) => {
    const { plugins, calls } = asked(() => answer);
    for (const image of ["a.ecr.test/x", "a.ecr.test/y", "b.ecr.test/x", "a.ecr.test/x", "a.ecr.test/y", "b.ecr.test/x"])
      await plugins.lookup(image);
    expect(calls).toHaveLength(expected);
  });

  test("kept as long as it says, else as long as configured", async () => {
    const { plugins, calls, env } = asked(() => ({ cacheKeyType: "Global", auth }));
    await plugins.lookup("a.ecr.test/x");
    await env.advance(599_000);
    await plugins.lookup("a.ecr.test/x");
    expect(calls).toHaveLength(1);
    await env.advance(2_000);
    await plugins.lookup("a.ecr.test/x");
    expect(calls).toHaveLength(2);
  });

  test("the same is not asked twice at once", async () => {
    const { plugins, calls } = asked(() => ({ cacheKeyType: "Image", auth }));
    await Promise.all([plugins.lookup("a.ecr.test/x"), plugins.lookup("a.ecr.test/x")]);
    expect(calls).toHaveLength(1);
  });

  test("one that fails disturbs nobody, and its answer is not shown", async () => {
    const two = parsePluginConfig({ ...config, providers: [provider, { ...provider, name: "second" }] });
    let round = 0;
    const { plugins, env } = asked(() => (round++ === 0 ? "it ended with code 1" : { cacheKeyType: "Image", auth }), two);
    expect(await plugins.lookup("a.ecr.test/x")).toEqual([of("aws", "token")]);
    expect(JSON.stringify(env.lines)).not.toContain("token");
    for (const text of [
      "token",
      '{"kind":"X","token":1}',
      `{"kind":"CredentialProviderResponse","apiVersion":"${apiVersion}","cacheKeyType":"token"}`,
    ])
      expect(parseAnswer(text, apiVersion)).not.toContain("token");
  });

  test("a real program", async () => {
    const bin = join(directory, "bin");
    mkdirSync(bin);
    const path = join(directory, "plugins.yaml");
    writeFileSync(
      path,
      `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: echo.sh
    matchImages: ["r.test"]
    defaultCacheDuration: 1m
    apiVersion: ${apiVersion}
  - name: missing
    matchImages: ["r.test"]
    defaultCacheDuration: 1m
    apiVersion: ${apiVersion}
`,
    );
    const answer = JSON.stringify({
      kind: "CredentialProviderResponse",
      apiVersion,
      cacheKeyType: "Image",
      auth: { "r.test": of("me", "x") },
    });
    writeFileSync(
      join(bin, "echo.sh"),
      `#!/bin/sh\nread -r request\ncase "$request" in *'"image":"r.test/app"'*) echo '${answer}';; *) exit 3;; esac\n`,
    );
    chmodSync(join(bin, "echo.sh"), 0o755);
    const plugins = await loadPlugins(systemEnv(silentLogger, new AbortController().signal), path, bin);
    expect(await plugins.lookup("r.test/app")).toEqual([of("me", "x")]);
    expect(await plugins.lookup("r.test/other")).toEqual([]);
  });

  test("no configuration, no plugins; one that cannot be read is told", async () => {
    const env = new FakeEnv();
    expect(await (await loadPlugins(env, join(directory, "none.yaml"), "")).lookup("a.ecr.test/x")).toEqual([]);
    expect(env.lines).toEqual([]);
    writeFileSync(join(directory, "bad.yaml"), "kind: [");
    await loadPlugins(env, join(directory, "bad.yaml"), "");
    expect(env.lines.map(({ level }) => level)).toEqual(["error"]);
  });
});

test("sources: pull secrets, then files, then plugins, each once", async () => {
  const keyring = new Keyring();
  keyring.add("r.test", of("file"));
  keyring.add("r.test", of("both"));
  const data = { ".dockercfg": base64(`{"r.test":{"username":"secret","password":"p"}}`) };
  const secret = { metadata: { namespace: "c", name: "s" }, type: "kubernetes.io/dockercfg", data } as unknown as Secret;
  const credentials = new Credentials({
    secrets: { fetch: async () => ({ ok: true, secrets: [secret] }) },
    files: { keyring: () => keyring },
    plugins: { lookup: async () => [of("both"), of("plugin")] },
  });
  const found = await credentials.lookup("r.test/app", []);
  expect(found.ok && found.credentials.map(({ username }) => username)).toEqual(
    ["secret", "both", "file", "plugin"].sort((a, b) => order(a) - order(b)),
  );
});
const order = (name: string) => ["secret", "file", "both", "plugin"].indexOf(name);
