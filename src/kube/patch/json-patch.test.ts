import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { deepEqual } from "../json.ts";
import { keepText } from "../kept-text.ts";
import {
  applyJsonPatch,
  escapePointer,
  type JsonPatchOperation,
  jsonPatchOf,
  jsonPatchText,
  limits,
  pointer,
  splitPointer,
  unescapePointer,
} from "./json-patch.ts";
import { applyMergePatch, mergePatchOf } from "./merge.ts";

describe("JSON patch", () => {
  test.each<[string, unknown, JsonPatchOperation[], unknown]>([
    ["adds a field", { a: 1 }, [{ op: "add", path: "/b", value: 2 }], { a: 1, b: 2 }],
    ["adds over a field", { a: 1 }, [{ op: "add", path: "/a", value: 2 }], { a: 2 }],
    ["inserts into a list", [1, 3], [{ op: "add", path: "/1", value: 2 }], [1, 2, 3]],
    ["appends to a list", { l: [1] }, [{ op: "add", path: "/l/-", value: 2 }], { l: [1, 2] }],
    ["removes", { a: [1, 2] }, [{ op: "remove", path: "/a/0" }], { a: [2] }],
    ["replaces", { a: { b: 1 } }, [{ op: "replace", path: "/a/b", value: 2 }], { a: { b: 2 } }],
    ["replaces all", { a: 1 }, [{ op: "replace", path: "", value: 2 }], 2],
    ["moves", { a: { x: 1 }, b: {} }, [{ op: "move", from: "/a/x", path: "/b/y" }], { a: {}, b: { y: 1 } }],
    ["copies", { a: [1] }, [{ op: "copy", from: "/a/0", path: "/a/-" }], { a: [1, 1] }],
    ["tests", { a: { b: [1] } }, [{ op: "test", path: "/a", value: { b: [1] } }], { a: { b: [1] } }],
    ["unescapes", { "a/b": { "c~d": 1 } }, [{ op: "replace", path: "/a~1b/c~0d", value: 2 }], { "a/b": { "c~d": 2 } }],
    ["knows the empty key", { "": 1 }, [{ op: "remove", path: "/" }], {}],
    ["sets __proto__ as a field", {}, [{ op: "add", path: "/__proto__", value: 1 }], JSON.parse('{"__proto__":1}')],
  ])("%s", (_, document, patch, result) => {
    const before = structuredClone(document);
    const patched = applyJsonPatch(document, patch);
    expect(patched.ok && deepEqual(patched.value, result)).toBe(true);
    expect(document).toEqual(before);
  });

  test.each<[string, unknown, unknown[], string]>([
    ["a failed test", { a: 1 }, [{ op: "test", path: "/a", value: 2 }], "test failed: /a"],
    ["a missing field", {}, [{ op: "remove", path: "/a" }], 'no value at "a"'],
    ["a missing parent", {}, [{ op: "add", path: "/a/b", value: 1 }], 'no value at "a"'],
    ["replacing what is not there", {}, [{ op: "replace", path: "/a", value: 1 }], 'no value at "a"'],
    ["an inherited field", {}, [{ op: "remove", path: "/toString" }], 'no value at "toString"'],
    ["an index too far", [1], [{ op: "add", path: "/2", value: 1 }], "no index"],
    ["an odd index", [1], [{ op: "remove", path: "/00" }], "no index"],
    ["no pointer", {}, [{ op: "remove", path: "a" }], "not a JSON pointer"],
    ["no path", {}, [{ op: "remove" }], "not a JSON pointer"],
    ["an unknown operation", {}, [{ op: "explode", path: "" }], "unknown operation"],
    ["moving into itself", { a: {} }, [{ op: "move", from: "/a", path: "/a/b" }], "into itself"],
    ["a scalar parent", { a: 1 }, [{ op: "add", path: "/a/b", value: 1 }], "nothing can be added"],
  ])("refuses %s", (_, document, patch, why) => {
    const patched = applyJsonPatch(document, patch as JsonPatchOperation[]);
    expect(patched.ok ? "" : patched.problem).toContain(why);
  });

  test("has a bound", () => {
    const patch: JsonPatchOperation[] = new Array(limits.jsonPatchOperationsMax + 1).fill({ op: "test", path: "", value: 1 });
    expect(applyJsonPatch(1, patch).ok).toBe(false);
  });

  test.each<[unknown, unknown, JsonPatchOperation[]]>([
    [{ a: 1 }, { a: 1 }, []],
    [
      { a: 1, b: 2 },
      { a: 1, c: 3 },
      [
        { op: "remove", path: "/b" },
        { op: "add", path: "/c", value: 3 },
      ],
    ],
    [{ l: [1, 2, 3] }, { l: [1, 3] }, [{ op: "remove", path: "/l/1" }]],
    [{ l: [1, 3] }, { l: [1, 2, 3] }, [{ op: "add", path: "/l/1", value: 2 }]],
    [{ l: [{ a: 1, b: 1 }] }, { l: [{ a: 2, b: 1 }] }, [{ op: "replace", path: "/l/0/a", value: 2 }]],
    [{ "a/b~": 1 }, {}, [{ op: "remove", path: "/a~1b~0" }]],
    [{ a: null }, { a: 1 }, [{ op: "replace", path: "/a", value: 1 }]],
    [[1], {}, [{ op: "replace", path: "", value: {} }]],
    [
      { constructor: 1 },
      { toString: 2 },
      [
        { op: "remove", path: "/constructor" },
        { op: "add", path: "/toString", value: 2 },
      ],
    ],
    [JSON.parse('{"__proto__":1}'), {}, [{ op: "remove", path: "/__proto__" }]],
    [{}, JSON.parse('{"__proto__":{}}'), [{ op: "add", path: "/__proto__", value: {} }]],
    [
      { b: 1, a: [] },
      { b: 2, a: {}, "\u{10000}": 0, "\uffff": 0 },
      [
        { op: "replace", path: "/a", value: {} },
        { op: "replace", path: "/b", value: 2 },
        { op: "add", path: "/\uffff", value: 0 },
        { op: "add", path: "/\u{10000}", value: 0 },
      ],
    ],
    [
      { a: undefined, b: 1 },
      { a: 1, b: undefined, c: undefined },
      [
        { op: "remove", path: "/b" },
        { op: "add", path: "/a", value: 1 },
      ],
    ],
  ])("%j to %j takes %j", (from, to, patch) => expect(jsonPatchOf(from, to)).toEqual(patch));

  test("a patch made of two documents turns one into the other", () =>
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (from, to) => {
        const patch = jsonPatchOf(from, to);
        const patched = applyJsonPatch(from, patch);
        expect(patched.ok && deepEqual(patched.value, to)).toBe(true);
        expect(jsonPatchText(patch)).toBe(JSON.stringify(patch));
        if (typeof to === "object" && to !== null) keepText(to);
        expect(jsonPatchText(patch)).toBe(JSON.stringify(patch));
      }),
    ));

  test("also where they are alike", () => {
    const lists = fc.array(fc.constantFrom<unknown>(1, 2, { a: 1 }, { a: 2 }, [1]), { maxLength: 6 });
    fc.assert(
      fc.property(lists, lists, (from, to) => {
        const patched = applyJsonPatch({ l: from }, jsonPatchOf({ l: from }, { l: to }));
        expect(patched.ok && deepEqual(patched.value, { l: to })).toBe(true);
      }),
    );
  });

  test("pointers", () => {
    expect(pointer("metadata", "labels", "a/b~c", 0)).toBe("/metadata/labels/a~1b~0c/0");
    expect(splitPointer("/a~1b")).toEqual(["a/b"]);
    expect(splitPointer("x")).toBeUndefined();
    fc.assert(fc.property(fc.string(), (key) => expect(unescapePointer(escapePointer(key))).toBe(key)));
  });
});

describe("merge patch", () => {
  // The table of RFC 7386, appendix A.
  test.each<[unknown, unknown, unknown]>([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [
      ["a", "b"],
      ["c", "d"],
      ["c", "d"],
    ],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("%j with %j is %j", (target, patch, result) => expect(applyMergePatch(target, patch)).toEqual(result));

  const noNulls: fc.Arbitrary<unknown> = fc
    .jsonValue()
    .map((value) => JSON.parse(JSON.stringify(value), (_, item) => (item === null ? 0 : item)));

  test("a patch made of two documents turns one into the other", () =>
    fc.assert(
      fc.property(noNulls, noNulls, (from, to) => {
        const patch = mergePatchOf(from, to);
        expect(patch === undefined ? deepEqual(from, to) : deepEqual(applyMergePatch(from, patch), to)).toBe(true);
      }),
    ));

  test("only what changed is in the patch", () => {
    expect(mergePatchOf({ a: { b: 1, c: 2 }, d: [1] }, { a: { b: 1, c: 3 }, d: [1] })).toEqual({ a: { c: 3 } });
    expect(mergePatchOf({ a: 1 }, { b: 2 })).toEqual({ a: null, b: 2 });
    expect(mergePatchOf({ a: 1 }, { a: 1 })).toBeUndefined();
  });
});
