/** A real registry (distribution) on loopback, for what wants to push: Debian's docker-registry. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensurePackages } from "../rig/debian.ts";
import { freePort, startProcess } from "../rig/process.ts";
import { waitFor } from "../rig/wait.ts";

export interface DockerRegistry {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  stop(): Promise<void>;
}

export async function startDockerRegistry(dir: string): Promise<DockerRegistry> {
  await ensurePackages(["docker-registry"]);
  mkdirSync(dir, { recursive: true });
  const address = `127.0.0.1:${await freePort()}`;
  const config = {
    version: "0.1",
    log: { level: "warn" },
    storage: { filesystem: { rootdirectory: join(dir, "storage") }, delete: { enabled: true } },
    http: { addr: address },
  };
  const path = join(dir, "config.json");
  writeFileSync(path, JSON.stringify(config));
  const server = startProcess({ name: "docker-registry", argv: ["docker-registry", "serve", path], logPath: join(dir, "log") });
  await waitFor("the registry to answer", async () => (await fetch(`http://${address}/v2/`)).ok);
  return { address, stop: () => server.stop() };
}
