/** Who a build is: the same for every build of one commit, so that two builds are the same bytes. */
import packageJson from "../../package.json";

export interface Stamp {
  /** Without a leading v: "0.1.0". */
  readonly version: string;
  /** "-dirty" behind it: what was built is not what the commit holds. */
  readonly commit: string;
  /** Of the commit, RFC 3339. */
  readonly date: string;
}

/** From git, or from KRUISE_VERSION, KRUISE_COMMIT and KRUISE_DATE where there is none (a source archive). */
export function stampOf(environment: Readonly<Record<string, string | undefined>> = process.env): Stamp {
  const dirty = git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "-dirty";
  const head = git("rev-parse", "HEAD");
  return {
    version: environment.KRUISE_VERSION || packageJson.version,
    commit: environment.KRUISE_COMMIT || (head === "" ? "unknown" : `${head}${dirty}`),
    date: environment.KRUISE_DATE || git("show", "-s", "--format=%cI", "HEAD") || "unknown",
  };
}

/** Seconds since 1970, for tools that take SOURCE_DATE_EPOCH; 0 where the date is not known. */
export function epochOf(stamp: Stamp): number {
  const ms = Date.parse(stamp.date);
  return Number.isNaN(ms) ? 0 : Math.floor(ms / 1000);
}

function git(...args: string[]): string {
  const run = Bun.spawnSync(["git", ...args], { stderr: "ignore" });
  return run.success ? run.stdout.toString().trim() : "";
}
