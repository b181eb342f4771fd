/** `kruise uninstall-check`: may Kruiser be taken out of this cluster? Run by the chart before `helm uninstall`, and by people. */

import { definitions } from "../api/index.ts";
import { silentLogger } from "../env/log.ts";
import { complain, say } from "../env/stdio.ts";
import { systemEnv } from "../env/system.ts";
import { loadCredentials } from "../kube/credentials.ts";
import { type Key, type Kind, keyOf, keyText, resourceName } from "../kube/kind.ts";
import { createKube } from "../kube/kube.ts";
import { failureText, type Written } from "../kube/outcome.ts";
import type { KubeObject } from "../kube/types.ts";
import { versionInfo } from "../process/version.ts";
import { flagsHelp, parseArgs } from "./args.ts";
import { askFlags } from "./flags.ts";
import { sourcesOf } from "./session.ts";

const usage = `kruise uninstall-check [-o json]

Counts the custom resources that would be left without a controller.
Exit code: 0 none are left, 1 some are, 2 it could not be found out.
`;

/** Made by the manager and the node agents themselves, one a node: they are no reason to stay. */
const ownObjects: ReadonlySet<string> = new Set(["nodeimages", "nodepodprobes"]);
/** Counted exactly up to here; who has more does not need the number. */
const countMax = 1000;
const namesMax = 5;

export interface Left {
  /** "clonesets.apps.kruise.io" */
  readonly resource: string;
  readonly count: number;
  /** The first few. */
  readonly names: readonly string[];
}

export async function uninstallCheckCommand(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    say(`${usage}\n${flagsHelp(askFlags)}\n`);
    return 0;
  }
  const parsed = parseArgs(askFlags, args);
  if (typeof parsed === "string") return wrong(parsed);
  if (parsed.words.length > 0) return wrong(`unexpected argument "${parsed.words[0]}"`);
  const { output } = parsed.values;
  if (output !== "" && output !== "json") return wrong(`--output=${output}: expected json`);
  const ending = new AbortController();
  const env = systemEnv(silentLogger, ending.signal);
  const found = await loadCredentials(env, sourcesOf(parsed.values));
  if (!found.ok) return wrong(found.message);
  const { client } = createKube(env, found.credentials, { userAgent: `kubectl-kruise/${versionInfo.version}` });
  try {
    const kinds = definitions.map(({ kind }) => kind as Kind).filter(({ plural }) => !ownObjects.has(plural));
    const left = await countLeft(kinds, (kind) => client.list(kind, { itemsMax: countMax, metadataOnly: true }));
    if (typeof left === "string") return wrong(left);
    say(output === "json" ? `${JSON.stringify({ left }, null, 2)}\n` : textOf(left));
    return left.length === 0 ? 0 : 1;
  } finally {
    ending.abort();
  }
}

/** @returns what is left, kind by kind, or why that cannot be said. A kind that is not served has no objects. */
export async function countLeft(
  kinds: readonly Kind[],
  list: (kind: Kind) => Promise<Written<readonly KubeObject[]>>,
): Promise<readonly Left[] | string> {
  const left: Left[] = [];
  for (const kind of kinds) {
    const listed = await list(kind);
    if (listed.ok) {
      if (listed.object.length > 0) left.push(leftOf(kind, listed.object.map(keyOf)));
    } else if (listed.why !== "notFound") return `cannot list ${resourceName(kind)}: ${failureText(listed)}`;
  }
  return left;
}

function leftOf(kind: Kind, keys: readonly Key[]): Left {
  return { resource: resourceName(kind), count: keys.length, names: keys.slice(0, namesMax).map(keyText) };
}

export function textOf(left: readonly Left[]): string {
  if (left.length === 0) return "no custom resources are left: Kruiser can be uninstalled\n";
  const lines = left.map(({ resource, count, names }) => {
    const more = count > names.length ? ", …" : "";
    return `  ${count >= countMax ? `${countMax} or more` : count} ${resource}: ${names.join(", ")}${more}`;
  });
  return `there still exist custom resources in the cluster; their pods would run on without a controller:\n${lines.join("\n")}\ndelete them first, or say helmHooks.enabled=false\n`;
}

function wrong(message: string): number {
  complain(`error: ${message}\n`);
  return 2;
}
