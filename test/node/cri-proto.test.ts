/** What this repository says of CRI (src/daemon/cri/runtime.proto) is what Kubernetes says of it. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { kubernetesVersion } from "../rig/binaries.ts";
import { moduleInfo } from "../rig/go-build.ts";

const packageName = "runtime.v1";

function parsed(path: string): protobuf.Namespace {
  const { root, package: found } = protobuf.parse(readFileSync(path, "utf8"), { keepCase: true });
  expect(found).toBe(packageName);
  return root.resolveAll().lookup(packageName) as protobuf.Namespace;
}

/** One line for each thing that may not differ. */
function facts(namespace: protobuf.Namespace): readonly string[] {
  return namespace.nestedArray.flatMap((thing) => {
    if (thing instanceof protobuf.Enum)
      return Object.entries(thing.values).map(([name, value]) => `enum ${thing.name}: ${name} = ${value}`);
    if (thing instanceof protobuf.Type)
      return [`message ${thing.name}`, ...thing.fieldsArray.map((field) => `${thing.name}: ${typeOf(field)} ${field.name} = ${field.id}`)];
    if (thing instanceof protobuf.Service)
      return thing.methodsArray.map(({ name, requestType, responseType, requestStream = false, responseStream = false }) =>
        JSON.stringify({ service: thing.name, name, requestType, responseType, requestStream, responseStream }),
      );
    return [];
  });
}

function typeOf(field: protobuf.Field): string {
  if (field instanceof protobuf.MapField) return `map<${field.keyType}, ${field.type}>`;
  return `${field.repeated ? "repeated " : ""}${field.partOf ? `of ${field.partOf.name} ` : ""}${field.type}`;
}

test.skipIf(Bun.which("go") === null)(
  "names, numbers and types are those of Kubernetes' own file, fetched as a Go module (skipped where there is no Go)",
  async () => {
    const { Dir } = await moduleInfo("k8s.io/cri-api", kubernetesVersion.replace("v1.", "v0."));
    const theirs = new Set(facts(parsed(join(Dir, "pkg/apis/runtime/v1/api.proto"))));
    const ours = facts(parsed(join(import.meta.dir, "../../src/daemon/cri/runtime.proto")));
    expect(ours.length).toBeGreaterThan(50);
    expect(ours.filter((fact) => !theirs.has(fact))).toEqual([]);
  },
);
