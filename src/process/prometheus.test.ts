import { expect, test } from "bun:test";
import { Registry } from "./prometheus.ts";

test("the text format", async () => {
  const registry = new Registry();
  const requests = registry.counter({ name: "requests_total", help: "Requests,\nby \\ code.", labels: ["code", "path"] });
  requests.of({ code: "200", path: 'a"b\\c\nd' }).add();
  requests.of({ path: 'a"b\\c\nd', code: "200" }).add(2);
  requests.of({ code: "500" }).add();
  registry.gauge({ name: "up", help: "Whether it is." }).of({}).value = -1.5;
  registry.counter({ name: "never_total", help: "Not yet." });
  registry.counter({ name: "labelled_total", help: "Not yet either.", labels: ["x"] });
  const seconds = registry.histogram({ name: "seconds", help: "How long.", labels: ["path"], buckets: [0.1, 1] });
  for (const value of [0.05, 0.1, 0.5, 7]) seconds.of({ path: "/" }).observe(value);
  expect(await registry.text()).toBe(`# HELP requests_total Requests,\\nby \\\\ code.
# TYPE requests_total counter
requests_total{code="200",path="a\\"b\\\\c\\nd"} 3
requests_total{code="500",path=""} 1

# HELP up Whether it is.
# TYPE up gauge
up -1.5

# HELP never_total Not yet.
# TYPE never_total counter
never_total 0

# HELP labelled_total Not yet either.
# TYPE labelled_total counter

# HELP seconds How long.
# TYPE seconds histogram
seconds_bucket{path="/",le="0.1"} 2
seconds_bucket{path="/",le="1"} 3
seconds_bucket{path="/",le="+Inf"} 4
seconds_sum{path="/"} 7.65
seconds_count{path="/"} 4
`);
});

test("labels stand in the order of their names, as Go programs print them", async () => {
  const registry = new Registry();
  const requests = registry.counter({ name: "requests_total", help: "", labels: ["webhook", "code"] });
  requests.of({ webhook: "/mutate-pod", code: "200" }).add();
  expect(await registry.text()).toContain('requests_total{code="200",webhook="/mutate-pod"} 1');
});

test("what costs something to know is asked for when somebody reads", async () => {
  const registry = new Registry();
  const size = registry.gauge({ name: "size", help: "" });
  let reads = 0;
  const cancel = registry.onCollect(() => {
    reads += 1;
    size.of({}).value = reads;
  });
  expect(await registry.text()).toContain("size 1\n");
  expect(await registry.text()).toContain("size 2\n");
  cancel();
  await registry.text();
  expect(reads).toBe(2);
});

test("endless label values end", async () => {
  const registry = new Registry(3);
  const total = registry.counter({ name: "total", help: "", labels: ["who"] });
  for (let index = 0; index < 10; index += 1) total.of({ who: `${index}` }).add();
  total.of({ who: "1" }).add();
  expect((await registry.text()).match(/^total\{.*$/gm)).toEqual(['total{who="0"} 1', 'total{who="1"} 2', 'total{who="2"} 1']);
});
