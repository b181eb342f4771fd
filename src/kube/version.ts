/** The version a server reports, and what follows from it. */

export interface ServerVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/**
 * Reads `gitVersion` of /version: a leading "v" is dropped, then at most three parts by ".", of each its leading digits. Distributions
 * append what they like: "v1.33.0-gke.100", "v1.32+gke.1" (1.32.1: the third part is what follows the second dot).
 * @returns undefined when that does not give three numbers
 */
export function parseServerVersion(gitVersion: string): ServerVersion | undefined {
  const parts = gitVersion.replace(/^v/, "").split(".");
  const [major, minor, patch] = parts.slice(0, 3).map((part) => {
    const digits = /^\d+/.exec(part)?.[0];
    return digits === undefined ? undefined : Number(digits);
  });
  return major === undefined || minor === undefined || patch === undefined ? undefined : { major, minor, patch };
}

/** False for a version that could not be read: unknown counts as old. */
export function atLeast(version: ServerVersion | undefined, major: number, minor: number): boolean {
  return version !== undefined && (version.major > major || (version.major === major && version.minor >= minor));
}
