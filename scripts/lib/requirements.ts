/** What a part of the tests needs from the machine, beyond Bun and the packages of the lock file. */
import { existsSync } from "node:fs";

/** @returns why the part cannot run here, or undefined. What can be installed, the test rig installs. */
export function missingFor(part: "cluster" | "node"): string | undefined {
  if (process.platform !== "linux") return `a real ${part === "node" ? "node" : "control plane"} needs Linux, this is ${process.platform}`;
  if (part === "node" && process.getuid?.() !== 0) return "a real node needs root: containers, mounts and bridges are made";
  if (part === "node" && !existsSync("/usr/bin/apt-get") && Bun.which("containerd") === null)
    return "a real node needs containerd, runc, CNI plugins, iptables, iproute2 and a static busybox, and this is no Debian to install them on";
  return undefined;
}
