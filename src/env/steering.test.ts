import { expect, test } from "bun:test";
import { steerConnections } from "./steering.ts";

/** Elsewhere the kernel has nothing to steer with, and `steerConnections` is not called. */
const onLinux = process.platform === "linux" ? test : test.skip;

onLinux("every new connection goes to the listener that was chosen", async () => {
  const open = (name: string, port: number) =>
    Bun.serve({ hostname: "127.0.0.1", port, reusePort: true, fetch: () => new Response(name, { headers: { connection: "close" } }) });
  const a = open("a", 0);
  const b = open("b", a.port ?? 0);
  const answers = async () => {
    const texts = await Promise.all(
      Array.from({ length: 30 }, () => fetch(`http://127.0.0.1:${a.port}/`, { keepalive: false }).then((answer) => answer.text())),
    );
    return [...new Set(texts)].sort();
  };
  try {
    expect(steerConnections(a.port ?? 0, 1)).toBe(true);
    expect(await answers()).toEqual(["b"]);
    expect(steerConnections(a.port ?? 0, 0)).toBe(true);
    expect(await answers()).toEqual(["a"]);
    // Beyond the last: dealt out again.
    expect(steerConnections(a.port ?? 0, 7)).toBe(true);
    expect(await answers()).toEqual(["a", "b"]);
  } finally {
    a.stop(true);
    b.stop(true);
  }
});

test("a port that nobody listens on cannot be steered", () => {
  expect(steerConnections(1, 0)).toBe(false);
});
