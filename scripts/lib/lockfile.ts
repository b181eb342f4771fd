/** bun.lock, as far as builds and bills of materials need it. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";

export interface Locked {
  readonly name: string;
  readonly version: string;
  /** "sha512-<base64>" of the package's archive. */
  readonly integrity?: string;
  /** Of run time, optional ones included: names only. */
  readonly dependencies: readonly string[];
}

/** Packages by the name under which others find them; a nested one as "parent/name". @throws Error when the file has another form */
export function readLock(path: string): ReadonlyMap<string, Locked> {
  // JSON with trailing commas, which YAML's flow style happens to be.
  const lock = parse(readFileSync(path, "utf8")) as { packages?: Record<string, readonly unknown[]> };
  if (typeof lock?.packages !== "object") throw new Error(`${path} has no "packages": is it of another version?`);
  return new Map(
    Object.entries(lock.packages).map(([key, [id, , facts, integrity]]) => {
      const text = String(id);
      const at = text.lastIndexOf("@");
      const { dependencies = {}, optionalDependencies = {} } = (typeof facts === "object" && facts !== null ? facts : {}) as {
        dependencies?: Record<string, string>;
        optionalDependencies?: Record<string, string>;
      };
      return [
        key,
        {
          name: text.slice(0, at),
          version: text.slice(at + 1),
          ...(typeof integrity === "string" ? { integrity } : {}),
          dependencies: Object.keys({ ...dependencies, ...optionalDependencies }),
        },
      ];
    }),
  );
}
