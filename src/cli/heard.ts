/** What the server says beside its answers, and, for who asks with -v, what was asked of it. */

import { type Fetch, httpFetch } from "../env/network.ts";
import { complain } from "../env/stdio.ts";

/** Requests and statuses are shown from here on; bodies and headers never: they hold secrets. */
const requestsLevel = 6;

export class Heard {
  readonly #warnings = new Set<string>();
  readonly fetch: Fetch;

  /** @param verbosity of -v */
  constructor(verbosity: number, fetch: Fetch = httpFetch) {
    this.fetch = async (url, request) => {
      const answer = await fetch(url, request);
      if (verbosity >= requestsLevel) complain(`${request.method} ${url} ${answer.status}\n`);
      for (const text of warningsIn(answer.headers.get("warning"))) this.#warn(text);
      return answer;
    };
  }

  /** How many different ones there were. */
  get warnings(): number {
    return this.#warnings.size;
  }

  #warn(text: string): void {
    if (this.#warnings.has(text)) return;
    this.#warnings.add(text);
    complain(`Warning: ${text}\n`);
  }
}

/** `299 - "text with \"quotes\"", 299 - "another"` */
export function warningsIn(header: string | null): readonly string[] {
  return [...(header ?? "").matchAll(/299 \S+ "((?:\\.|[^"\\])*)"/g)].map(([, text = ""]) => text.replace(/\\(.)/g, "$1"));
}
