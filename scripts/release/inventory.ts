/** Everything that is in the binary and in the image, as one list: what bills of materials and licence notices are made from. */
import { join } from "node:path";
import packageJson from "../../package.json";
import { lockedRuntime } from "../build/runtime.ts";
import type { Target } from "../build/targets.ts";
import { packageRecords } from "../image/debian-base.ts";
import { layerFiles, type Platform } from "../image/layout.ts";
import { readLock } from "../lib/lockfile.ts";
import { type Bundled, bundledPackages } from "./bundled.ts";
import { runtimeComponents } from "./runtime-components.ts";

export interface Part {
  /** Unique in its list; letters, digits, dots and hyphens. */
  readonly id: string;
  readonly name: string;
  /** "" where nobody says. */
  readonly version: string;
  /** SPDX expression, or NOASSERTION. */
  readonly license: string;
  /** Package URL: how scanners look it up. */
  readonly purl: string;
  readonly checksum?: { readonly algorithm: "SHA256" | "SHA512"; readonly hex: string };
  readonly dependsOn: readonly string[];
}

export interface Inventory {
  /** What it is the inventory of; depends on its direct parts. */
  readonly root: Part;
  readonly parts: readonly Part[];
}

const rootDir = join(import.meta.dir, "../..");

/** @param metafile of the build. @param sha256 of the binary for `target` */
export function binaryInventory(metafile: string, target: Target, sha256: string): Inventory {
  const packages = bundledPackages(metafile);
  const runtime = runtimeParts(target);
  const parts = [...npmParts(packages), ...runtime];
  const direct = Object.keys(packageJson.dependencies)
    .map((name) => packages.find((bundled) => bundled.name === name))
    .filter((bundled) => bundled !== undefined)
    .map(idOf);
  const root: Part = {
    id: `kruise-${target.name}`,
    name: "kruise",
    version: packageJson.version,
    license: packageJson.license,
    purl: `pkg:generic/kruise@${packageJson.version}?arch=${target.name}`,
    checksum: { algorithm: "SHA256", hex: sha256 },
    dependsOn: [...direct, ...runtime.slice(0, 1).map(({ id }) => id)],
  };
  return { root, parts };
}

/** The binary's, and what the base image brings. */
export function imageInventory(binary: Inventory, layout: string, platform: Platform): Inventory {
  const debian = platform.manifest.layers.flatMap((layer) => debianParts(layerFiles(layout, layer)));
  const parts = [binary.root, ...binary.parts, ...debian];
  const root: Part = {
    id: `image-${platform.architecture}`,
    name: "kruise-image",
    version: packageJson.version,
    license: "NOASSERTION",
    purl: `pkg:oci/kruise@${platform.digest.replace(":", "%3A")}?arch=${platform.architecture}`,
    checksum: { algorithm: "SHA256", hex: platform.digest.slice("sha256:".length) },
    dependsOn: [binary.root.id, ...debian.map(({ id }) => id)],
  };
  return { root, parts };
}

const idText = (text: string) => text.replace(/[^A-Za-z0-9.]+/g, "-").replace(/^-/, "");
const idOf = ({ name, version }: { name: string; version: string }) => `npm-${idText(name)}-${idText(version)}`;

function npmParts(packages: readonly Bundled[]): Part[] {
  const lock = [...readLock(join(rootDir, "bun.lock")).values()];
  return packages.map((bundled) => {
    const names = lock.find(({ name, version }) => name === bundled.name && version === bundled.version)?.dependencies ?? [];
    return {
      id: idOf(bundled),
      name: bundled.name,
      version: bundled.version,
      license: bundled.license,
      purl: `pkg:npm/${bundled.name.replace("@", "%40")}@${bundled.version}`,
      checksum: { algorithm: "SHA512", hex: Buffer.from(bundled.integrity.slice("sha512-".length), "base64").toString("hex") },
      dependsOn: packages.filter(({ name }) => names.includes(name)).map(idOf),
    };
  });
}

/** The runtime first, then what is linked into it. */
function runtimeParts(target: Target): Part[] {
  const locked = lockedRuntime(target);
  const linked = runtimeComponents.map(
    ({ name, license, version = "" }): Part => ({
      id: `bun-${idText(name)}`,
      name,
      version,
      license,
      purl: `pkg:generic/${name.toLowerCase()}${version === "" ? "" : `@${version}`}`,
      dependsOn: [],
    }),
  );
  return [
    {
      id: "bun",
      name: target.runtime,
      version: locked.version,
      license: "MIT",
      purl: `pkg:npm/${target.runtime.replace("@", "%40")}@${locked.version}`,
      checksum: { algorithm: "SHA512", hex: Buffer.from(locked.integrity.slice("sha512-".length), "base64").toString("hex") },
      dependsOn: linked.map(({ id }) => id),
    },
    ...linked,
  ];
}

function debianParts(files: ReadonlyMap<string, Buffer>): Part[] {
  return [...files]
    .filter(([path, content]) => path.startsWith(`${packageRecords}/`) && content.length > 0 && !path.endsWith(".md5sums"))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, content]) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(content.toString())?.[1] ?? "";
      const [name, version] = [field("Package"), field("Version")];
      return {
        id: `deb-${idText(name)}`,
        name,
        version,
        license: "NOASSERTION",
        purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${field("Architecture")}`,
        dependsOn: [],
      };
    });
}
