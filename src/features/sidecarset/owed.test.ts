/**
 * No pod is let in without a sidecar that it is owed: by any SidecarSet whose last change is older than the watch may lag, through any
 * restarts of the manager. Requests that come while its caches fill wait for them.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { createHandler, type Handler } from "../../admission/handler.ts";
import { silentMetrics } from "../../admission/metrics.ts";
import { podWebhooks } from "../../admission/pod.ts";
import { podRequest, reviewText } from "../../admission/testing/fixtures.ts";
import type { AdmissionContext } from "../../admission/webhook.ts";
import { type SidecarSet, sidecarSets } from "../../api/sidecarset.ts";
import { testSettings, World } from "../../engine/testing/harness.ts";
import { sleep } from "../../env/env.ts";
import { FakeEnv } from "../../env/fake.ts";
import type { Reader } from "../../kube/access.ts";
import { namespaces } from "../../kube/kinds.ts";
import { defaultSidecarSet } from "./defaults.ts";
import { injection } from "./inject.ts";
import { pod, sidecarSet } from "./testing/objects.ts";

const lagMsMax = 400;
const teams = ["a", "b"] as const;

type Act =
  | { readonly do: "create" | "image" | "pause" | "resume" | "drop"; readonly set: number }
  | { readonly do: "pod"; readonly team: string }
  | { readonly do: "restart"; readonly coldMs: number }
  | { readonly do: "wait"; readonly forMs: number };

const acts: fc.Arbitrary<readonly Act[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom("create" as const, "create", "image", "pause", "resume", "drop"), set: fc.nat(3) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("pod" as const), team: fc.constantFrom(...teams) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), coldMs: fc.nat(3_000) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), forMs: fc.nat(1_000) }) },
  ),
  { minLength: 10, maxLength: 60 },
);

interface Asked {
  readonly owed: readonly Owed[];
  readonly answered: Promise<Response>;
}
interface Owed {
  readonly name: string;
  readonly image: string;
}

class Sea {
  readonly env: FakeEnv;
  readonly world: World;
  readonly asked: Asked[] = [];
  private handler: Handler;
  private readonly changedMs = new Map<string, number>();

  constructor(
    seed: number,
    private readonly waits: boolean,
  ) {
    this.env = new FakeEnv({ seed, startMs: Date.UTC(2025, 0, 1, 1) });
    this.world = new World(this.env, { watchLagMs: () => Math.floor(this.env.random() * lagMsMax) });
    this.world.add(namespaces, { metadata: { name: "shop", labels: { "kubernetes.io/metadata.name": "shop" } } });
    this.handler = this.start(lagMsMax);
  }

  /** A fresh process: it sees nothing until its caches have filled. */
  private start(coldMs: number): Handler {
    let cold: Promise<void> | undefined = sleep(this.env, coldMs).then(() => {
      cold = undefined;
    });
    const { world, env } = this;
    const read: Reader = {
      get: (kind, key) => (cold === undefined ? world.get(kind, key) : undefined),
      list: (kind, namespace) => (cold === undefined ? world.list(kind, namespace) : []),
      find: (index, value) => (cold === undefined ? world.find(index, value) : []),
      live: world.live,
    };
    const context: AdmissionContext = {
      read,
      settings: testSettings(),
      write: world,
      log: env.log,
      nowMs: () => env.nowMs(),
      random: () => env.random(),
      after: (delayMs, run) => env.after(delayMs, run),
      emit: () => {},
      refused: () => {},
    };
    return createHandler({
      env,
      webhooks: podWebhooks({ mutations: [injection], guards: [], installNamespace: "kruise-system" }),
      converter: () => ({ ok: false, message: "no kinds" }),
      context,
      metrics: silentMetrics,
      ...(this.waits ? { unready: () => cold } : {}),
    });
  }

  async act(act: Act): Promise<void> {
    switch (act.do) {
      case "restart":
        this.handler = this.start(act.coldMs);
        return;
      case "wait":
        return this.env.advance(act.forMs);
      case "pod":
        return this.ask(act.team);
      default:
        return this.change(act.do, act.set);
    }
  }

  private change(what: "create" | "image" | "pause" | "resume" | "drop", index: number): void {
    const name = `set-${index}`;
    const key = { namespace: "", name };
    const known = this.world.now<SidecarSet>(sidecarSets, key);
    if ((known === undefined) !== (what === "create")) return;
    if (what === "create") {
      const app = { matchLabels: { app: teams[index % teams.length] as string } };
      const namespaceSelector = index < 2 ? undefined : { matchLabels: { "kubernetes.io/metadata.name": "shop" } };
      const containers = [{ name, image: `${name}:0` }];
      this.world.add(sidecarSets, sidecarSet(name, { selector: app, namespaceSelector, containers }));
    } else if (what === "drop") this.world.drop(sidecarSets, key);
    else
      this.world.edit<SidecarSet>(sidecarSets, key, (object) => {
        const [container] = object.spec.containers ?? [];
        if (what === "image" && container !== undefined) container.image = `${name}:${this.env.nowMs()}`;
        else object.spec.injectionStrategy = { paused: what === "pause" };
        object.metadata = defaultSidecarSet(object).metadata;
      });
    this.changedMs.set(name, this.env.nowMs());
  }

  /** What has not changed for as long as the watch may lag. */
  private owedTo(team: string): readonly Owed[] {
    return this.world
      .all<SidecarSet>(sidecarSets)
      .filter(({ metadata }) => this.env.nowMs() - (this.changedMs.get(metadata.name) ?? 0) > lagMsMax)
      .filter(({ spec }) => spec.injectionStrategy?.paused !== true && spec.selector?.matchLabels?.["app"] === team)
      .map(({ metadata, spec }) => ({ name: metadata.name, image: spec.containers?.[0]?.image ?? "" }));
  }

  private ask(team: string): void {
    const object = pod(`p-${this.asked.length}`, {}, { labels: { app: team } });
    const body = reviewText(podRequest({ name: object.metadata.name, object }));
    const headers = { "content-type": "application/json", "content-length": String(body.length) };
    const request = new Request("https://localhost:9876/mutate-pod?timeout=10s", { method: "POST", body, headers });
    this.asked.push({ owed: this.owedTo(team), answered: Promise.resolve(this.handler(request)) });
  }

  /** Sidecars that pods were owed and have not got, as [pod, what is missing]. Sets that changed while a request waited owe it nothing. */
  async missing(): Promise<readonly string[]> {
    await this.env.advance(10_000);
    const missing: string[] = [];
    for (const [index, { owed, answered }] of this.asked.entries()) {
      const { response } = (await (await answered).json()) as { response: { allowed: boolean; patch?: string } };
      expect(response.allowed).toBe(true);
      const patch = JSON.parse(Buffer.from(response.patch ?? btoa("[]"), "base64").toString()) as { value: unknown }[];
      const injected = JSON.stringify(patch.map(({ value }) => value));
      for (const { name, image } of owed) {
        const current = this.world.now<SidecarSet>(sidecarSets, { namespace: "", name });
        const isStill = current?.spec.containers?.[0]?.image === image && current.spec.injectionStrategy?.paused !== true;
        if (isStill && !injected.includes(`"image":"${image}"`)) missing.push(`p-${index}: ${name}`);
      }
    }
    return missing;
  }
}

async function sail(seed: number, list: readonly Act[], waits: boolean): Promise<readonly string[]> {
  const sea = new Sea(seed, waits);
  for (const act of list) await sea.act(act);
  return sea.missing();
}

test("no pod is let in without what it is owed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), acts, async (seed, list) => {
      expect(await sail(seed, list, true)).toEqual([]);
    }),
    { numRuns: 400, seed: 6 },
  );
}, 60_000);

test("… and this test would notice: a manager that answers before its caches have filled is found out", async () => {
  const run = await fc.check(
    fc.asyncProperty(fc.integer(), acts, async (seed, list) => {
      expect(await sail(seed, list, false)).toEqual([]);
    }),
    { numRuns: 150, seed: 6, endOnFailure: true },
  );
  expect(run.failed).toBe(true);
}, 60_000);
