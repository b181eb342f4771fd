/** A release as it leaves the project: built, gathered, pushed to a registry, signed with a key of the test's own. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atEnd } from "../lib/at-end.ts";
import { type DockerRegistry, startDockerRegistry } from "../lib/docker-registry.ts";
import { type ProductImage, productImage } from "../lib/product-image.ts";
import { binary } from "../rig/binaries.ts";
import { ensurePackages } from "../rig/debian.ts";
import { must, type Ran, run } from "../rig/process.ts";

export const root = join(import.meta.dir, "../..");
export const releaseDir = ".kruiser/test-release";

export interface Published {
  readonly dir: string;
  readonly product: ProductImage;
  readonly registry: DockerRegistry;
  /** By digest. */
  readonly image: string;
  readonly chart: string;
  readonly tag: string;
  readonly platforms: Readonly<Record<string, string>>;
  readonly keyPath: string;
  readonly publicKeyPath: string;
  /** Variables that the scripts look at. */
  readonly env: Readonly<Record<string, string>>;
  cosign(...args: string[]): Promise<Ran>;
}

/** Against a registry without TLS, and without the public log. */
export const offline = ["--insecure-ignore-tlog=true", "--allow-http-registry", "--allow-insecure-registry"];

let running: Promise<Published> | undefined;

export function published(): Promise<Published> {
  running ??= publish();
  return running;
}

const timeoutMs = 600_000;

async function publish(): Promise<Published> {
  await ensurePackages(["skopeo", "docker-registry"]);
  const product = await productImage();
  const dir = mkdtempSync(join(tmpdir(), "kruiser-release-"));
  atEnd(async () => rmSync(dir, { recursive: true, force: true }));
  const env = { COSIGN: await binary("cosign"), HELM: await binary("helm"), COSIGN_PASSWORD: "", HOME: dir, SIGSTORE_NO_CACHE: "1" };
  const bun = process.execPath;
  await must([bun, "scripts/release.ts", "--image=.kruiser/test-image", "--targets=linux-amd64,linux-arm64", `--out=${releaseDir}`], {
    cwd: root,
    timeoutMs,
  });
  const cosign = (...args: string[]) => run([env.COSIGN, ...args], { env, cwd: dir, timeoutMs });
  mkdirSync(join(dir, "keys"));
  const made = await run([env.COSIGN, "generate-key-pair"], { env, cwd: join(dir, "keys") });
  if (made.code !== 0) throw new Error(made.stderr);
  const keyPath = join(dir, "keys/cosign.key");
  const registry = await startDockerRegistry(join(dir, "registry"));
  atEnd(() => registry.stop());
  const told = await must(
    [
      bun,
      "scripts/publish.ts",
      `--registry=${registry.address}/kruiser`,
      `--key=${keyPath}`,
      "--image=.kruiser/test-image",
      `--release=${releaseDir}`,
      "--plain-http",
      "--no-tlog",
    ],
    { cwd: root, env, timeoutMs },
  );
  return { dir, product, registry, ...JSON.parse(told), keyPath, publicKeyPath: join(dir, "keys/cosign.pub"), env, cosign };
}
