/**
 * The environment a container runs with. The runtime knows it from the container's specification: exact bytes, and no program in the
 * image needed. Only runtimes that do not tell are asked by running `env` in the container.
 */
import { fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import type { RuntimeService } from "../cri/client.ts";
import { type Called, type CallOptions, failure, grpcCode } from "../cri/grpc.ts";

export type Environment = ReadonlyMap<string, string>;

const execSeconds = 3;

export async function environmentOf(runtime: RuntimeService, runtimeId: string, options?: CallOptions): Promise<Called<Environment>> {
  const info = await runtime.containerInfo(runtimeId, options);
  if (!info.ok) return info;
  const told = environmentFromInfo(info.value);
  if (told !== undefined) return { ok: true, value: told };
  let problem = "";
  for (const { command, parse } of commands) {
    const executed = await runtime.execSync(runtimeId, command, execSeconds, options);
    if (!executed.ok) {
      if (executed.code === grpcCode.unavailable || executed.code === grpcCode.cancelled) return executed;
      problem = executed.message;
    } else if (executed.value.exitCode !== 0) problem = `${command.join(" ")} exited with ${executed.value.exitCode}`;
    else return { ok: true, value: parse(new TextDecoder().decode(executed.value.stdout)) };
  }
  return failure(grpcCode.unknown, `the runtime does not tell the container's environment, and it cannot be read: ${problem}`);
}

/** In the order of trust: values may hold line breaks. */
const commands: readonly { readonly command: readonly string[]; readonly parse: (output: string) => Environment }[] = [
  { command: ["env", "-0"], parse: (output) => environmentFrom(output.split("\0").filter((entry) => entry !== "")) },
  { command: ["env"], parse: (output) => environmentFrom(output.split("\n").map((line) => line.trim())) },
];

/** @param info texts of a verbose status; containerd and CRI-O put the OCI runtime specification into "info" */
export function environmentFromInfo(info: Readonly<Record<string, string>>): Environment | undefined {
  const text = info["info"];
  if (text === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { runtimeSpec } = fieldsOf(parsed);
  const { env } = fieldsOf(fieldsOf(runtimeSpec)["process"]);
  return Array.isArray(env) ? environmentFrom(itemsOf(env).map(textOf)) : undefined;
}

/** Entries "NAME=value"; of several for one name the last counts, as for a process. */
export function environmentFrom(entries: readonly string[]): Environment {
  const environment = new Map<string, string>();
  for (const entry of entries) {
    const equals = entry.indexOf("=");
    if (equals > 0) environment.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return environment;
}
