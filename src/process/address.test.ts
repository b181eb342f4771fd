import { expect, test } from "bun:test";
import { parseAddress } from "./address.ts";

test.each([
  [":8080", { host: undefined, port: 8080 }],
  ["127.0.0.1:9090", { host: "127.0.0.1", port: 9090 }],
  ["[::1]:80", { host: "::1", port: 80 }],
  ["localhost:8090", { host: "localhost", port: 8090 }],
  ["0", undefined],
  ["", undefined],
])("%s", (text, address) => expect(parseAddress(text)).toEqual(address));

test.each(["8080", "host", ":99999", "a:b:1"])("%s is refused", (text) => expect(parseAddress(text)).toBeString());
