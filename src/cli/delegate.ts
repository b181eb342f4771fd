/** What kubectl does as well as we could is left to kubectl: same words, same streams, same exit code. */

import { Refused } from "./refused.ts";
import type { GlobalValues } from "./session.ts";

/** @throws Refused where there is no kubectl */
export async function kubectl(args: readonly string[]): Promise<number> {
  const path = Bun.which("kubectl");
  if (path === null) throw new Refused(`error: this needs kubectl, which is not in PATH: kubectl ${args.slice(0, 2).join(" ")}`);
  const child = Bun.spawn([path, ...args], { stdin: "inherit", stdout: "inherit", stderr: "inherit" });
  // The terminal's Ctrl-C goes to both: kubectl decides how it ends.
  const stay = () => {};
  process.on("SIGINT", stay);
  try {
    return await child.exited;
  } finally {
    process.off("SIGINT", stay);
  }
}

/** What kubectl says. @throws Refused where it fails */
export async function kubectlText(args: readonly string[]): Promise<string> {
  const path = Bun.which("kubectl");
  if (path === null) throw new Refused(`error: this needs kubectl, which is not in PATH: kubectl ${args[0]}`);
  const child = Bun.spawn([path, ...args], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0) throw new Refused(`error: kubectl ${args[0]} ended with code ${code}`);
  return text;
}

/** The global flags that were given, as kubectl takes them. */
export function globalArgs(values: GlobalValues, given: ReadonlySet<string>): readonly string[] {
  const args: string[] = [];
  for (const name of passed) {
    if (!given.has(name)) continue;
    const value = values[name];
    if (Array.isArray(value)) args.push(...value.map((each) => `--${name}=${each}`));
    else args.push(`--${name}=${name === "request-timeout" ? `${Number(value)}ms` : String(value)}`);
  }
  return args;
}

const passed = [
  "kubeconfig",
  "context",
  "cluster",
  "user",
  "namespace",
  "server",
  "token",
  "as",
  "as-uid",
  "as-group",
  "certificate-authority",
  "client-certificate",
  "client-key",
  "insecure-skip-tls-verify",
  "tls-server-name",
  "request-timeout",
] as const satisfies readonly (keyof GlobalValues)[];
