/** `kubectl kruise version`: of this program, and of the cluster. */
import { serverInfo } from "../kube/discovery.ts";
import { versionInfo } from "../process/version.ts";
import { command } from "./command.ts";
import { out } from "./output.ts";
import { must } from "./session.ts";

export const version = command(
  { summary: "Versions of this program and of the cluster", usage: "[--client] [-o json|yaml]" },
  { client: { kind: "boolean", help: "only this program's" }, output: { kind: "string", short: "o", help: "json or yaml" } } as const,
  async ({ values, session: open }) => {
    const server = values.client ? undefined : must(await serverInfo((await open()).client));
    const told = {
      clientVersion: { gitVersion: versionInfo.version, gitCommit: versionInfo.commit, platform: versionInfo.platform },
      openKruiseAPI: versionInfo.openKruise,
      ...(server === undefined ? {} : { serverVersion: { gitVersion: server.gitVersion } }),
    };
    if (values.output === "json") out(`${JSON.stringify(told, null, 2)}\n`);
    else if (values.output === "yaml") out((await import("yaml")).stringify(told));
    else {
      out(`Client Version: ${versionInfo.version}\nKruise API Version: ${versionInfo.openKruise}\n`);
      if (server !== undefined) out(`Server Version: ${server.gitVersion}\n`);
    }
    return 0;
  },
);
