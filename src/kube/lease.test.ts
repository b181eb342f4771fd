import { describe, expect, test } from "bun:test";
import { FakeEnv } from "../env/fake.ts";
import { anonymousCredentials, createKube } from "./kube.ts";
import { Election, type ElectionOptions } from "./lease.ts";
import { FakeApi } from "./testing/fake-api.ts";
import type { Lease } from "./types.ts";

const path = "/apis/coordination.k8s.io/v1/leases";
const key = { namespace: "kruise-system", name: "kruise-manager" };

interface Candidate {
  readonly election: Election;
  readonly told: string[];
}

function world() {
  const env = new FakeEnv();
  const api = new FakeApi(path);
  const candidates: Candidate[] = [];
  const cut = new Set<string>();
  api.intercept = ({ headers }) => (cut.has(headers["user-agent"] ?? "") ? "drop" : undefined);
  const join = (identity: string, options: Partial<ElectionOptions> = {}): Candidate => {
    const { client } = createKube(env, anonymousCredentials(), { userAgent: identity, fetch: api.fetch });
    const told: string[] = [];
    const election = new Election(env, client, {
      ...key,
      identity,
      onLeading: () => told.push("leading"),
      onLost: (why) => told.push(`lost: ${why}`),
      onOther: (other) => told.push(`other: ${other}`),
      ...options,
    });
    election.start();
    const candidate = { election, told };
    candidates.push(candidate);
    return candidate;
  };
  const lease = () => api.object(path, key.name, key.namespace) as Lease | undefined;
  const leaders = () => candidates.filter(({ election }) => election.isLeader).length;
  return { env, api, cut, join, lease, leaders };
}

test("the first leads, says so in the Lease, and renews with one write in two seconds", async () => {
  const { env, api, join, lease } = world();
  const { election, told } = join("a_1");
  await env.advance(10);
  expect(election.isLeader).toBe(true);
  expect(told).toEqual(["leading"]);
  expect(lease()?.spec).toEqual({
    holderIdentity: "a_1",
    leaseDurationSeconds: 15,
    acquireTime: "2025-01-01T00:00:00.000000Z",
    renewTime: "2025-01-01T00:00:00.000000Z",
    leaseTransitions: 0,
  });
  const before = api.requests.length;
  await env.advance(60_000);
  expect(api.requests.length - before).toBe(30);
  expect(lease()?.spec?.renewTime).toBe("2025-01-01T00:01:00.000000Z");
  expect(lease()?.spec?.acquireTime).toBe("2025-01-01T00:00:00.000000Z");
});

test("the second waits; a release lets it lead at once", async () => {
  const { env, join, lease, leaders } = world();
  const first = join("a_1");
  await env.advance(10);
  const second = join("b_2");
  await env.advance(60_000);
  expect(leaders()).toBe(1);
  expect(second.told).toEqual(["other: a_1"]);
  await Promise.all([first.election.release(), env.advance(10)]);
  expect(lease()?.spec?.holderIdentity).toBe("");
  expect(first.told).toEqual(["leading"]);
  await env.advance(2500);
  expect(second.election.isLeader).toBe(true);
  expect(lease()?.spec).toMatchObject({ holderIdentity: "b_2", leaseTransitions: 1 });
});

test("cut off, the leader steps down before another can take over", async () => {
  const { env, cut, join, leaders, lease } = world();
  const first = join("a_1");
  await env.advance(10);
  const second = join("b_2");
  await env.advance(30_000);
  cut.add("a_1");
  let most = 0;
  let none = 0;
  for (let ms = 0; ms < 40_000; ms += 100) {
    await env.advance(100);
    most = Math.max(most, leaders());
    if (leaders() === 0) none += 100;
  }
  expect(most).toBe(1);
  expect(none).toBeGreaterThan(1000);
  expect(none).toBeLessThan(10_000);
  expect(first.told).toEqual(["leading", "lost: the lease was not renewed within 10 s"]);
  expect(second.election.isLeader).toBe(true);
  expect(lease()?.spec?.leaseTransitions).toBe(1);
});

test("a short outage is no loss", async () => {
  const { env, cut, join } = world();
  const { election, told } = join("a_1");
  await env.advance(5000);
  cut.add("a_1");
  await env.advance(6000);
  cut.clear();
  await env.advance(60_000);
  expect(election.isLeader).toBe(true);
  expect(told).toEqual(["leading"]);
});

describe("somebody else writes the Lease", () => {
  test("and takes it: lost at once", async () => {
    const { env, api, join, lease } = world();
    const { told } = join("a_1");
    await env.advance(5000);
    api.put(path, { ...lease()!, spec: { ...lease()?.spec, holderIdentity: "thief" } });
    await env.advance(2500);
    expect(told).toEqual(["leading", "lost: thief has taken the lease"]);
  });

  test("without taking it: it is renewed from there, which is counted", async () => {
    const { env, api, join, lease } = world();
    let slowPaths = 0;
    const onSlowPath = () => {
      slowPaths += 1;
    };
    const { election } = join("a_1", { onSlowPath });
    await env.advance(5000);
    expect(slowPaths).toBe(0);
    const { metadata, ...rest } = lease()!;
    api.put(path, { ...rest, metadata: { ...metadata, labels: { seen: "yes" } } });
    await env.advance(20_000);
    expect(election.isLeader).toBe(true);
    expect(lease()?.metadata.labels).toEqual({ seen: "yes" });
    expect(slowPaths).toBe(1);
  });

  test("or deletes it: it is made again", async () => {
    const { env, api, join, lease } = world();
    const { election } = join("a_1");
    await env.advance(5000);
    api.remove(path, key.name, key.namespace);
    await env.advance(20_000);
    expect(election.isLeader).toBe(true);
    expect(lease()?.spec?.holderIdentity).toBe("a_1");
  });
});

test("a process that stops renews until it is released, and one that waits asks no more", async () => {
  const { env, join, lease, api } = world();
  const first = join("a_1");
  await env.advance(5000);
  const second = join("b_2");
  await env.advance(1000);
  env.stop();
  await env.advance(20_000);
  expect(first.election.isLeader).toBe(true);
  expect(lease()?.spec?.renewTime).toBe("2025-01-01T00:00:26.000000Z");
  await Promise.all([first.election.release(), second.election.release(), env.advance(100)]);
  expect(lease()?.spec?.holderIdentity).toBe("");
  const before = api.requests.length;
  await env.advance(60_000);
  expect(api.requests.length).toBe(before);
});

test("a request that hangs does not hide that the time is over", async () => {
  const { env, api, join } = world();
  const { told } = join("a_1");
  await env.advance(5000);
  api.intercept = () => new Promise(() => {});
  await env.advance(20_000);
  expect(told).toEqual(["leading", "lost: the lease was not renewed within 10 s"]);
});

test("times that could give two leaders are refused", () => {
  const { join } = world();
  expect(() => join("a", { renewDeadlineMs: 15_000 })).toThrow("longer than the renew deadline");
  expect(() => join("a", { retryPeriodMs: 9000 })).toThrow("1.2 retry periods");
});
