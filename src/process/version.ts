/** Who this binary is. `scripts/build.ts` puts the values in; a run from source says so. */
declare const KRUISE_VERSION: string | undefined;
declare const KRUISE_COMMIT: string | undefined;
declare const KRUISE_DATE: string | undefined;

export interface VersionInfo {
  readonly version: string;
  readonly commit: string;
  readonly buildDate: string;
  readonly runtime: string;
  readonly platform: string;
  /** The OpenKruise API this version is compatible with. */
  readonly openKruise: string;
}

export const versionInfo: VersionInfo = {
  version: typeof KRUISE_VERSION === "string" ? KRUISE_VERSION : "dev",
  commit: typeof KRUISE_COMMIT === "string" ? KRUISE_COMMIT : "unknown",
  buildDate: typeof KRUISE_DATE === "string" ? KRUISE_DATE : "unknown",
  runtime: `bun ${Bun.version}`,
  platform: platformOf(process.platform, process.arch),
  openKruise: "1.9",
};

/** In Kubernetes' words, as in the names of releases and in `kubectl version`: "linux/amd64", "windows/amd64". */
export function platformOf(os: string, arch: string): string {
  return `${os === "win32" ? "windows" : os}/${arch === "x64" ? "amd64" : arch}`;
}
