/** Lists: selectors, pages, versions, shapes. */
import { expect } from "bun:test";
import { type Bench, type Case, type Json, metadataAccept, tableAccept } from "../bench.ts";

const cms = (b: Bench, query = "") => b.core(`configmaps${query === "" ? "" : `?${query}`}`);
const names = (body: Json): readonly string[] =>
  body.items.map((item: Json) => item.metadata.name).filter((name: string) => name !== "kube-root-ca.crt");
const fill = async (b: Bench, ...all: readonly string[]) => {
  for (const name of all) await b.must(b.post(cms(b), { metadata: { name, labels: { set: "yes", name } } }));
};
const selected = async (b: Bench, selector: string) => names(await b.must(b.get(cms(b, `labelSelector=${encodeURIComponent(selector)}`))));

const selectorCases: readonly (readonly [string, readonly string[]])[] = [
  ["name=a", ["a"]],
  ["name==a", ["a"]],
  ["set,name!=a", ["b", "c"]],
  ["name in (a,c)", ["a", "c"]],
  ["set,name notin (a,c)", ["b"]],
  ["set", ["a", "b", "c"]],
  ["set=yes,name=b", ["b"]],
  ["set,!name", []],
  ["set=no", []],
];

export const listCases: readonly Case[] = [
  ...selectorCases.map(
    ([selector, wanted]): Case => ({
      name: `the label selector ${selector}`,
      async run(b) {
        await fill(b, "a", "b", "c");
        expect(await selected(b, selector)).toEqual([...wanted]);
      },
    }),
  ),
  {
    name: "an unreadable label selector is refused",
    async run(b) {
      const { status, body } = await b.get(cms(b, `labelSelector=${encodeURIComponent("a in (")}`));
      expect([status, body.reason]).toEqual([400, "BadRequest"]);
    },
  },
  {
    name: "field selectors by name",
    async run(b) {
      await fill(b, "a", "b");
      expect(names(await b.must(b.get(cms(b, "fieldSelector=metadata.name%3Da"))))).toEqual(["a"]);
      expect(names(await b.must(b.get(cms(b, "labelSelector=set&fieldSelector=metadata.name!%3Da"))))).toEqual(["b"]);
    },
  },
  {
    name: "a field that cannot be asked for is refused",
    async run(b) {
      const { status, body } = await b.get(cms(b, "fieldSelector=data.k%3Dv"));
      expect([status, body.reason, body.message]).toEqual([
        400,
        "BadRequest",
        '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"',
      ]);
    },
  },
  {
    name: "pods by node and phase",
    async run(b) {
      for (const [name, nodeName] of [
        ["here", "fidelity-none"],
        ["nowhere", undefined],
      ] as const)
        await b.must(
          b.post(b.core("pods"), {
            metadata: { name },
            spec: { nodeName, schedulerName: "nobody", containers: [{ name: "c", image: "x" }] },
          }),
        );
      const by = async (selector: string) => names(await b.must(b.get(b.core(`pods?fieldSelector=${encodeURIComponent(selector)}`))));
      expect(await by("spec.nodeName=fidelity-none")).toEqual(["here"]);
      expect(await by("spec.nodeName=")).toEqual(["nowhere"]);
      expect(await by("status.phase=Pending,spec.nodeName!=")).toEqual(["here"]);
      expect(await by("status.phase=Running")).toEqual([]);
      await b.delete(b.core("pods/here"), { gracePeriodSeconds: 0 });
    },
  },
  {
    name: "objects come by name, the list has its kind and version",
    async run(b) {
      await fill(b, "b", "a", "c");
      const body = await b.must(b.get(cms(b, "labelSelector=set")));
      expect([body.kind, body.apiVersion, names(body)]).toEqual(["ConfigMapList", "v1", ["a", "b", "c"]]);
      expect(body.metadata.resourceVersion).toMatch(/^\d+$/);
      // Items do not repeat what the list says.
      expect(body.items[0].metadata.name).toBe("a");
    },
  },
  {
    name: "an empty list has items",
    async run(b) {
      const body = await b.must(b.get(b.in("apps/v1", "deployments")));
      expect([body.kind, body.items]).toEqual(["DeploymentList", []]);
    },
  },
  {
    name: "pages follow each other by their token",
    async run(b) {
      await fill(b, "a", "b", "c", "d", "e");
      const first = await b.must(b.get(b.core("configmaps?limit=3")));
      expect(first.items).toHaveLength(3);
      expect(first.metadata.remainingItemCount).toBe(3);
      const second = await b.must(b.get(b.core(`configmaps?limit=3&continue=${encodeURIComponent(first.metadata.continue)}`)));
      expect([second.items.length, second.metadata.continue, second.metadata.remainingItemCount]).toEqual([3, undefined, undefined]);
      expect([...names(first), ...names(second)]).toEqual(["a", "b", "c", "d", "e"]);
    },
  },
  {
    name: "all pages show one moment",
    async run(b) {
      await fill(b, "a", "b", "c", "d");
      const first = await b.must(b.get(b.core("configmaps?limit=2")));
      await fill(b, "bb");
      await b.must(b.delete(b.core("configmaps/d")));
      const second = await b.must(b.get(b.core(`configmaps?continue=${encodeURIComponent(first.metadata.continue)}`)));
      expect([...names(first), ...names(second)]).toEqual(["a", "b", "c", "d"]);
      expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    },
  },
  {
    name: "pages with a selector do not count what remains",
    async run(b) {
      await fill(b, "a", "b", "c");
      const body = await b.must(b.get(cms(b, "labelSelector=set&limit=1")));
      expect([body.items.length, body.metadata.remainingItemCount]).toEqual([1, undefined]);
      expect(body.metadata.continue).toBeTruthy();
    },
  },
  {
    name: "a token that is none is refused",
    async run(b) {
      const { status, body } = await b.get(b.core("configmaps?limit=1&continue=nonsense"));
      expect([status, body.reason]).toEqual([400, "BadRequest"]);
    },
  },
  {
    name: "a list at an exact version shows what was then",
    async run(b) {
      await fill(b, "a");
      const before = await b.must(b.get(cms(b, "labelSelector=set")));
      await fill(b, "b");
      const version = before.metadata.resourceVersion;
      const then = await b.must(
        b.get(b.core(`configmaps?labelSelector=set&limit=100&resourceVersion=${version}&resourceVersionMatch=Exact`)),
      );
      expect([names(then), then.metadata.resourceVersion]).toEqual([["a"], version]);
    },
  },
  {
    name: "resourceVersionMatch without a version is refused",
    async run(b) {
      const { status, body } = await b.get(cms(b, "resourceVersionMatch=Exact"));
      expect([status, body.reason]).toEqual([422, "Invalid"]);
    },
  },
  {
    name: "an unreadable version is refused",
    async run(b) {
      expect((await b.get(cms(b, "resourceVersion=abc"))).status).toBe(400);
    },
  },
  {
    name: "a list over all namespaces has those of this one",
    async run(b) {
      await fill(b, "only-here");
      const body = await b.must(b.get(`/api/v1/configmaps?fieldSelector=metadata.namespace%3D${b.namespace}`));
      expect(names(body)).toEqual(["only-here"]);
    },
  },
  {
    name: "metadata alone",
    async run(b) {
      await b.configMap("a", { data: { k: "v" } });
      const body = await b.must(b.get(b.core("configmaps/a"), { accept: metadataAccept }));
      expect([body.kind, body.apiVersion, body.metadata.name, body.data]).toEqual([
        "PartialObjectMetadata",
        "meta.k8s.io/v1",
        "a",
        undefined,
      ]);
      const list = await b.must(b.get(cms(b), { accept: metadataAccept.replace("Metadata;", "MetadataList;") }));
      expect([list.kind, list.items.every((item: Json) => item.data === undefined)]).toEqual(["PartialObjectMetadataList", true]);
    },
  },
  {
    name: "a table has columns and rows",
    async run(b) {
      await b.configMap("a", { data: { k: "v", l: "w" } });
      const body = await b.must(b.get(cms(b, "fieldSelector=metadata.name%3Da"), { accept: tableAccept }));
      expect([body.kind, body.columnDefinitions.map((c: Json) => c.name)]).toEqual(["Table", ["Name", "Data", "Age"]]);
      expect(body.rows[0].cells.slice(0, 2)).toEqual(["a", "2"].map((cell, index) => (index === 1 ? expect.anything() : cell)));
      expect(String(body.rows[0].cells[1])).toBe("2");
      expect([body.rows[0].object.kind, body.rows[0].object.metadata.name]).toEqual(["PartialObjectMetadata", "a"]);
    },
  },
  {
    name: "a table's rows may leave the object out",
    async run(b) {
      await b.configMap("a");
      const body = await b.must(b.get(cms(b, "includeObject=None"), { accept: tableAccept }));
      expect(body.rows[0].object ?? null).toBeNull();
    },
  },
  ...(
    [
      ["pods", "/api/v1", "Name Ready Status Restarts Age IP Node Nominated Node Readiness Gates"],
      ["services", "/api/v1", "Name Type Cluster-IP External-IP Port(s) Age Selector"],
      ["secrets", "/api/v1", "Name Type Data Age"],
      ["serviceaccounts", "/api/v1", "Name Secrets Age"],
      ["events", "/api/v1", "Last Seen Type Reason Object Subobject Source Message First Seen Count Name"],
      ["persistentvolumeclaims", "/api/v1", "Name Status Volume Capacity Access Modes StorageClass VolumeAttributesClass Age VolumeMode"],
      ["deployments", "/apis/apps/v1", "Name Ready Up-to-date Available Age Containers Images Selector"],
      ["replicasets", "/apis/apps/v1", "Name Desired Current Ready Age Containers Images Selector"],
      ["statefulsets", "/apis/apps/v1", "Name Ready Age Containers Images"],
      ["daemonsets", "/apis/apps/v1", "Name Desired Current Ready Up-to-date Available Node Selector Age Containers Images Selector"],
      ["jobs", "/apis/batch/v1", "Name Status Completions Duration Age Containers Images Selector"],
      ["poddisruptionbudgets", "/apis/policy/v1", "Name Min Available Max Unavailable Allowed Disruptions Age"],
      ["leases", "/apis/coordination.k8s.io/v1", "Name Holder Age"],
    ] as const
  ).map(
    ([plural, group, wanted]): Case => ({
      name: `the columns of ${plural}`,
      async run(b) {
        const body = await b.must(b.get(`${group}/namespaces/${b.namespace}/${plural}`, { accept: tableAccept }));
        expect(body.columnDefinitions.map((c: Json) => c.name).join(" ")).toBe(wanted);
      },
    }),
  ),
];
