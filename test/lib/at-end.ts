/** Preloaded by `bun test` (see bunfig.toml): what several test files share is ended once, after the last of them. */
import { afterAll } from "bun:test";

const endings: (() => Promise<void>)[] = [];
const endTimeoutMs = 120_000;

/** Runs after the last test file, in the opposite order of the calls. */
export function atEnd(end: () => Promise<void>): void {
  endings.push(end);
}

afterAll(async () => {
  for (const end of endings.splice(0).reverse()) await end();
}, endTimeoutMs);
