/** Requests of one user, counted from the API server's audit log as it grows. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

export interface Counted {
  /** "patch pods/status" → how many. */
  readonly byRequest: ReadonlyMap<string, number>;
  readonly reads: number;
  readonly writes: number;
  /** Writes that were answered 409. */
  readonly conflicts: number;
}

interface Entry {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string };
  readonly requestURI: string;
  readonly responseStatus?: { readonly code?: number };
}

const writeVerbs: ReadonlySet<string> = new Set(["create", "update", "patch", "delete", "deletecollection"]);
const chunkBytes = 4 * 1024 * 1024;

export class AuditLog {
  #offset = 0;
  #rest = "";
  #byRequest = new Map<string, number>();
  #reads = 0;
  #writes = 0;
  #conflicts = 0;

  constructor(
    private readonly path: string,
    private readonly user: string,
  ) {}

  /** Counts from here on. */
  begin(): void {
    this.#read();
    this.#byRequest = new Map();
    this.#reads = 0;
    this.#writes = 0;
    this.#conflicts = 0;
  }

  /** Since `begin`. A watch counts when it ends. */
  count(): Counted {
    this.#read();
    return { byRequest: new Map(this.#byRequest), reads: this.#reads, writes: this.#writes, conflicts: this.#conflicts };
  }

  #read(): void {
    const file = openSync(this.path, "r");
    try {
      const size = fstatSync(file).size;
      const buffer = Buffer.alloc(Math.min(chunkBytes, Math.max(1, size - this.#offset)));
      while (this.#offset < size) {
        const got = readSync(file, buffer, 0, buffer.length, this.#offset);
        if (got === 0) break;
        this.#offset += got;
        const lines = (this.#rest + buffer.toString("latin1", 0, got)).split("\n");
        this.#rest = lines.pop() ?? "";
        for (const line of lines) this.#line(line);
      }
    } finally {
      closeSync(file);
    }
  }

  #line(line: string): void {
    // Most lines are other users': looked for before anything is parsed.
    if (!line.includes(this.user)) return;
    const { verb, user, objectRef, requestURI, responseStatus } = JSON.parse(line) as Entry;
    if (user.username !== this.user) return;
    const { resource, subresource } = objectRef ?? {};
    const what = resource === undefined ? requestURI.split("?")[0] : resource + (subresource === undefined ? "" : `/${subresource}`);
    const request = `${verb} ${what}`;
    this.#byRequest.set(request, (this.#byRequest.get(request) ?? 0) + 1);
    if (!writeVerbs.has(verb)) this.#reads += 1;
    else {
      this.#writes += 1;
      if (responseStatus?.code === 409) this.#conflicts += 1;
    }
  }
}
