/**
 * The standard output and error, written before the call returns. The runtime's own streams write to pipes later, and what they have not
 * written when the process ends is lost: a long answer would reach a pager only in part.
 */
import { writeSync } from "node:fs";

const output = 1;
const error = 2;
/** ms between two tries while the reader takes its time. */
const againMs = 1;

export function say(text: string): void {
  write(output, text);
}
export function complain(text: string): void {
  write(error, text);
}

function write(to: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(to, bytes, at);
    } catch (problem) {
      const { code } = problem as { readonly code?: string };
      // Nobody reads any more: `kruise … | head` has what it wanted.
      if (code === "EPIPE") return;
      if (code !== "EAGAIN") throw problem;
      Bun.sleepSync(againMs);
    }
  }
}
