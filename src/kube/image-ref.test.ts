import { expect, test } from "bun:test";
import fc from "fast-check";
import { defaultPullPolicy, normaliseImage, parseImage, sameImage, withoutScheme } from "./image-ref.ts";

const sha = `sha256:${"a".repeat(64)}`;
const other = `sha256:${"b".repeat(64)}`;

test.each([
  ["nginx", "docker.io/library/nginx:latest"],
  ["nginx:1.25", "docker.io/library/nginx:1.25"],
  ["org/app", "docker.io/org/app:latest"],
  ["index.docker.io/nginx", "docker.io/library/nginx:latest"],
  ["registry:5000/img", "registry:5000/img:latest"],
  ["registry:5000/img:v1", "registry:5000/img:v1"],
  ["localhost/img", "localhost/img:latest"],
  ["example.com/a/b_c-d.e:V1", "example.com/a/b_c-d.e:V1"],
  [`nginx@${sha}`, `docker.io/library/nginx@${sha}`],
  [`nginx:1.25@${sha}`, `docker.io/library/nginx@${sha}`],
  ["[::1]:5000/img", "[::1]:5000/img:latest"],
])("%s means %s", (text, normal) => expect(normaliseImage(text)).toBe(normal));

test.each([
  "",
  "Nginx",
  "nginx:",
  "nginx:a b",
  "nginx@sha256:123",
  "a//b",
  "/a",
  "a".repeat(256),
  "f".repeat(64),
  " nginx",
  "x".repeat(2000),
])("%.80j is no reference", (text) => {
  expect(parseImage(text)).toBeUndefined();
  expect(normaliseImage(text)).toBe(text);
});

test.each([
  ["nginx", "docker.io/library/nginx:latest", true],
  ["registry:5000/img", "registry:5000/img:latest", true],
  ["nginx:1", "nginx:2", false],
  [`nginx@${sha}`, `nginx:1@${sha}`, true],
  [`nginx@${sha}`, `nginx@${other}`, false],
  [`nginx@${sha}`, "nginx", false],
  [`docker-pullable://nginx@${sha}`, `nginx@${sha}`, true],
  ["a/nginx", "b/nginx", false],
  ["Bad", "Bad", true],
  ["Bad", "bad", false],
])("%s and %s are the same image: %p", (a, b, same) => {
  expect(sameImage(a, b)).toBe(same);
  expect(sameImage(b, a)).toBe(same);
});

test.each([
  ["nginx", "Always"],
  ["nginx:latest", "Always"],
  [`nginx:latest@${sha}`, "Always"],
  ["nginx:1", "IfNotPresent"],
  [`nginx@${sha}`, "IfNotPresent"],
  ["Nginx", "IfNotPresent"],
  ["", "IfNotPresent"],
])("a pod of %s gets pull policy %s", (text, policy) => expect(defaultPullPolicy(text)).toBe(policy as "Always"));

test("schemes of image IDs are not part of the image", () => expect(withoutScheme("docker://sha256:1")).toBe("sha256:1"));

test("a normal reference stays as it is", () =>
  fc.assert(fc.property(fc.string(), (text) => expect(normaliseImage(normaliseImage(text))).toBe(normaliseImage(text)))));
