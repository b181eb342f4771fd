/** What holds for the conversions of every kind. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Fields, fieldsOf, isFields } from "../kube/json.ts";
import { resourceName } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import { ConversionError, int32Of } from "./conversion.ts";
import { type OpenApi, openApi } from "./crd.ts";
import type { KindDefinition, VersionConversion, VersionDefinition } from "./definition.ts";
import { definitions } from "./index.ts";
import { annotation, label } from "./names.ts";

const spoken = fc.constantFrom("", "true", "3", "-1", "20%", "DELETE, EVICT", "[]", "{}", '[{"name":"a"}]', "2026-01-01T00:00:00Z", "null");
const strings = fc.oneof(spoken, fc.string());
const metadata = fc.record(
  {
    name: fc.constant("web"),
    uid: fc.constant("1"),
    labels: fc.dictionary(fc.constantFrom(label.cloneSetExcludePreparingDelete, label.sidecarSetCustomVersion, "app"), strings),
    annotations: fc.dictionary(
      fc.constantFrom(
        annotation.imagePreDownloadParallelism,
        annotation.imagePreDownloadTimeoutSeconds,
        annotation.imagePreDownloadMinUpdatedReadyPods,
        annotation.pubProtectOperations,
        annotation.pubProtectTotalReplicas,
        annotation.crrSyncContainerStatuses,
        annotation.crrUnreadyAcquired,
        "pub.kruise.io/ignored-pod-selector",
        "mine",
      ),
      strings,
    ),
    finalizers: fc.array(fc.string()),
  },
  { requiredKeys: ["name", "uid"] },
);
const fieldNames = fc.constantFrom(
  ..."scaleStrategy updateStrategy rollingUpdate type partition paused inPlaceUpdateStrategy imagePreDownloadParallelism gracePeriodSeconds".split(
    " ",
  ),
  ..."podUpdatePolicy enablePVCReuse disablePVCReuse excludePreparingDelete namespace namespaceSelector customVersion".split(" "),
  ..."protectOperations protectTotalReplicas ignoredPodSelector conditions containerStatusSnapshot status __proto__ other".split(" "),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof({ maxDepth: 5 }, strings, fc.integer(), fc.boolean(), fc.constant(null), tie("list"), tie("object"), tie("object")),
  list: fc.array(tie("tree"), { maxLength: 3 }),
  object: fc.dictionary(fieldNames, tie("tree"), { maxKeys: 6 }),
}));
const anyObject = fc.record({ kind: fc.constant("Any"), metadata, spec: tree, status: tree }, { requiredKeys: ["kind", "metadata"] });

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const item of Object.values(Object.freeze(value))) frozen(item);
  return value;
}

/** The value, or undefined when the object cannot be said in the other version. */
function attempt(convert: (object: KubeObject) => KubeObject, object: KubeObject): KubeObject | undefined {
  try {
    return convert(object);
  } catch (error) {
    if (error instanceof ConversionError && error.message.includes(":")) return undefined;
    throw error;
  }
}

function withoutMaps(object: KubeObject): Fields {
  const { labels: _labels, annotations: _annotations, ...rest } = fieldsOf(object.metadata);
  return rest;
}

/** Drops what the schema does not know, as the API server does before it asks for a conversion and after. */
function pruned(value: unknown, schema: OpenApi): unknown {
  if (Array.isArray(value)) return schema["items"] ? value.map((item) => pruned(item, schema["items"] as OpenApi)) : value;
  if (!isFields(value) || schema["x-kubernetes-preserve-unknown-fields"]) return value;
  const properties = fieldsOf(schema["properties"]);
  const known = Object.entries(value).flatMap(([name, item]): [string, unknown][] => {
    const inner = Object.hasOwn(properties, name) ? properties[name] : schema["additionalProperties"];
    return inner === undefined ? [] : [[name, pruned(item, inner as OpenApi)]];
  });
  return Object.fromEntries(known);
}
function prunedObject(object: KubeObject, version: VersionDefinition | undefined): KubeObject {
  const { spec, status } = fieldsOf(pruned(object, openApi((version as VersionDefinition).schema)));
  return { ...object, ...(spec === undefined ? {} : { spec }), ...(status === undefined ? {} : { status }) } as KubeObject;
}

const converted = definitions.flatMap((definition) =>
  Object.entries(definition.conversion ?? {}).map(([version, conversion]): [string, VersionConversion, KindDefinition] => [
    `${resourceName(definition.kind)} ${version}`,
    conversion,
    definition,
  ]),
);

/** The spec without an inPlaceUpdateStrategy that only says what goes without saying: on the way down OpenKruise drops it, and a webhook puts it back. */
function sayingSomething(object: KubeObject): unknown {
  const spec = structuredClone(fieldsOf(fieldsOf(object)["spec"])) as Record<string, unknown>;
  const rollingUpdate = fieldsOf(fieldsOf(spec["updateStrategy"])["rollingUpdate"]) as Record<string, unknown>;
  const { gracePeriodSeconds, ...others } = fieldsOf(rollingUpdate["inPlaceUpdateStrategy"]);
  if (Object.keys(others).length === 0 && (gracePeriodSeconds ?? 0) === 0) delete rollingUpdate["inPlaceUpdateStrategy"];
  return spec;
}

describe.each(converted)("%s", (_, conversion, definition) => {
  const [older, stored] = ["v1alpha1", "v1beta1"].map((name) => definition.versions.find((version) => version.name === name));

  test("any JSON is converted or refused with a message; the source is left alone and metadata keeps its identity", () => {
    fc.assert(
      fc.property(anyObject, (source) => {
        const object = frozen(source) as unknown as KubeObject;
        for (const convert of [conversion.toStorage, conversion.fromStorage]) {
          const result = attempt(convert, object);
          if (result === undefined) continue;
          expect(withoutMaps(result)).toEqual(withoutMaps(object));
          JSON.stringify(result);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("nothing is put where the other version's schema would drop it", () => {
    fc.assert(
      fc.property(anyObject, (source) => {
        const object = source as unknown as KubeObject;
        const up = attempt(conversion.toStorage, prunedObject(object, older));
        if (up !== undefined) expect(prunedObject(up, stored)).toEqual(up);
        const down = conversion.fromStorage(prunedObject(object, stored));
        expect(prunedObject(down, older)).toEqual(down);
      }),
      { numRuns: 300 },
    );
  });

  test("up, down and up again says the same as up", () => {
    fc.assert(
      fc.property(anyObject, (source) => {
        const up = attempt(conversion.toStorage, frozen(prunedObject(source as unknown as KubeObject, older)));
        if (up === undefined) return;
        const down = conversion.fromStorage(frozen(up));
        const again = conversion.toStorage(frozen(down));
        expect(sayingSomething(again)).toEqual(sayingSomething(up));
        expect(fieldsOf(conversion.fromStorage(frozen(again)))).toEqual(fieldsOf(down));
      }),
      { numRuns: 300 },
    );
  });
});

test.each([
  ["0", 0],
  ["-0", 0],
  ["+5", 5],
  ["007", 7],
  ["2147483647", 2147483647],
  ["2147483648", undefined],
  ["-2147483648", -2147483648],
  ["1e3", undefined],
  [" 1", undefined],
  ["", undefined],
  [undefined, undefined],
])("int32Of(%p) is %p", (text, expected) => {
  expect(int32Of(text)).toBe(expected as number);
});
