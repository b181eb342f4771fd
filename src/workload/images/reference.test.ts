import { expect, test } from "bun:test";
import fc from "fast-check";
import { familiarImage, pullReference, repositoryOfName } from "./reference.ts";

const hex = "a".repeat(64);
test.each<[string, string, string]>([
  ["ubuntu", "ubuntu", "latest"],
  ["docker.io/library/ubuntu:20.04", "ubuntu", "20.04"],
  ["index.docker.io/library/ubuntu:20.04", "ubuntu", "20.04"],
  ["docker.io/test/nginx:1.0", "test/nginx", "1.0"],
  ["test/nginx", "test/nginx", "latest"],
  ["docker.io/library/a/b", "library/a/b", "latest"],
  ["myregistry:5000/my/image:v1", "myregistry:5000/my/image", "v1"],
  ["localhost/app", "localhost/app", "latest"],
  ["registry.test/library/app:v1", "registry.test/library/app", "v1"],
  [`ubuntu:20.04@sha256:${hex}`, "ubuntu", `sha256:${hex}`],
  [`registry.test/app@sha256:${hex}`, "registry.test/app", `sha256:${hex}`],
])("%s is %s, %s", (text, name, tag) => {
  expect(familiarImage(text)).toEqual({ name, tag });
});

test.each([
  "",
  "UPPERCASE/image",
  "INVALID_IMAGE",
  hex,
  "a b",
  "nginx:",
  "nginx@sha256:abc",
  `nginx@md5:${"a".repeat(32)}`,
  "a:b:c",
  `${"a/".repeat(200)}b`,
])("%p is no reference", (text) => {
  expect(familiarImage(text)).toBeUndefined();
});

test("what a runtime is asked for", () => {
  expect(pullReference("nginx", "1.9")).toBe("nginx:1.9");
  expect(pullReference("nginx", "1.9", true)).toBe("docker.io/library/nginx:1.9");
  expect(pullReference("nginx", `sha256:${hex}`)).toBe(`nginx@sha256:${hex}`);
  expect(repositoryOfName("registry.test:5000/app")).toBe("registry.test:5000/app");
});

test("the familiar form means the same image, and is its own familiar form", () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,8}$/);
  const domain = fc.option(fc.constantFrom("docker.io/", "index.docker.io/", "registry.test/", "localhost:5000/"), { nil: "" });
  fc.assert(
    fc.property(domain, fc.array(part, { minLength: 1, maxLength: 3 }), fc.option(part, { nil: undefined }), (host, path, tag) => {
      const image = familiarImage(`${host}${path.join("/")}${tag === undefined ? "" : `:${tag}`}`)!;
      expect(familiarImage(pullReference(image.name, image.tag))).toEqual(image);
      expect(familiarImage(pullReference(image.name, image.tag, true))).toEqual(image);
    }),
  );
});

test("any text is answered", () => {
  fc.assert(fc.property(fc.string(), (text) => void familiarImage(text)));
});
