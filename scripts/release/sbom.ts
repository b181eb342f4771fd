/** Bills of materials in the two forms that tools read. The same inventory and date give the same bytes. */
import type { Inventory, Part } from "./inventory.ts";

const tool = "kruiser-release-scripts";

/** SPDX 2.3. @param created RFC 3339 */
export function spdx({ root, parts }: Inventory, created: string): object {
  const all = [root, ...parts];
  const spdxId = (id: string) => `SPDXRef-${id}`;
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `${root.name}-${root.version}`,
    documentNamespace: `https://spdx.org/spdxdocs/${root.name}-${root.version}-${fingerprint(all)}`,
    creationInfo: { created: new Date(created).toISOString().replace(/\.\d+Z$/, "Z"), creators: [`Tool: ${tool}`] },
    documentDescribes: [spdxId(root.id)],
    packages: all.map((part) => ({
      SPDXID: spdxId(part.id),
      name: part.name,
      ...(part.version === "" ? {} : { versionInfo: part.version }),
      downloadLocation: "NOASSERTION",
      filesAnalyzed: false,
      licenseConcluded: "NOASSERTION",
      licenseDeclared: part.license,
      copyrightText: "NOASSERTION",
      ...(part.checksum ? { checksums: [{ algorithm: part.checksum.algorithm, checksumValue: part.checksum.hex }] } : {}),
      externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: part.purl }],
    })),
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: spdxId(root.id) },
      ...all.flatMap((part) =>
        part.dependsOn.map((other) => ({
          spdxElementId: spdxId(part.id),
          relationshipType: "DEPENDS_ON",
          relatedSpdxElement: spdxId(other),
        })),
      ),
    ],
  };
}

/** CycloneDX 1.6. @param created RFC 3339 */
export function cycloneDx({ root, parts }: Inventory, created: string): object {
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf([root, ...parts])}`,
    version: 1,
    metadata: {
      timestamp: new Date(created).toISOString(),
      tools: { components: [{ type: "application", name: tool }] },
      component: component(root, root.purl.startsWith("pkg:oci/") ? "container" : "application"),
    },
    components: parts.map((part) => component(part, "library")),
    dependencies: [root, ...parts].map(({ id, dependsOn }) => ({ ref: id, dependsOn })),
  };
}

function component(part: Part, type: "application" | "container" | "library"): object {
  return {
    type,
    "bom-ref": part.id,
    name: part.name,
    ...(part.version === "" ? {} : { version: part.version }),
    ...(part.license === "NOASSERTION" ? {} : { licenses: [{ expression: part.license }] }),
    purl: part.purl,
    ...(part.checksum ? { hashes: [{ alg: part.checksum.algorithm.replace("SHA", "SHA-"), content: part.checksum.hex }] } : {}),
  };
}

function fingerprint(parts: readonly Part[]): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Version 8, of RFC 9562: what is in it is ours to say. */
function uuidOf(parts: readonly Part[]): string {
  const hex = fingerprint(parts);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
