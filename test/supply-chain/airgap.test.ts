/** A site without network: everything below runs in a network namespace that has loopback and nothing else. */
import { beforeAll, expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import packageJson from "../../package.json";
import { architecture } from "../lib/product-image.ts";
import { cacheDir } from "../rig/binaries.ts";
import { must, run } from "../rig/process.ts";
import { type Published, published, releaseDir, root } from "./published.ts";

const startTimeoutMs = 60 * 60_000;
const timeoutMs = 300_000;
let release: Published;
let bundle: string;

beforeAll(async () => {
  release = await published();
  const out = ".kruiser/test-bundle";
  await must(["rm", "-rf", join(root, out)]);
  console.log(
    await must(
      [
        "./scripts/bundle",
        `--image=${release.image}`,
        `--key=${release.keyPath}`,
        `--public-key=${release.publicKeyPath}`,
        `--release=${releaseDir}`,
        `--out=${out}`,
        "--plain-http",
      ],
      { cwd: root, env: release.env, timeoutMs },
    ),
  );
  bundle = join(release.dir, `kruise-bundle-${packageJson.version}`);
  await must(["tar", "-xf", `${join(root, out, `kruise-bundle-${packageJson.version}`)}.tar`, "-C", release.dir]);
  await must(["rm", "-rf", join(root, out)]);
}, startTimeoutMs);

test("it holds everything", () => {
  for (const path of [
    "install",
    "README.md",
    "images.txt",
    "push.txt",
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "cosign.pub",
    `chart/kruise-${packageJson.version}.tgz`,
    "crds/clonesets.apps.kruise.io.yaml",
    "sbom/image-arm64.spdx.json",
  ])
    expect({ path, there: existsSync(join(bundle, path)) }).toEqual({ path, there: true });
  expect(readFileSync(join(bundle, "images.txt"), "utf8").trim()).toBe(release.image.replace("@", `:${release.tag}@`));
});

test(
  "verified, pushed and installed with only loopback reachable",
  async () => {
    const path = `${dirname(release.env["HELM"] ?? "")}:${dirname(release.env["COSIGN"] ?? "")}:${process.env["PATH"]}`;
    const inside = `ip link set lo up && exec "${process.execPath}" test/supply-chain/site.ts "${bundle}"`;
    const ran = await run(["unshare", "--net", "sh", "-c", inside], {
      cwd: root,
      env: { ...release.env, PATH: path, KRUISER_CACHE: cacheDir(), KRUISER_OFFLINE: "1" },
      timeoutMs,
    });
    expect(ran).toMatchObject({ code: 0 });
    const site = JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? "") as {
      images: string[];
      release: string;
      registry: string;
      outside: string;
      pulled: string;
    };
    const digest = release.image.split("@")[1];
    expect(site.images).toEqual([
      `${site.registry}/mirror/kruise:v${packageJson.version}@${digest}`,
      `${site.registry}/mirror/kruise:v${packageJson.version}@${digest}`,
    ]);
    expect(site.release).toBe("deployed");
    expect(site.outside).not.toBe("reached");
    expect(site.pulled).toBe(release.platforms[architecture] ?? "");
  },
  timeoutMs,
);

test(
  "a changed file, a changed list and a foreign key are refused before anything is pushed",
  async () => {
    const verify = (...args: string[]) => run([join(bundle, "install"), "--verify", ...args]);
    expect(await verify()).toMatchObject({ code: 0 });
    const changed = join(bundle, "crds/clonesets.apps.kruise.io.yaml");
    const before = readFileSync(changed, "utf8");
    appendFileSync(changed, "# changed\n");
    expect((await verify()).stderr).toContain("files of the bundle were changed");
    await Bun.write(changed, before);
    appendFileSync(join(bundle, "SHA256SUMS"), "");
    expect((await verify()).code).toBe(0);
    const sums = readFileSync(join(bundle, "SHA256SUMS"), "utf8");
    await Bun.write(join(bundle, "SHA256SUMS"), sums.split("\n").slice(1).join("\n"));
    expect((await verify()).stderr).toContain("was not signed with");
    await Bun.write(join(bundle, "SHA256SUMS"), sums);
    await must([release.env["COSIGN"] ?? "", "generate-key-pair", "--output-key-prefix=foreign"], { cwd: release.dir, env: release.env });
    expect((await verify("--key", join(release.dir, "foreign.pub"))).stderr).toContain("was not signed with");
  },
  timeoutMs,
);
