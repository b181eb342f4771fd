/** What a real node needs from the operating system: container runtime, network plugins, a static busybox. On Debian it is installed when missing. */
import { existsSync } from "node:fs";
import { cacheDir, say } from "./binaries.ts";
import { withLock } from "./lock.ts";
import { must } from "./process.ts";

const needs: readonly { readonly package: string; readonly present: () => boolean }[] = [
  { package: "containerd", present: () => Bun.which("containerd") !== null && Bun.which("containerd-shim-runc-v2") !== null },
  { package: "runc", present: () => Bun.which("runc") !== null },
  { package: "containernetworking-plugins", present: () => cniDir() !== undefined },
  { package: "busybox-static", present: () => Bun.which("busybox") !== null },
  { package: "iptables", present: () => Bun.which("iptables") !== null },
  { package: "iproute2", present: () => Bun.which("ip") !== null },
];

/** What single tests need: to build, sign and carry images, to add an address, to have another time. */
const toolNeeds = {
  iproute2: { package: "iproute2", present: () => Bun.which("ip") !== null },
  buildah: { package: "buildah", present: () => Bun.which("buildah") !== null },
  "docker-registry": { package: "docker-registry", present: () => Bun.which("docker-registry") !== null },
  skopeo: { package: "skopeo", present: () => Bun.which("skopeo") !== null },
  faketime: { package: "faketime", present: () => fakeTimeLibrary() !== undefined },
  "qemu-user-static": { package: "qemu-user-static", present: () => Bun.which("qemu-aarch64-static") !== null },
} as const;

const installTimeoutMs = 10 * 60_000;

/** Where the CNI plugins are; undefined when they are not installed. */
export function cniDir(): string | undefined {
  return ["/usr/lib/cni", "/opt/cni/bin"].find((dir) => existsSync(`${dir}/bridge`) && existsSync(`${dir}/host-local`));
}

function fakeTimeLibrary(): string | undefined {
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  return [`/usr/lib/${triplet}`, "/usr/lib64", "/usr/lib"]
    .map((dir) => `${dir}/faketime/libfaketime.so.1`)
    .find((path) => existsSync(path));
}

/** The environment of a dynamically linked process whose wall clock is off; what lasts a second still does. @param by "+1h", "-90s" */
export async function fakeTime(by: string): Promise<Readonly<Record<string, string>>> {
  await ensurePackages(["faketime"]);
  const library = fakeTimeLibrary();
  if (library === undefined) throw new Error("the package faketime is installed, and libfaketime.so.1 is in none of the known folders");
  return { LD_PRELOAD: library, FAKETIME: by, FAKETIME_DONT_FAKE_MONOTONIC: "1" };
}

/** @throws Error saying what is missing and how to get it */
export async function ensureNodePackages(): Promise<void> {
  if (process.platform !== "linux") throw new Error("a real node needs Linux");
  if (process.getuid?.() !== 0) throw new Error("a real node needs root: containers, mounts and bridges are made");
  await install(needs, "a real node");
}

/** @throws Error saying what is missing and how to get it */
export async function ensurePackages(names: readonly (keyof typeof toolNeeds)[]): Promise<void> {
  await install(
    names.map((name) => toolNeeds[name]),
    "this test",
  );
}

async function install(wanted: typeof needs, who: string): Promise<void> {
  const missing = wanted.filter((need) => !need.present()).map((need) => need.package);
  if (missing.length === 0) return;
  if (!Bun.which("apt-get")) throw new Error(`${who} needs ${missing.join(", ")} (Debian's names): install them and try again`);
  await withLock(`${cacheDir()}/lock`, installTimeoutMs, say, async () => {
    say(`installing Debian packages: ${missing.join(" ")}`);
    const options = { timeoutMs: installTimeoutMs, env: { DEBIAN_FRONTEND: "noninteractive" } };
    await must(["apt-get", "update"], options);
    await must(["apt-get", "install", "-y", "--no-install-recommends", ...missing], options);
  });
}
