/** One call of Bun's compiler. */
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Stamp } from "./stamp.ts";

/**
 * How the binary is made; measured on Linux x64 (Bun 1.4.5), `--mode=daemon --help`, median of 7:
 *   one chunk, source          111.6 MB on disk, 51.9 MB gzipped, 56 MB resident
 *   one chunk, bytecode        119.5 MB on disk, 55.7 MB gzipped, 51 MB resident, starts about five times as fast
 *   chunks, bytecode           119.0 MB on disk, 55.6 MB gzipped, 42 MB resident, starts about seven times as fast
 * So: chunks, of which each role loads its own, with bytecode. Renaming identifiers would save 0.7 MB and cost readable stack traces.
 */
const shape = ["--minify-whitespace", "--minify-syntax", "--sourcemap=none", "--bytecode", "--splitting", "--format=esm"];

/** A program in a cluster reads no `.env` or `bunfig.toml` that happens to lie where it is started. */
const closed = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];

/**
 * CommonJS packages ask where they lie, and the compiler answers with the path on the machine that builds: no two places would give the same
 * bytes, and the program would look for their native parts there, on whatever machine it runs. Bun's own name for what is inside of a program.
 */
const nowhere = { __dirname: "/$bunfs/root", __filename: "/$bunfs/root/kruise" };

/** Optional parts of packages, loaded by functions that nobody here calls: gRPC's reader of .proto files, for its own services. */
const leftOut = ["--external=@grpc/proto-loader"];

export interface Compilation {
  readonly outfile: string;
  readonly stamp: Stamp;
  /** Absent: the runtime that runs this. */
  readonly runtime?: string;
  readonly target?: string;
  /** Where the compiler says what went into the bundle. */
  readonly metafile?: string;
}

/** @throws Error when it does not compile */
export function compile({ outfile, stamp, runtime, target, metafile }: Compilation): void {
  mkdirSync(dirname(outfile), { recursive: true });
  rmSync(outfile, { force: true });
  const define = { ...nowhere, KRUISE_VERSION: stamp.version, KRUISE_COMMIT: stamp.commit, KRUISE_DATE: stamp.date };
  const build = Bun.spawnSync(
    [
      process.execPath,
      "build",
      "--compile",
      ...shape,
      ...closed,
      ...leftOut,
      ...(target ? [`--target=${target}`] : []),
      ...(runtime ? [`--compile-executable-path=${runtime}`] : []),
      ...(metafile ? [`--metafile=${metafile}`] : []),
      ...Object.entries(define).map(([name, value]) => `--define=${name}=${JSON.stringify(value)}`),
      `--outfile=${outfile}`,
      "src/main.ts",
    ],
    { stdout: "pipe", stderr: "pipe" },
  );
  if (!build.success) throw new Error(`${outfile} does not compile:\n${build.stdout}${build.stderr}`);
}
