/** Something that generates files; listed in scripts/generate.ts. */
export interface Generator {
  /** Globs, from the root of the repository: whatever matches and is not written by any generator is left over and removed. */
  readonly owns: readonly string[];
  /** Contents by path, from the root of the repository. */
  files(): Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
}
