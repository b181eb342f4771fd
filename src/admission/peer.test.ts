import { describe, expect, test } from "bun:test";
import { FakeEnv } from "../env/fake.ts";
import type { Fetch, HttpRequest } from "../env/network.ts";
import type { WebhookConfiguration } from "./configuration.ts";
import { leavingHeader, originOf, peerCheck, peerIn } from "./peer.ts";

const leadingTo = (...urls: (string | undefined)[]) =>
  ({
    metadata: { name: "x" },
    webhooks: urls.map((url) => ({ name: "w", clientConfig: url === undefined ? { service: { name: "s" } } : { url, caBundle: "Q0E=" } })),
  }) as unknown as WebhookConfiguration;
const own = originOf({ host: "127.0.0.1", port: 9876 });

test.each<[string, WebhookConfiguration, string | undefined]>([
  ["a fresh install", leadingTo(undefined), undefined],
  ["nothing listed", leadingTo(), undefined],
  ["ourselves", leadingTo("https://127.0.0.1:9876/mutate-pod"), undefined],
  ["another port", leadingTo("https://127.0.0.1:9877/mutate-pod"), "https://127.0.0.1:9877"],
  ["another host, after an entry of somebody's own", leadingTo(undefined, "https://10.0.0.5:9876/x"), "https://10.0.0.5:9876"],
  ["no URL at all", leadingTo("nonsense"), undefined],
])("%s", (_, live, origin) => {
  expect(peerIn(live, own)?.origin).toBe(origin as string);
});

test("an IPv6 host", () => {
  const origin = originOf({ host: "fd00::1", port: 1 });
  expect(origin).toBe("https://[fd00::1]:1");
  expect(peerIn(leadingTo("https://[fd00::1]:1/x"), origin)).toBeUndefined();
  expect(peerIn(leadingTo("https://[fd00::2]:1/x"), origin)).toEqual({ origin: "https://[fd00::2]:1", ca: "CA" });
});

describe("whether it serves", () => {
  const peer = { origin: "https://127.0.0.1:1", ca: "CA" };
  const answer = (headers: Readonly<Record<string, string>> = {}) =>
    Promise.resolve({ status: 200, headers: { get: (name: string) => headers[name] ?? null }, body: null, text: async () => "" });
  const refusal = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
  async function ask(...answers: ((request: HttpRequest) => ReturnType<Fetch>)[]) {
    const env = new FakeEnv();
    const asked: string[] = [];
    const fetch: Fetch = (url, request) => {
      asked.push(`${url} ${request.tls?.ca}`);
      return answers[asked.length - 1]?.(request) ?? refusal("none left");
    };
    let serves: boolean | undefined;
    void peerCheck(
      env,
      fetch,
    )(peer).then((said) => {
      serves = said;
    });
    await env.advance(10_000);
    return { serves, asked: asked.length, first: asked[0] };
  }
  const silence = ({ signal }: HttpRequest): ReturnType<Fetch> =>
    new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));

  test("it answers under its CA", async () => {
    expect(await ask(() => answer())).toEqual({ serves: true, asked: 1, first: "https://127.0.0.1:1/healthz CA" });
  });
  test("it is going", async () => {
    expect(await ask(() => answer({ [leavingHeader]: "1" }))).toMatchObject({ serves: false, asked: 1 });
  });
  test.each(["ConnectionRefused", "ECONNREFUSED"])("%s: nobody is there", async (code) => {
    expect(await ask(() => refusal(code))).toMatchObject({ serves: false, asked: 1 });
  });
  test("silence, twice", async () => {
    expect(await ask(silence, silence)).toMatchObject({ serves: false, asked: 2 });
  });
  test("a lost connection, once", async () => {
    expect(
      await ask(
        () => refusal("ConnectionReset"),
        () => answer(),
      ),
    ).toMatchObject({ serves: true, asked: 2 });
  });
});
