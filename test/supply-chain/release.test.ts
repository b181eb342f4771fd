/** Bills of materials, provenance and signatures of a release, with the tools that users verify them with. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lockedRuntime } from "../../scripts/build/runtime.ts";
import { targetNamed } from "../../scripts/build/targets.ts";
import { readLock } from "../../scripts/lib/lockfile.ts";
import { must } from "../rig/process.ts";
import { offline, type Published, published, releaseDir, root } from "./published.ts";

const startTimeoutMs = 60 * 60_000;
let release: Published;
beforeAll(async () => {
  release = await published();
}, startTimeoutMs);

const read = <T>(name: string) => JSON.parse(readFileSync(join(root, releaseDir, name), "utf8")) as T;

interface Spdx {
  spdxVersion: string;
  SPDXID: string;
  packages: { SPDXID: string; name: string; versionInfo?: string; licenseDeclared: string; checksums?: { checksumValue: string }[] }[];
  relationships: { spdxElementId: string; relatedSpdxElement: string }[];
}
interface CycloneDx {
  specVersion: string;
  serialNumber: string;
  components: { "bom-ref": string; name: string; version?: string; purl: string }[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

describe("bills of materials", () => {
  test("what the compiler bundled is listed, with the version and checksum of the lock file and a permissive licence", () => {
    const { packages, relationships, spdxVersion } = read<Spdx>("kruise-linux-amd64.spdx.json");
    expect(spdxVersion).toBe("SPDX-2.3");
    const lock = [...readLock(join(root, "bun.lock")).values()];
    const npm = packages.filter(({ SPDXID }) => SPDXID.startsWith("SPDXRef-npm-"));
    expect(npm.length).toBeGreaterThan(20);
    for (const { name, versionInfo, licenseDeclared, checksums } of npm) {
      const locked = lock.find((entry) => entry.name === name && entry.version === versionInfo);
      expect(checksums?.[0]?.checksumValue).toBe(Buffer.from(locked?.integrity?.slice(7) ?? "", "base64").toString("hex"));
      expect(licenseDeclared).toMatch(/^(MIT|ISC|0BSD|Apache-2\.0|BSD-[23]-Clause|Unlicense)$/);
    }
    const ids = new Set(["SPDXRef-DOCUMENT", ...packages.map(({ SPDXID }) => SPDXID)]);
    expect(ids.size).toBe(packages.length + 1);
    for (const { spdxElementId, relatedSpdxElement } of relationships)
      expect(ids.has(spdxElementId) && ids.has(relatedSpdxElement)).toBe(true);
    const { inputs } = JSON.parse(readFileSync(join(root, "dist/kruise.meta.json"), "utf8")) as { inputs: object };
    const bundled = new Set(Object.keys(inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
    expect(new Set(npm.map(({ name }) => name))).toEqual(bundled);
    // Types of CRI are made from its .proto file before, never by the program.
    expect(bundled.has("@grpc/grpc-js")).toBe(true);
    expect(bundled.has("protobufjs")).toBe(false);
  });

  test("the image's list adds the base's packages; both forms agree", () => {
    const spdx = read<Spdx>("image-arm64.spdx.json");
    const cdx = read<CycloneDx>("image-arm64.cdx.json");
    const names = spdx.packages.map(({ name }) => name);
    for (const wanted of ["libc6", "ca-certificates", "tzdata", "JavaScriptCore", "@oven/bun-linux-aarch64", "valibot"])
      expect(names).toContain(wanted);
    expect(cdx.specVersion).toBe("1.6");
    expect(cdx.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(cdx.components.map(({ name, version = "" }) => `${name}@${version}`).sort()).toEqual(
      spdx.packages
        .slice(1)
        .map(({ name, versionInfo = "" }) => `${name}@${versionInfo}`)
        .sort(),
    );
    const refs = new Set(cdx.components.map((component) => component["bom-ref"]));
    for (const { dependsOn } of cdx.dependencies) for (const ref of dependsOn) expect(refs.has(ref)).toBe(true);
  });

  test("provenance names the commit, the lock file and the runtimes by digest", () => {
    const { subject, predicate, predicateType } = read<{
      subject: { name: string }[];
      predicate: { buildDefinition: { resolvedDependencies: { uri: string; digest: Record<string, string> }[] } };
      predicateType: string;
    }>("provenance.intoto.json");
    expect(predicateType).toBe("https://slsa.dev/provenance/v1");
    expect(subject.map(({ name }) => name)).toEqual(["kruise-linux-amd64", "kruise-linux-arm64"]);
    const { resolvedDependencies } = predicate.buildDefinition;
    expect(resolvedDependencies[0]?.digest["gitCommit"]).toMatch(/^[0-9a-f]{40}/);
    const hex = Buffer.from(lockedRuntime(targetNamed("linux-arm64")).integrity.slice(7), "base64").toString("hex");
    expect(resolvedDependencies).toContainEqual({ uri: "pkg:npm/%40oven/bun-linux-aarch64@1.4.5", digest: { sha512: hex } });
    expect(resolvedDependencies.some(({ uri }) => uri.includes("kruiser-debian-base"))).toBe(true);
  });

  test("the checksums are those of the files", async () => {
    const sums = readFileSync(join(root, releaseDir, "SHA256SUMS"), "utf8")
      .split("\n")
      .filter((line) => !/ {2}kruise-linux-\w+$/.test(line));
    expect(await must(["sha256sum", "--check", "--quiet", "--strict"], { cwd: join(root, releaseDir), stdin: sums.join("\n") })).toBe("");
  });
});

describe("signatures", () => {
  const verify = (reference: string, key = release.publicKeyPath) => release.cosign("verify", `--key=${key}`, ...offline, reference);

  test("the image verifies, as a whole and per architecture; the chart verifies", async () => {
    const parts = Object.values(release.platforms).map((digest) => release.image.replace(/@.*/, `@${digest}`));
    for (const reference of [release.image, ...parts, release.chart]) expect(await verify(reference)).toMatchObject({ code: 0 });
    expect(Object.keys(release.platforms).sort()).toEqual(["amd64", "arm64"]);
  }, 120_000);

  test.each(["spdxjson", "cyclonedx", "slsaprovenance1"])(
    "the attestation %s verifies and says what the file says",
    async (type) => {
      const reference = release.image.replace(/@.*/, `@${release.platforms["amd64"]}`);
      const verified = await release.cosign(
        "verify-attestation",
        `--key=${release.publicKeyPath}`,
        ...offline,
        `--type=${type}`,
        reference,
      );
      expect(verified).toMatchObject({ code: 0 });
      const { payload } = JSON.parse(verified.stdout.trim().split("\n")[0] ?? "") as { payload: string };
      const { predicate, subject } = JSON.parse(Buffer.from(payload, "base64").toString()) as {
        predicate: object;
        subject: { digest: { sha256: string } }[];
      };
      expect(`sha256:${subject[0]?.digest.sha256}`).toBe(release.platforms["amd64"] ?? "");
      const file =
        { spdxjson: "image-amd64.spdx.json", cyclonedx: "image-amd64.cdx.json", slsaprovenance1: "provenance.predicate.json" }[type] ?? "";
      // cosign spells one name of SLSA's otherwise (invocationID).
      const plain = (value: object) => JSON.stringify(sorted(value)).toLowerCase();
      expect(plain(predicate)).toBe(plain(read<object>(file)));
    },
    120_000,
  );

  test("another key does not verify", async () => {
    await must([release.env["COSIGN"] ?? "", "generate-key-pair", "--output-key-prefix=other"], { cwd: release.dir, env: release.env });
    expect((await verify(release.image, join(release.dir, "other.pub"))).code).not.toBe(0);
  }, 60_000);

  test("an image that somebody put in its place does not verify", async () => {
    const { image, registry } = release;
    const repository = image.replace(/@.*/, "");
    const arm = `docker://${repository}@${release.platforms["arm64"]}`;
    const unsigned = `${registry.address}/kruiser/tampered`;
    const copy = ["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    // The same content in a repository of its own, with the signature of another image copied beside it.
    await must([...copy, arm, `docker://${unsigned}:v1`]);
    const digest = release.platforms["arm64"] ?? "";
    expect((await verify(`${unsigned}@${digest}`)).code).not.toBe(0);
    const foreign = (release.platforms["amd64"] ?? "").replace(":", "-");
    await must([...copy, `docker://${repository}:${foreign}.sig`, `docker://${unsigned}:${digest.replace(":", "-")}.sig`]);
    const refused = await verify(`${unsigned}@${digest}`);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/digest|no matching|mismatch/i);
  }, 120_000);
});

/** With keys in order, all the way down. */
function sorted(value: unknown): object {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value as object;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1))
      .map(([key, child]) => [key, sorted(child)]),
  );
}
