/** What a process that died leaves of its record: the files as they were, or torn, or nothing at all. */
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dice } from "./dice.ts";

export class Records {
  #dir: string | undefined;
  #count = 0;

  constructor(private readonly dice: Dice) {}

  /** The path for the next process: a copy of what the one before it left, since a dead process holds no locks. */
  next(): string {
    this.#dir ??= mkdtempSync(join(tmpdir(), "kruise-sim-"));
    const before = join(this.#dir, `${this.#count}.sqlite`);
    this.#count += 1;
    const path = join(this.#dir, `${this.#count}.sqlite`);
    const fate = this.dice.next();
    if (fate < 0.15 || !existsSync(before)) return path;
    for (const part of ["", "-wal"]) if (existsSync(before + part)) copyFileSync(before + part, path + part);
    if (fate > 0.85) this.#tear(existsSync(`${path}-wal`) ? `${path}-wal` : path);
    return path;
  }

  remove(): void {
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }

  #tear(path: string): void {
    truncateSync(path, this.dice.upTo(statSync(path).size + 1));
  }
}
