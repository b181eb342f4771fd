/** What commands say of objects, as kubectl says it: results on the standard output, everything else beside it. */
import { complain, say } from "../env/stdio.ts";
import type { KubeObject } from "../kube/types.ts";
import { nameOf, type Target } from "./objects.ts";
import { Misused } from "./refused.ts";
import type { DryRun } from "./write.ts";

export interface PrintFlags {
  readonly output: string;
  readonly "show-managed-fields": boolean;
}

export function out(text: string): void {
  say(text);
}
export function note(text: string): void {
  complain(text);
}

/** Tells of many objects: in YAML as documents, in JSON one after the other. */
export class Printer {
  readonly #flags: PrintFlags;
  readonly #dryRun: DryRun;
  #printed = 0;

  constructor(flags: PrintFlags, dryRun: DryRun = "none") {
    const { output } = flags;
    if (output !== "" && output !== "name" && output !== "json" && output !== "yaml")
      throw new Misused(`error: unable to match a printer suitable for the output format "${output}", allowed formats are: json,name,yaml`);
    this.#flags = flags;
    this.#dryRun = dryRun;
  }

  /** Whether the user asked for something that programs read: nothing else goes to the standard output then. */
  get isForPrograms(): boolean {
    return this.#flags.output !== "";
  }

  async print(target: Target, operation: string, object: Readonly<KubeObject> = target.object): Promise<void> {
    this.#printed += 1;
    switch (this.#flags.output) {
      case "":
        return out(`${nameOf(target)} ${operation}${suffixes[this.#dryRun]}\n`);
      case "name":
        return out(`${nameOf(target)}\n`);
      case "json":
        return out(`${JSON.stringify(this.#shown(object), null, 4)}\n`);
      default: {
        const { stringify } = await import("yaml");
        out(`${this.#printed > 1 ? "---\n" : ""}${stringify(this.#shown(object), { lineWidth: 0 })}`);
      }
    }
  }

  #shown(object: Readonly<KubeObject>): object {
    const { apiVersion, kind, metadata, ...rest } = object;
    if (this.#flags["show-managed-fields"]) return object;
    const { managedFields: _, ...shown } = metadata as KubeObject["metadata"] & { managedFields?: unknown };
    return { apiVersion, kind, metadata: shown, ...rest };
  }
}

const suffixes: Readonly<Record<DryRun, string>> = { none: "", client: " (dry run)", server: " (server dry run)" };

/** Columns as kubectl sets them, `gap` spaces apart. */
export function table(rows: readonly (readonly string[])[], gap = 2): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd((widths[column] ?? 0) + gap)))
        .join("")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}
