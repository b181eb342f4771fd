import { expect, test } from "bun:test";
import { claimName, volumesWithClaims } from "./claims.ts";

test("a volume for each claim template comes first, in their order, and replaces one of the same name", () => {
  const templates = [
    { metadata: { name: "logs" }, spec: {} },
    { metadata: { name: "data" }, spec: {} },
  ];
  const volumes = [
    { name: "data", emptyDir: {} },
    { name: "tmp", emptyDir: {} },
  ];
  expect(volumesWithClaims(volumes, templates, (template) => claimName(template, "web", 0))).toEqual([
    { name: "logs", persistentVolumeClaim: { claimName: "logs-web-0", readOnly: false } },
    { name: "data", persistentVolumeClaim: { claimName: "data-web-0", readOnly: false } },
    { name: "tmp", emptyDir: {} },
  ]);
  expect(volumesWithClaims(volumes, [], () => "")).toBe(volumes);
});
