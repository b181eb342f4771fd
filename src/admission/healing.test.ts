import { expect, test } from "bun:test";
import { FakeEnv } from "../env/fake.ts";
import type { LiveReader, Writer } from "../kube/access.ts";
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";
import { mutatingConfigurations } from "./configuration.ts";
import { Healing } from "./healing.ts";

const of = mutatingConfigurations as Kind<KubeObject>;
const name = "ours";

test("after a write only what comes later is news, however late the watch tells of what was before", async () => {
  const live = (resourceVersion: string): KubeObject => ({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name, uid: "1", resourceVersion, creationTimestamp: "2024-05-01T09:00:00Z" },
  });
  let reads = 0;
  const get = async () => {
    reads += 1;
    return { ok: true, object: live("9") };
  };
  const read = { get } as unknown as LiveReader;
  const write = { update: async () => ({ ok: true, object: live("12") }) } as unknown as Writer;
  const healing = new Healing(new FakeEnv(), read, write);
  const heal = () =>
    healing.heal({ of, name, inputs: "", heal: (object) => ({ ...object, metadata: { ...object.metadata, labels: {} } }) });
  expect(await heal()).toBeUndefined();
  const news = (version: string | undefined) => healing.noticed(of, { namespace: "", name }, version);
  expect(["9", "12", "13", undefined].map(news)).toEqual([false, false, true, true]);
  expect(news("12")).toBe(false);
  expect(await heal()).toBeUndefined();
  expect(reads).toBe(1);
});
