/**
 * Where the rig's programs come from. For each: `KUBEBUILDER_ASSETS`, then the cache, then the official download, then a build from Go modules into
 * the cache. A step that does not work says so and the next is tried.
 *
 * Environment: `KRUISER_CACHE` moves the cache (default `$XDG_CACHE_HOME/kruiser` or `~/.cache/kruiser`); `KRUISER_OFFLINE=1` skips downloads.
 */
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { buildCommand, buildEtcd, buildKubernetes, buildKwok } from "./go-build.ts";
import { withLock } from "./lock.ts";
import { must } from "./process.ts";
import { messageOf } from "./wait.ts";

export const kubernetesVersion = "v1.34.4";
const etcdVersion = "v3.6.5";
const kwokVersion = "v0.8.0";
const helmVersion = "v3.20.2";
const cosignVersion = "v2.6.5";
const actionlintVersion = "v1.7.12";
const elfMagic = Buffer.from("\x7fELF", "latin1");

export type BinaryName =
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubelet"
  | "kubectl"
  | "kwok"
  | "helm"
  | "cosign"
  | "actionlint";

interface Source {
  readonly version: string;
  /** @throws Error when the download does not work; leaves nothing behind at `target` then */
  download(target: string): Promise<void>;
  build(target: string): Promise<void>;
}

const kubernetes = (name: BinaryName): Source => ({
  version: kubernetesVersion,
  download: async (target) => {
    const url = `https://dl.k8s.io/release/${kubernetesVersion}/bin/linux/${architecture()}/${name}`;
    const bytes = await fetched(url);
    checkSum(bytes, new TextDecoder().decode(await fetched(`${url}.sha256`)).trim(), url);
    writeFileSync(target, bytes);
  },
  build: (target) => buildKubernetes(join(cacheDir(), "build", `kubernetes-${kubernetesVersion}`), kubernetesVersion, name, target),
});

const sources: Record<BinaryName, Source> = {
  etcd: {
    version: etcdVersion,
    download: async (target) => {
      const name = `etcd-${etcdVersion}-linux-${architecture()}`;
      const base = `https://github.com/etcd-io/etcd/releases/download/${etcdVersion}`;
      const archive = await fetched(`${base}/${name}.tar.gz`);
      const sums = new TextDecoder().decode(await fetched(`${base}/SHA256SUMS`));
      checkSum(archive, sumOf(sums, `${name}.tar.gz`), `${name}.tar.gz`);
      writeFileSync(`${target}.tar.gz`, archive);
      await must(["tar", "-xzf", `${target}.tar.gz`, "-C", dirname(target), "--strip-components=1", `${name}/etcd`]);
      rmSync(`${target}.tar.gz`);
      renameSync(join(dirname(target), "etcd"), target);
    },
    build: (target) => buildEtcd(join(cacheDir(), "build", `etcd-${etcdVersion}`), etcdVersion, target),
  },
  kwok: {
    version: kwokVersion,
    download: async (target) => {
      const url = `https://github.com/kubernetes-sigs/kwok/releases/download/${kwokVersion}/kwok-linux-${architecture()}`;
      const bytes = await fetched(url);
      // No sum is published beside it; at least it must not be the page of a proxy.
      if (!Buffer.from(bytes.subarray(0, 4)).equals(elfMagic)) throw new Error(`${url} did not answer with a program`);
      writeFileSync(target, bytes);
    },
    build: (target) => buildKwok(join(cacheDir(), "build", `kwok-${kwokVersion}`), kwokVersion, target),
  },
  helm: {
    version: helmVersion,
    download: async (target) => {
      const name = `helm-${helmVersion}-linux-${architecture()}.tar.gz`;
      const archive = await fetched(`https://get.helm.sh/${name}`);
      const sum = new TextDecoder().decode(await fetched(`https://get.helm.sh/${name}.sha256sum`));
      checkSum(archive, sum.split(" ")[0] ?? "", name);
      writeFileSync(`${target}.tar.gz`, archive);
      await must(["tar", "-xzf", `${target}.tar.gz`, "-C", dirname(target), "--strip-components=1", `linux-${architecture()}/helm`]);
      rmSync(`${target}.tar.gz`);
      renameSync(join(dirname(target), "helm"), target);
    },
    build: (target) => {
      // Without these it takes every cluster that it cannot ask for one of Kubernetes 1.20.
      const [, major, minor] = kubernetesVersion.match(/^v(\d+)\.(\d+)\./) ?? [];
      const stamp = { "internal/version.version": helmVersion } as Record<string, string | undefined>;
      for (const holder of ["pkg/lint/rules", "pkg/chartutil"])
        Object.assign(stamp, { [`${holder}.k8sVersionMajor`]: major, [`${holder}.k8sVersionMinor`]: minor });
      const flags = Object.entries(stamp).map(([name, value]) => `-X helm.sh/helm/v3/${name}=${value}`);
      return buildCommand("helm.sh/helm/v3/cmd/helm", helmVersion, target, flags.join(" "));
    },
  },
  cosign: {
    version: cosignVersion,
    download: async (target) => {
      const base = `https://github.com/sigstore/cosign/releases/download/${cosignVersion}`;
      const name = `cosign-linux-${architecture()}`;
      const bytes = await fetched(`${base}/${name}`);
      const sums = new TextDecoder().decode(await fetched(`${base}/cosign_checksums.txt`));
      checkSum(bytes, sumOf(sums, name), name);
      writeFileSync(target, bytes);
    },
    build: (target) => buildCommand("github.com/sigstore/cosign/v2/cmd/cosign", cosignVersion, target),
  },
  actionlint: {
    version: actionlintVersion,
    download: async (target) => {
      const number = actionlintVersion.slice(1);
      const base = `https://github.com/rhysd/actionlint/releases/download/${actionlintVersion}`;
      const name = `actionlint_${number}_linux_${architecture()}.tar.gz`;
      const archive = await fetched(`${base}/${name}`);
      const sums = new TextDecoder().decode(await fetched(`${base}/actionlint_${number}_checksums.txt`));
      checkSum(archive, sumOf(sums, name), name);
      writeFileSync(`${target}.tar.gz`, archive);
      await must(["tar", "-xzf", `${target}.tar.gz`, "-C", dirname(target), "actionlint"]);
      rmSync(`${target}.tar.gz`);
      renameSync(join(dirname(target), "actionlint"), target);
    },
    build: (target) => buildCommand("github.com/rhysd/actionlint/cmd/actionlint", actionlintVersion, target),
  },
  "kube-apiserver": kubernetes("kube-apiserver"),
  "kube-controller-manager": kubernetes("kube-controller-manager"),
  "kube-scheduler": kubernetes("kube-scheduler"),
  kubelet: kubernetes("kubelet"),
  kubectl: kubernetes("kubectl"),
};

export function cacheDir(): string {
  const own = process.env["KRUISER_CACHE"];
  if (own) return own;
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "kruiser");
}

const lockTimeoutMs = 45 * 60_000;
const found = new Map<BinaryName, Promise<string>>();

/** The path of a program that runs; made on first use, which may take minutes. @throws Error saying what every way of getting it ran into */
export function binary(name: BinaryName): Promise<string> {
  const known = found.get(name);
  if (known) return known;
  const path = findOrMake(name);
  found.set(name, path);
  path.catch(() => found.delete(name));
  return path;
}

async function findOrMake(name: BinaryName): Promise<string> {
  const source = sources[name];
  const assets = process.env["KUBEBUILDER_ASSETS"];
  if (assets && existsSync(join(assets, name))) return join(assets, name);
  // Any kubectl speaks to the rig; the other programs have to be of the version the tests were written against.
  const installed = name === "kubectl" ? Bun.which("kubectl") : null;
  if (installed) return installed;
  const cached = join(cacheDir(), "bin", `${name}-${source.version}`, name);
  if (existsSync(cached)) return cached;
  return withLock(join(cacheDir(), "lock"), lockTimeoutMs, say, async () => {
    if (existsSync(cached)) return cached;
    mkdirSync(dirname(cached), { recursive: true });
    const half = `${cached}.part`;
    const failures: string[] = [];
    for (const [how, make] of waysOf(source)) {
      try {
        say(`${name} ${source.version}: ${how}`);
        rmSync(half, { force: true });
        await make(half);
        chmodSync(half, 0o755);
        renameSync(half, cached);
        return cached;
      } catch (error) {
        failures.push(`${how}: ${messageOf(error)}`);
        say(`${name} ${source.version}: ${how} did not work: ${messageOf(error).split("\n")[0]}`);
      }
    }
    throw new Error(
      `no way to get ${name} ${source.version}:\n  ${failures.join("\n  ")}\nPut it at ${cached}, or its folder into KUBEBUILDER_ASSETS.`,
    );
  });
}

function waysOf(source: Source): [string, (target: string) => Promise<void>][] {
  const build: [string, (target: string) => Promise<void>] = ["building with Go (minutes, once)", (target) => source.build(target)];
  if (process.env["KRUISER_OFFLINE"] === "1" || process.platform !== "linux") return [build];
  return [["official download", (target) => source.download(target)], build];
}

function architecture(): string {
  return process.arch === "arm64" ? "arm64" : "amd64";
}

const connectTimeoutMs = 4_000;
const bodyTimeoutMs = 10 * 60_000;
/** Hosts that did not answer: asking each of them once is enough. */
const unreachable = new Set<string>();

async function fetched(url: string): Promise<Uint8Array> {
  const host = new URL(url).host;
  if (unreachable.has(host)) throw new Error(`${host} did not answer before`);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), connectTimeoutMs);
  let response: Response;
  try {
    response = await fetch(url, { signal: abort.signal });
  } catch (error) {
    unreachable.add(host);
    throw new Error(abort.signal.aborted ? `${host} did not answer within ${connectTimeoutMs} ms` : `${host}: ${messageOf(error)}`);
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const stalled = setTimeout(() => abort.abort(), bodyTimeoutMs);
  try {
    return new Uint8Array(await response.arrayBuffer());
  } finally {
    clearTimeout(stalled);
  }
}

/** @param sums as sha256sum writes them; empty where the file is not among them */
function sumOf(sums: string, file: string): string {
  const line = sums.split("\n").find((candidate) => candidate.endsWith(` ${file}`));
  return line?.split(" ")[0] ?? "";
}

function checkSum(bytes: Uint8Array, expected: string, what: string): void {
  const actual = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  if (actual !== expected) throw new Error(`${what}: sha256 is ${actual}, should be ${expected || "listed, and is not"}`);
}

/** Progress goes to standard error: the CLI's standard output is for values. */
export function say(text: string): void {
  process.stderr.write(`rig: ${text}\n`);
}

/** What a control plane with simulated nodes needs. */
export const clusterBinaries: readonly BinaryName[] = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kwok",
  "kubectl",
];
/** What a real node needs besides Debian's packages. */
export const nodeBinaries: readonly BinaryName[] = ["kubelet"];

/** Makes sure that these are at hand; answers their paths. */
export async function ensureBinaries(names: readonly BinaryName[]): Promise<Map<BinaryName, string>> {
  const paths = new Map<BinaryName, string>();
  for (const name of names) paths.set(name, await binary(name));
  return paths;
}
