import { expect, test } from "bun:test";
import type { Container, Pod } from "../../kube/types.ts";
import { updateOperation } from "./operation.ts";
import { podWith } from "./testing/town.ts";

const main = (resources: Container["resources"], more: Partial<Container> = {}): Container => ({
  name: "main",
  image: "nginx:v1",
  resources,
  ...more,
});
const policy = (resourceName: string, restartPolicy: string) => ({ resizePolicy: [{ resourceName, restartPolicy }] });
const of = (...containers: Container[]): Pod => podWith("web-0", { containers });
const small = { requests: { cpu: "1", memory: "1Gi" } };

test.each<[string, Pod, Pod, string | undefined]>([
  ["nothing", of(main(small)), of(main(small)), undefined],
  ["the key order", of(main({ requests: { cpu: "1", memory: "1Gi" } })), of(main({ requests: { memory: "1Gi", cpu: "1" } })), undefined],
  ["cpu", of(main(small)), of(main({ requests: { cpu: "3", memory: "1Gi" } })), "RESIZE"],
  [
    "memory, with an explicit NotRequired",
    of(main(small, policy("memory", "NotRequired"))),
    of(main({ requests: { cpu: "1", memory: "2Gi" } }, policy("memory", "NotRequired"))),
    "RESIZE",
  ],
  ["an empty policy", of(main(small, policy("cpu", ""))), of(main({ requests: { cpu: "3", memory: "1Gi" } }, policy("cpu", ""))), "RESIZE"],
  ["a limit that is new", of(main(small)), of(main({ ...small, limits: { cpu: "5" } })), "RESIZE"],
  [
    "cpu that restarts",
    of(main(small, policy("cpu", "RestartContainer"))),
    of(main({ requests: { cpu: "3", memory: "1Gi" } }, policy("cpu", "RestartContainer"))),
    "UPDATE",
  ],
  [
    "a restart policy of what did not change",
    of(main(small, policy("memory", "RestartContainer"))),
    of(main({ requests: { cpu: "3", memory: "1Gi" } }, policy("memory", "RestartContainer"))),
    "RESIZE",
  ],
  ["the same amount in other words", of(main(small)), of(main({ requests: { cpu: "1000m", memory: "1024Mi" } })), "RESIZE"],
  ["22: another quality of service", of(main(small)), of(main({ ...small, limits: small.requests })), "UPDATE"],
  ["22: another resource", of(main(small)), of(main({ requests: { ...small.requests, "ephemeral-storage": "1Gi" } })), "UPDATE"],
  ["22: the image as well", of(main(small)), of(main({ requests: { cpu: "3", memory: "1Gi" } }, { image: "nginx:v2" })), "UPDATE"],
  ["a changed policy", of(main(small)), of(main({ requests: { cpu: "3", memory: "1Gi" } }, policy("cpu", "NotRequired"))), "UPDATE"],
  ["a container more", of(main(small)), of(main(small), { name: "b" }), "UPDATE"],
  [
    "resources of an init container",
    { ...of(main(small)), spec: { ...of(main(small)).spec, initContainers: [main(small)] } },
    { ...of(main(small)), spec: { ...of(main(small)).spec, initContainers: [main({})] } },
    "UPDATE",
  ],
  [
    "resources of the pod",
    of(main(small)),
    { ...of(main(small)), spec: { ...of(main(small)).spec, resources: { requests: { cpu: "9" } } } },
    "UPDATE",
  ],
  [
    "a scheduling gate that is lifted",
    { ...of(main(small)), spec: { ...of(main(small)).spec, schedulingGates: [{ name: "x" }] } },
    of(main(small)),
    "UPDATE",
  ],
  ["a label", of(main(small)), podWith("web-0", { containers: [main(small)], labels: { app: "web", b: "c" } }), undefined],
  [
    "the unavailable label",
    of(main(small)),
    podWith("web-0", { containers: [main(small)], labels: { "unavailable-pod.kruise.io/x": "" } }),
    "UPDATE",
  ],
  [
    "the unavailable label, and resources",
    of(main(small)),
    podWith("web-0", { containers: [main({ requests: { cpu: "3", memory: "1Gi" } })], labels: { "unavailable-pod.kruise.io/x": "" } }),
    "UPDATE",
  ],
  [
    "a second unavailable label",
    podWith("web-0", { labels: { "unavailable-pod.kruise.io/x": "" } }),
    podWith("web-0", { labels: { "unavailable-pod.kruise.io/x": "", "unavailable-pod.kruise.io/y": "" } }),
    undefined,
  ],
  [
    "a static pod",
    podWith("web-0", { containers: [main(small)], annotations: { "kubernetes.io/config.source": "file" } }),
    podWith("web-0", {
      containers: [main({ requests: { cpu: "3", memory: "1Gi" } })],
      annotations: { "kubernetes.io/config.source": "file" },
    }),
    "UPDATE",
  ],
  [
    "one from the API",
    podWith("web-0", { containers: [main(small)], annotations: { "kubernetes.io/config.source": "api" } }),
    podWith("web-0", {
      containers: [main({ requests: { cpu: "3", memory: "1Gi" } })],
      annotations: { "kubernetes.io/config.source": "api" },
    }),
    "RESIZE",
  ],
])("%s", (_, before, after, expected) => {
  expect(updateOperation(before, after)).toBe(expected as "UPDATE");
});
