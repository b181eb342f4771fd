/**
 * What may come next on the command line. kubectl 1.26 and later asks a program `kubectl_complete-kruise` (this one under another name) with the
 * words so far, the last of them unfinished; shells ask through the scripts of `completion`. The answer has one candidate a line, what it is
 * behind a tab, and a last line that says what the shell should do with them.
 */
import { type Kind, resourceName } from "../kube/kind.ts";
import { parseArgs } from "./args.ts";
import { type Command, command, named, withValue } from "./command.ts";
import { globalFlags } from "./globals.ts";
import { kindNamed } from "./objects.ts";
import { out } from "./output.ts";
import { Misused } from "./refused.ts";
import { openSession, type Session } from "./session.ts";

/** As kubectl numbers them: these are no files; and no blank behind what ends with a slash. */
const noFiles = 4;
const noBlank = 2;
const namesMax = 500;
const patienceMs = 3_000;

type Commands = Readonly<Record<string, Command>>;

/** Never fails: who presses Tab is not to be told of problems. */
export async function complete(root: Commands, words: readonly string[]): Promise<string> {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? "";
  let below: Commands | undefined = root;
  let current: Command | undefined;
  const objects: string[] = [];
  for (const [index, word] of before.entries()) {
    if (word === "--") return answer([], noFiles);
    if (withValue.has(before[index - 1] ?? "")) continue;
    if (word.startsWith("-")) continue;
    const found: { readonly command: Command } | undefined = below === undefined ? undefined : named(below, word);
    if (found === undefined) {
      if (current !== undefined) objects.push(word);
      continue;
    }
    current = found.command;
    below = await current.below?.();
  }
  if (typed.startsWith("-")) return flagAnswer(current, typed);
  if (below !== undefined) {
    const candidates = Object.entries(below).map(([name, { summary }]) => `${name}\t${summary}`);
    return answer(
      candidates.filter((each) => each.startsWith(typed)),
      noFiles,
    );
  }
  return objectAnswer(before, objects, typed);
}

async function flagAnswer(current: Command | undefined, typed: string): Promise<string> {
  const flags = { ...(await current?.flags?.()), ...globalFlags };
  const candidates = Object.entries(flags).flatMap(([name, flag]) => ("hidden" in flag && flag.hidden ? [] : [`--${name}\t${flag.help}`]));
  return answer(
    candidates.filter((each) => each.startsWith(typed)),
    noFiles,
  );
}

async function objectAnswer(before: readonly string[], objects: readonly string[], typed: string): Promise<string> {
  const parsed = parseArgs(globalFlags, globalPart(before));
  if (typeof parsed === "string") return answer([], noFiles);
  let session: Session | undefined;
  try {
    session = await openSession({ ...parsed.values, "request-timeout": patienceMs });
    const slash = typed.indexOf("/");
    const [first] = objects;
    if (slash >= 0) {
      const names = await namesOf(session, typed.slice(0, slash));
      return answer(
        names.map((name) => `${typed.slice(0, slash)}/${name}`).filter((each) => each.startsWith(typed)),
        noFiles,
      );
    }
    if (first !== undefined && !first.includes("/"))
      return answer(
        (await namesOf(session, first)).filter((name) => name.startsWith(typed)),
        noFiles,
      );
    return answer(
      typesOf(session).filter((type) => type.startsWith(typed)),
      noFiles | noBlank,
    );
  } catch {
    return answer([], noFiles);
  } finally {
    session?.close();
  }
}

/** The global flags among the words, with their values. */
function globalPart(words: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const [index, word] of words.entries()) {
    if (!word.startsWith("-")) continue;
    const name = word.replace(/^--?/, "").split("=")[0] ?? "";
    const flag = Object.entries(globalFlags).find(([long, each]) => long === name || ("short" in each && each.short === name));
    if (flag === undefined) continue;
    kept.push(word);
    if (!word.includes("=") && flag[1].kind !== "boolean") kept.push(words[index + 1] ?? "");
  }
  return kept;
}

async function namesOf(session: Session, type: string): Promise<readonly string[]> {
  const of = kindNamed(session, type);
  const listed = await session.client.list(of, {
    ...(of.namespaced ? { namespace: session.namespace } : {}),
    metadataOnly: true,
    itemsMax: namesMax,
  });
  return listed.ok ? listed.object.map(({ metadata }) => metadata.name).sort() : [];
}

/** Of Kruise's kinds, and of Kubernetes' workloads. */
function typesOf({ discovery }: Session): readonly string[] {
  const workloads: ReadonlySet<string> = new Set(["deployments", "statefulsets", "daemonsets", "pods"]);
  const isWanted = (kind: Kind) =>
    kind.group.endsWith("kruise.io") || (workloads.has(kind.plural) && (kind.group === "" || kind.group === "apps"));
  const names = discovery.resources
    .filter(({ kind }) => isWanted(kind))
    .flatMap(({ kind, singular, shortNames }) =>
      kind.group === "apps.kruise.io" && workloads.has(kind.plural) ? [resourceName(kind)] : [singular || kind.plural, ...shortNames],
    );
  return [...new Set(names)].sort().map((name) => `${name}/`);
}

function answer(candidates: readonly string[], directive: number): string {
  return [...candidates, `:${directive}`].map((line) => `${line}\n`).join("");
}

const scripts: Readonly<Record<string, string>> = {
  bash: `_kubectl_kruise() {
  local line words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in :*) [ $((\${line#:} & 2)) -ne 0 ] && compopt -o nospace ;; *) COMPREPLY+=("\${line%%$'\\t'*}") ;; esac
  done < <(kubectl-kruise __complete "\${words[@]}" 2>/dev/null)
}
complete -F _kubectl_kruise kubectl-kruise
`,
  zsh: `#compdef kubectl-kruise
_kubectl_kruise() {
  local line; local -a found
  while IFS= read -r line; do
    case "$line" in :*) ;; *) found+=("\${\${line/:/\\\\:}/$'\\t'/:}") ;; esac
  done < <(kubectl-kruise __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe kubectl-kruise found
}
compdef _kubectl_kruise kubectl-kruise
`,
  fish: `complete -c kubectl-kruise -f -a "(kubectl-kruise __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null | string match -v ':*')"
`,
  powershell: `Register-ArgumentCompleter -Native -CommandName kubectl-kruise -ScriptBlock {
  param($word, $ast, $at)
  $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
  if ($word -eq '') { $words += '' }
  kubectl-kruise __complete @words | Where-Object { $_ -notlike ':*' } | ForEach-Object { $_.Split("\`t")[0] }
}
`,
};

export const completion = command(
  {
    summary: "Print a script that completes what is typed",
    usage: "(bash | zsh | fish | powershell)",
    examples: "  source <(kubectl-kruise completion bash)\n  ln -s kubectl-kruise kubectl_complete-kruise   # for `kubectl kruise <Tab>`",
  },
  {},
  async ({ words: [shell = ""] }) => {
    const script = scripts[shell];
    if (script === undefined) throw new Misused(`error: unsupported shell "${shell}": expected ${Object.keys(scripts).join(", ")}`);
    out(script);
    return 0;
  },
);
