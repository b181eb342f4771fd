import { describe, expect, test } from "bun:test";
import type { Requirement } from "../kube/selector.ts";
import { normalised, type PodScope, scopeClauses } from "./narrow-scope.ts";

const label = (key: string, ...values: string[]): Requirement => ({ key, operator: "In", values });

describe("scopes that are put together", () => {
  const cases: readonly [string, readonly PodScope[], readonly PodScope[]][] = [
    ["none are none", [], []],
    ["any pod is enough", [{ namespaces: ["a"] }, {}, { labels: [label("app", "web")] }], [{}]],
    [
      "namespaces with the same labels go together, whatever the order",
      [
        { namespaces: ["b"], labels: [label("y", "1"), label("app", "web", "api")] },
        { namespaces: ["a", "b"], labels: [{ ...label("app", "api", "web"), equals: true }, label("y", "1")] },
      ],
      [{ namespaces: ["a", "b"], labels: [label("app", "api", "web"), label("y", "1")] }],
    ],
    [
      "all namespaces swallow some",
      [{ namespaces: ["b"], labels: [label("y", "1")] }, { labels: [label("y", "1")] }],
      [{ labels: [label("y", "1")] }],
    ],
    [
      "too many are any",
      Array.from({ length: 2_000 }, (_, index) => ({ namespaces: [`namespace-${index}`], labels: [label("app", String(index))] })),
      [{}],
    ],
  ];
  for (const [what, given, expected] of cases) {
    test(what, () => {
      expect(normalised(given)).toEqual([...expected]);
      expect(JSON.stringify(normalised(normalised(given)))).toBe(JSON.stringify(normalised([...given].reverse())));
    });
  }
});

describe("as CEL", () => {
  const has = (key: string) => `has(object.metadata.labels) && "${key}" in object.metadata.labels`;
  const cases: readonly [PodScope, readonly string[]][] = [
    [{}, ["true"]],
    [{ namespaces: [] }, []],
    [{ namespaces: ["a", "b"] }, ['request.namespace in ["a","b"]']],
    [{ labels: [label("app", "web")] }, [`(${has("app")} && object.metadata.labels["app"] in ["web"])`]],
    [{ labels: [{ ...label("app", "web"), operator: "NotIn" }] }, [`!(${has("app")} && object.metadata.labels["app"] in ["web"])`]],
    [{ labels: [{ key: "app", operator: "Exists", values: [] }] }, [`(${has("app")})`]],
    [
      { namespaces: ["a"], labels: [{ key: "app", operator: "DoesNotExist", values: [] }] },
      [`request.namespace in ["a"] && !(${has("app")})`],
    ],
  ];
  for (const [scope, expected] of cases) {
    test(JSON.stringify(scope), () => expect(scopeClauses([scope], "object")).toEqual([...expected]));
  }

  test("a request without the pod is asked for its namespace only", () => {
    expect(scopeClauses([{ namespaces: ["b"], labels: [label("app", "web")] }, { namespaces: ["a"] }])).toEqual([
      'request.namespace in ["a","b"]',
    ]);
    expect(scopeClauses([{ labels: [label("app", "web")] }])).toEqual(["true"]);
  });
});
