/**
 * Pushes image and chart to a registry, signs both, and attaches bills of materials and provenance to the image (cosign).
 *
 *   bun scripts/publish.ts --registry=ghcr.io/kruiser --key=cosign.key     with a key; COSIGN_PASSWORD opens it
 *   bun scripts/publish.ts --registry=ghcr.io/kruiser                      keyless: the runner's identity, and the public log
 *   --image=dist/image  --release=dist/release  --plain-http  --no-tlog (keyed only: nothing leaves for the public log)
 *
 * Prints what was published, by digest, as JSON.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../package.json";
import { must } from "./image/command.ts";
import { imageFacts } from "./image/layout.ts";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    registry: { type: "string", default: "" },
    key: { type: "string", default: "" },
    image: { type: "string", default: "dist/image" },
    release: { type: "string", default: "dist/release" },
    "plain-http": { type: "boolean", default: false },
    "no-tlog": { type: "boolean", default: false },
  },
});
if (values.registry === "") {
  console.error("--registry: say where to, such as ghcr.io/kruiser");
  process.exit(2);
}
const [cosign, helm] = [process.env["COSIGN"] ?? "cosign", process.env["HELM"] ?? "helm"];
const plain = values["plain-http"];
const release = join(root, values.release);
const tag = `v${packageJson.version}`;
const { digest, platforms } = imageFacts(join(root, values.image));

await must([
  "skopeo",
  "copy",
  "--all",
  "--preserve-digests",
  ...(plain ? ["--dest-tls-verify=false"] : []),
  `oci:${join(root, values.image)}`,
  `docker://${values.registry}/kruise:${tag}`,
]);
const chart = readdirSync(release).find((name) => name.endsWith(".tgz"));
if (!chart) throw new Error(`${values.release} holds no chart: run scripts/release.ts first`);
const pushed = Bun.spawnSync([helm, "push", join(release, chart), `oci://${values.registry}/charts`, ...(plain ? ["--plain-http"] : [])]);
const told = pushed.stdout.toString() + pushed.stderr.toString();
const chartDigest = /Digest: (sha256:[0-9a-f]{64})/.exec(told)?.[1];
if (!pushed.success || !chartDigest) throw new Error(`helm push: ${told.trim()}`);

const signing = [
  ...(values.key ? [`--key=${values.key}`] : []),
  ...(values["no-tlog"] ? ["--tlog-upload=false"] : []),
  ...(plain ? ["--allow-http-registry", "--allow-insecure-registry"] : []),
  "--yes",
];
const image = `${values.registry}/kruise@${digest}`;
const chartReference = `${values.registry}/charts/kruise@${chartDigest}`;
await must([cosign, "sign", "--recursive", ...signing, image]);
await must([cosign, "sign", ...signing, chartReference]);
for (const platform of platforms) {
  const of = `${values.registry}/kruise@${platform.digest}`;
  const attest = (type: string, predicate: string) =>
    must([cosign, "attest", ...signing, `--type=${type}`, `--predicate=${join(release, predicate)}`, of]);
  await attest("spdxjson", `image-${platform.architecture}.spdx.json`);
  await attest("cyclonedx", `image-${platform.architecture}.cdx.json`);
  await attest("slsaprovenance1", "provenance.predicate.json");
}
console.log(
  JSON.stringify(
    {
      image,
      tag,
      chart: chartReference,
      platforms: Object.fromEntries(platforms.map((platform) => [platform.architecture, platform.digest])),
    },
    null,
    2,
  ),
);
