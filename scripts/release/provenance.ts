/** How a release was made, as an in-toto statement with the SLSA v1 predicate. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json";
import { lockedRuntime } from "../build/runtime.ts";
import type { Stamp } from "../build/stamp.ts";
import type { Target } from "../build/targets.ts";

export interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

type Environment = Readonly<Record<string, string | undefined>>;

const root = join(import.meta.dir, "../..");

/** What is said without being asked: which machine built, from what. On GitHub's runners they say who they are. */
export function slsaPredicate(
  stamp: Stamp,
  targets: readonly Target[],
  base: string | undefined,
  environment: Environment = process.env,
): object {
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_WORKFLOW_REF, GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT } = environment;
  const repository = GITHUB_SERVER_URL && GITHUB_REPOSITORY ? `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}` : undefined;
  const baseDigest = base?.split("@sha256:")[1];
  const lockSha256 = new Bun.CryptoHasher("sha256").update(readFileSync(join(root, "bun.lock"))).digest("hex");
  return {
    buildDefinition: {
      buildType: "urn:kruiser:build:scripts:v1",
      externalParameters: { version: stamp.version, targets: targets.map(({ name }) => name), ...(base ? { base } : {}) },
      internalParameters: { bun: packageJson.devDependencies.bun, scripts: ["scripts/build.ts", "scripts/image.ts", "scripts/release.ts"] },
      resolvedDependencies: [
        { uri: repository ? `git+${repository}` : "urn:kruiser:source", digest: { gitCommit: stamp.commit } },
        { uri: "urn:kruiser:source:bun.lock", digest: { sha256: lockSha256 } },
        ...targets.map((target) => {
          const { version, integrity } = lockedRuntime(target);
          const sha512 = Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
          return { uri: `pkg:npm/${target.runtime.replace("@", "%40")}@${version}`, digest: { sha512 } };
        }),
        ...(base && baseDigest ? [{ uri: `pkg:oci/${base.split("@")[0]}`, digest: { sha256: baseDigest } }] : []),
      ],
    },
    runDetails: {
      builder: {
        id: GITHUB_SERVER_URL && GITHUB_WORKFLOW_REF ? `${GITHUB_SERVER_URL}/${GITHUB_WORKFLOW_REF}` : "urn:kruiser:builder:local",
      },
      metadata: {
        invocationId: repository && GITHUB_RUN_ID ? `${repository}/actions/runs/${GITHUB_RUN_ID}/attempts/${GITHUB_RUN_ATTEMPT}` : "local",
        startedOn: new Date(performance.timeOrigin).toISOString(),
        finishedOn: new Date().toISOString(),
      },
    },
  };
}

export function statement(subjects: readonly Subject[], predicate: object): object {
  return { _type: "https://in-toto.io/Statement/v1", subject: subjects, predicateType: "https://slsa.dev/provenance/v1", predicate };
}
