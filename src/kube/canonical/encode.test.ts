import { expect, test } from "bun:test";
import { encodeAs, encodeRaw, normaliseAs, quote } from "./encode.ts";
import { objectTypes } from "./schema.ts";

test("every type that a table names is in a table", () => {
  for (const type of objectTypes().values()) {
    for (const field of type.fields) if (field.kind === "object") expect(objectTypes().has(field.typeName)).toBe(true);
  }
  expect(objectTypes().get("PodSpec")?.fields.length).toBe(40);
});

test.each([
  ["plain", '"plain"'],
  ['"\\\n\r\t\b\f', '"\\"\\\\\\n\\r\\t\\b\\f"'],
  ["\u0001\u007f", '"\\u0001\u007f"'],
  ["<a>&\u2028\u2029", '"\\u003ca\\u003e\\u0026\\u2028\\u2029"'],
  ["é😀", '"é😀"'],
  ["\ud800x", '"\ufffdx"'],
])("%j is written as %s", (text, json) => expect(quote(text)).toBe(json));

test.each([
  ["EnvVar", { name: "", value: "" }, '{"name":""}'],
  ["EnvVar", undefined, '{"name":""}'],
  ["EnvVar", { valueFrom: null, name: "A" }, '{"name":"A"}'],
  ["ContainerPort", { hostPort: 0 }, '{"containerPort":0}'],
  ["SecurityContext", { privileged: false, capabilities: {}, procMount: null }, '{"capabilities":{},"privileged":false}'],
  ["EmptyDirVolumeSource", { medium: "", sizeLimit: "1024Mi" }, '{"sizeLimit":"1Gi"}'],
  ["ResourceFieldSelector", { resource: "limits.cpu", divisor: "1000m" }, '{"divisor":"1","resource":"limits.cpu"}'],
  ["GRPCAction", { port: 1 }, '{"port":1,"service":null}'],
  ["HTTPGetAction", { path: "/" }, '{"path":"/","port":0}'],
  ["NodeSelector", {}, '{"nodeSelectorTerms":null}'],
  ["NodeSelector", { nodeSelectorTerms: [] }, '{"nodeSelectorTerms":[]}'],
  ["NodeSelector", { nodeSelectorTerms: [null] }, '{"nodeSelectorTerms":[{}]}'],
  ["ObjectMeta", { name: "x", labels: {}, finalizers: [] }, '{"creationTimestamp":null,"name":"x"}'],
  ["Volume", { name: "v", hostPath: { path: "/x", type: "" } }, '{"hostPath":{"path":"/x","type":""},"name":"v"}'],
  ["PodSpec", { containers: null, overhead: { cpu: 2, memory: "bad" } }, '{"containers":null,"overhead":{"cpu":"2","memory":"bad"}}'],
  [
    "PodSpec",
    { containers: "oops", volumes: { not: "a list" }, nodeName: 7 },
    '{"containers":"oops","nodeName":7,"volumes":{"not":"a list"}}',
  ],
  ["Toleration", { tolerationSeconds: 0, key: "" }, '{"tolerationSeconds":0}'],
])("%s %j is written as %s", (type, value, json) => expect(encodeAs(type, value, { sorted: true })).toBe(json));

test("declaration order keeps map keys sorted", () => {
  const container = {
    env: [{ value: "1", name: "A" }],
    image: "i",
    name: "c",
    resources: { requests: { memory: "1", cpu: "2" }, limits: {} },
  };
  expect(encodeAs("Container", container, { sorted: false })).toBe(
    '{"name":"c","image":"i","env":[{"name":"A","value":"1"}],"resources":{"requests":{"cpu":"2","memory":"1"}}}',
  );
});

test("content is compared after every rule", () => {
  expect(normaliseAs("Container", { name: "c", resources: { limits: { cpu: "1000m" } } })).toEqual({
    name: "c",
    resources: { limits: { cpu: "1" } },
  });
});

test("an unknown name is our mistake", () => expect(() => encodeAs("Nothing", {}, { sorted: true })).toThrow("no type named Nothing"));

test("raw JSON has sorted keys", () =>
  expect(encodeRaw({ b: [1, null, { d: undefined }], a: 1e21, c: -0.5, "10": true, "9": false })).toBe(
    '{"10":true,"9":false,"a":1e+21,"b":[1,null,{}],"c":-0.5}',
  ));
