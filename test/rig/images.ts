/** What the rig's registry holds: images of a few files on top of a static busybox. */
import { readFileSync } from "node:fs";
import { buildImage, type Image, type ImageFile } from "./oci.ts";
import { must } from "./process.ts";
import { type Registry, serveRegistry } from "./registry.ts";

/**
 * Repositories of a fresh registry:
 * - `app`: `v1`, `v2`, `v3` answer HTTP on $PORT (8080) with their version, and at `/env` with the environment they started with; `v1-same` is `v1` under
 *   another tag; `broken` exits with 1.
 * - `job`: `v1` runs for $SECONDS_TO_RUN (1) and exits with $EXIT_CODE (0).
 * - `pause`: `v1`, for pod sandboxes.
 */
export async function startRegistry(): Promise<Registry> {
  const base = await busyboxLayer();
  const registry = await serveRegistry();
  for (const version of ["v1", "v2", "v3"]) registry.push("app", version, appImage(base, version));
  registry.push("app", "v1-same", appImage(base, "v1"));
  registry.push("app", "broken", scriptImage(base, 'echo "broken on purpose" >&2\nexit 1\n'));
  registry.push("job", "v1", scriptImage(base, `sleep "\${SECONDS_TO_RUN:-1}"\nexit "\${EXIT_CODE:-0}"\n`));
  registry.push("pause", "v1", scriptImage(base, waitForEver));
  return registry;
}

export const pauseRepository = "pause";

// PID 1 ignores signals it has no handler for: without the trap every stop would take the whole grace period.
const waitForEver = `trap 'exit 0' TERM INT
while :; do sleep 3600 & wait $!; done
`;

function appImage(base: readonly ImageFile[], version: string): Image {
  const script = `mkdir -p /www
echo "${version}" > /www/index.html
env | sort > /www/env
echo "app ${version} started"
httpd -f -p "\${PORT:-8080}" -h /www &
trap 'echo "app ${version} stopping"; exit 0' TERM INT
while :; do sleep 3600 & wait $!; done
`;
  return scriptImage(base, script, { version });
}

/** An image whose entry point is this shell script. */
export function scriptImage(base: readonly ImageFile[], script: string, labels: Record<string, string> = {}): Image {
  return buildImage({ layers: [base, [{ path: "init", mode: 0o755, content: `#!/bin/sh\n${script}` }]], entrypoint: ["/init"], labels });
}

let cachedBase: readonly ImageFile[] | undefined;

/** A static busybox with all its applets as links, and the few files that programs expect. */
export async function busyboxLayer(): Promise<readonly ImageFile[]> {
  if (cachedBase) return cachedBase;
  const path = Bun.which("busybox");
  if (!path) throw new Error("no `busybox` on PATH: `bun run rig install --node` installs Debian's busybox-static");
  const busybox = readFileSync(path);
  if (busybox.includes("/ld-linux") || busybox.includes("/ld-musl"))
    throw new Error(`${path} is linked dynamically: install busybox-static`);
  // The applet called busybox would be a link to itself.
  const applets = (await must([path, "--list"])).split("\n").filter((applet) => applet !== "" && applet !== "busybox");
  cachedBase = [
    ...["bin", "etc", "usr", "usr/bin", "var", "root", "proc", "sys", "dev"].map((directory) => ({
      path: `${directory}/`,
      directory: true,
    })),
    { path: "tmp/", directory: true, mode: 0o1777 },
    { path: "bin/busybox", mode: 0o755, content: new Uint8Array(busybox) },
    ...applets.map((applet) => ({ path: `bin/${applet}`, mode: 0o777, linkTo: "/bin/busybox" })),
    { path: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n" },
    { path: "etc/group", content: "root:x:0:\nnogroup:x:65534:\n" },
  ];
  return cachedBase;
}
