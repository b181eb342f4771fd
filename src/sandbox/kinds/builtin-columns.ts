/** The columns of Kubernetes' own kinds, as its API server prints them. */
import { type Fields, fieldsOf, itemsOf, textOf } from "../../kube/json.ts";
import { selectorText } from "../../kube/selector.ts";
import { parseTime } from "../../kube/time.ts";
import type { LabelSelector } from "../../kube/types.ts";
import type { Stored } from "../storage/store.ts";
import { age, type Columns, column, humanDuration, plainColumns } from "./columns.ts";
import { podColumns } from "./pod-columns.ts";

type Cells = (object: Stored, nowMs: number) => readonly unknown[];

/** @param text columns, separated by "|" */
function columns(text: string, cells: Cells): Columns {
  return { definitions: text.split("|").map((part) => column(part)), cells };
}

const ageOf = (object: Stored, nowMs: number): string => age(object.metadata.creationTimestamp, nowMs);
const spec = (object: Stored): Fields => fieldsOf(object["spec"]);
const status = (object: Stored): Fields => fieldsOf(object["status"]);
const count = (value: unknown): number => (typeof value === "number" ? value : 0);
const name = (object: Stored): string => object.metadata.name;
const or = (value: unknown, otherwise: string): string => (textOf(value) === "" ? otherwise : textOf(value));

const containersOf = (template: unknown): readonly Fields[] => itemsOf(fieldsOf(fieldsOf(template)["spec"])["containers"]).map(fieldsOf);
const containerNames = (template: unknown): string =>
  containersOf(template)
    .map((container) => textOf(container["name"]))
    .join(",");
const images = (template: unknown): string =>
  containersOf(template)
    .map((container) => textOf(container["image"]))
    .join(",");
const selector = (value: unknown): string => selectorText(value as LabelSelector) || "<none>";
const labelText = (labels: unknown): string =>
  Object.entries(fieldsOf(labels))
    .map(([key, value]) => `${key}=${value}`)
    .join(",") || "<none>";

const templated = "|Containers:string::1|Images:string::1|Selector:string::1";
const templateCells = (object: Stored): readonly unknown[] => [
  containerNames(spec(object)["template"]),
  images(spec(object)["template"]),
  selector(spec(object)["selector"]),
];

const accessModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const modesText = (modes: unknown): string =>
  itemsOf(modes)
    .map((mode) => accessModes[textOf(mode)] ?? textOf(mode))
    .join(",");

const nodeRolePrefix = "node-role.kubernetes.io/";

function nodeCells(object: Stored, nowMs: number): readonly unknown[] {
  const ready = itemsOf(status(object)["conditions"])
    .map(fieldsOf)
    .find((condition) => condition["type"] === "Ready");
  const states = [ready === undefined ? "Unknown" : ready["status"] === "True" ? "Ready" : "NotReady"];
  if (spec(object)["unschedulable"] === true) states.push("SchedulingDisabled");
  const roles = Object.keys(object.metadata.labels ?? {})
    .filter((label) => label.startsWith(nodeRolePrefix))
    .map((label) => label.slice(nodeRolePrefix.length));
  const addresses = itemsOf(status(object)["addresses"]).map(fieldsOf);
  const address = (type: string) => or(addresses.find((entry) => entry["type"] === type)?.["address"], "<none>");
  const info = fieldsOf(status(object)["nodeInfo"]);
  return [
    name(object),
    states.join(","),
    roles.sort().join(",") || "<none>",
    ageOf(object, nowMs),
    textOf(info["kubeletVersion"]),
    address("InternalIP"),
    address("ExternalIP"),
    or(info["osImage"], "<unknown>"),
    or(info["kernelVersion"], "<unknown>"),
    or(info["containerRuntimeVersion"], "<unknown>"),
  ];
}

function serviceCells(object: Stored, nowMs: number): readonly unknown[] {
  const { type, clusterIP, externalIPs, ports } = spec(object);
  const portTexts = itemsOf(ports)
    .map(fieldsOf)
    .map((port) => `${port["port"]}${count(port["nodePort"]) > 0 ? `:${port["nodePort"]}` : ""}/${or(port["protocol"], "TCP")}`);
  const external = itemsOf(externalIPs).map(textOf).join(",");
  return [
    name(object),
    textOf(type),
    or(clusterIP, "<none>"),
    external || (type === "LoadBalancer" ? "<pending>" : "<none>"),
    portTexts.join(",") || "<none>",
    ageOf(object, nowMs),
    labelText(spec(object)["selector"]),
  ];
}

function jobCells(object: Stored, nowMs: number): readonly unknown[] {
  const { completions, parallelism } = spec(object);
  const { startTime, completionTime, succeeded, conditions } = status(object);
  const wanted = completions ?? (count(parallelism) > 1 ? `1 of ${parallelism}` : 1);
  const startMs = parseTime(textOf(startTime));
  const endMs = parseTime(textOf(completionTime));
  const holds = (type: string) =>
    itemsOf(conditions)
      .map(fieldsOf)
      .some((entry) => entry["type"] === type && entry["status"] === "True");
  const state = holds("Complete")
    ? "Complete"
    : holds("Failed")
      ? "Failed"
      : object.metadata.deletionTimestamp !== undefined
        ? "Terminating"
        : holds("Suspended")
          ? "Suspended"
          : holds("FailureTarget")
            ? "FailureTarget"
            : "Running";
  const duration = startMs === undefined ? "" : humanDuration((endMs ?? nowMs) - startMs);
  return [name(object), state, `${count(succeeded)}/${wanted}`, duration, ageOf(object, nowMs), ...templateCells(object)];
}

function eventCells(object: Stored, nowMs: number): readonly unknown[] {
  const involved = fieldsOf(object["involvedObject"] ?? object["regarding"]);
  const series = fieldsOf(object["series"]);
  const first = or(object["firstTimestamp"] ?? object["deprecatedFirstTimestamp"], textOf(object["eventTime"]));
  const last = or(series["lastObservedTime"], or(object["lastTimestamp"] ?? object["deprecatedLastTimestamp"], first));
  const source = fieldsOf(object["source"] ?? object["deprecatedSource"]);
  const component = or(object["reportingComponent"] ?? object["reportingController"], textOf(source["component"]));
  const host = or(object["reportingInstance"], textOf(source["host"]));
  return [
    age(last, nowMs),
    textOf(object["type"]),
    textOf(object["reason"]),
    `${textOf(involved["kind"]).toLowerCase()}/${textOf(involved["name"])}`,
    textOf(involved["fieldPath"]),
    host === "" ? component : `${component}, ${host}`,
    (textOf(object["message"]) || textOf(object["note"])).trim(),
    age(first, nowMs),
    String(count(series["count"]) || count(object["count"]) || 1),
    name(object),
  ];
}

function bindingCells(object: Stored, nowMs: number): readonly unknown[] {
  const role = fieldsOf(object["roleRef"]);
  const subjects = itemsOf(object["subjects"]).map(fieldsOf);
  const named = (kind: string) => subjects.filter((subject) => subject["kind"] === kind);
  return [
    name(object),
    `${textOf(role["kind"])}/${textOf(role["name"])}`,
    ageOf(object, nowMs),
    named("User")
      .map((subject) => textOf(subject["name"]))
      .join(", "),
    named("Group")
      .map((subject) => textOf(subject["name"]))
      .join(", "),
    named("ServiceAccount")
      .map((subject) => `${textOf(subject["namespace"])}/${textOf(subject["name"])}`)
      .join(", "),
  ];
}

const replicaColumns = `Name:string:name|Desired:integer|Current:integer|Ready:integer|Age${templated}`;
const replicaCells: Cells = (object, nowMs) => [
  name(object),
  count(spec(object)["replicas"]),
  count(status(object)["replicas"]),
  count(status(object)["readyReplicas"]),
  ageOf(object, nowMs),
  ...templateCells(object),
];
const webhookColumns = columns("Name:string:name|Webhooks:integer|Age", (object, nowMs) => [
  name(object),
  itemsOf(object["webhooks"]).length,
  ageOf(object, nowMs),
]);
const eventColumns = columns(
  "Last Seen|Type|Reason|Object|Subobject:string::1|Source:string::1|Message|First Seen:string::1|Count:string::1|Name:string:name:1",
  eventCells,
);
const bindingColumns = columns("Name:string:name|Role|Age|Users:string::1|Groups:string::1|ServiceAccounts:string::1", bindingCells);

const byResource: Readonly<Record<string, Columns>> = {
  pods: podColumns,
  nodes: columns(
    "Name:string:name|Status|Roles|Age|Version|Internal-IP:string::1|External-IP:string::1|OS-Image:string::1|Kernel-Version:string::1|Container-Runtime:string::1",
    nodeCells,
  ),
  namespaces: columns("Name:string:name|Status|Age", (object, nowMs) => [
    name(object),
    textOf(status(object)["phase"]),
    ageOf(object, nowMs),
  ]),
  configmaps: columns("Name:string:name|Data|Age", (object, nowMs) => [
    name(object),
    String(Object.keys(fieldsOf(object["data"])).length + Object.keys(fieldsOf(object["binaryData"])).length),
    ageOf(object, nowMs),
  ]),
  secrets: columns("Name:string:name|Type|Data|Age", (object, nowMs) => [
    name(object),
    textOf(object["type"]),
    String(Object.keys(fieldsOf(object["data"])).length),
    ageOf(object, nowMs),
  ]),
  serviceaccounts: columns("Name:string:name|Secrets|Age", (object, nowMs) => [
    name(object),
    String(itemsOf(object["secrets"]).length),
    ageOf(object, nowMs),
  ]),
  services: columns("Name:string:name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector:string::1", serviceCells),
  events: eventColumns,
  "events.events.k8s.io": eventColumns,
  persistentvolumeclaims: columns(
    "Name:string:name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode:string::1",
    (object, nowMs) => [
      name(object),
      object.metadata.deletionTimestamp === undefined ? textOf(status(object)["phase"]) : "Terminating",
      textOf(spec(object)["volumeName"]),
      textOf(fieldsOf(status(object)["capacity"])["storage"]),
      modesText(status(object)["accessModes"]),
      textOf(spec(object)["storageClassName"]),
      or(spec(object)["volumeAttributesClassName"], "<unset>"),
      ageOf(object, nowMs),
      or(spec(object)["volumeMode"], "<unset>"),
    ],
  ),
  persistentvolumes: columns(
    "Name:string:name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|VolumeMode:string::1",
    (object, nowMs) => {
      const claim = fieldsOf(spec(object)["claimRef"]);
      return [
        name(object),
        textOf(fieldsOf(spec(object)["capacity"])["storage"]),
        modesText(spec(object)["accessModes"]),
        textOf(spec(object)["persistentVolumeReclaimPolicy"]),
        textOf(status(object)["phase"]),
        textOf(claim["name"]) === "" ? "" : `${textOf(claim["namespace"])}/${textOf(claim["name"])}`,
        textOf(spec(object)["storageClassName"]),
        or(spec(object)["volumeAttributesClassName"], "<unset>"),
        textOf(status(object)["reason"]),
        ageOf(object, nowMs),
        or(spec(object)["volumeMode"], "<unset>"),
      ];
    },
  ),
  replicationcontrollers: columns(replicaColumns, (object, nowMs) => [
    ...replicaCells(object, nowMs).slice(0, -1),
    labelText(spec(object)["selector"]),
  ]),
  "replicasets.apps": columns(replicaColumns, replicaCells),
  "deployments.apps": columns(`Name:string:name|Ready|Up-to-date|Available|Age${templated}`, (object, nowMs) => [
    name(object),
    `${count(status(object)["readyReplicas"])}/${count(spec(object)["replicas"])}`,
    String(count(status(object)["updatedReplicas"])),
    String(count(status(object)["availableReplicas"])),
    ageOf(object, nowMs),
    ...templateCells(object),
  ]),
  "statefulsets.apps": columns("Name:string:name|Ready|Age|Containers:string::1|Images:string::1", (object, nowMs) => [
    name(object),
    `${count(status(object)["readyReplicas"])}/${count(spec(object)["replicas"])}`,
    ageOf(object, nowMs),
    ...templateCells(object).slice(0, 2),
  ]),
  "daemonsets.apps": columns(
    `Name:string:name|Desired:integer|Current:integer|Ready:integer|Up-to-date:integer|Available:integer|Node Selector|Age${templated}`,
    (object, nowMs) => [
      name(object),
      ...["desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable"].map((field) =>
        count(status(object)[field]),
      ),
      labelText(fieldsOf(fieldsOf(spec(object)["template"])["spec"])["nodeSelector"]),
      ageOf(object, nowMs),
      ...templateCells(object),
    ],
  ),
  "controllerrevisions.apps": columns("Name:string:name|Controller|Revision|Age", (object, nowMs) => {
    const owner = object.metadata.ownerReferences?.find((reference) => reference.controller === true);
    const group = owner?.apiVersion.includes("/") === true ? `.${owner.apiVersion.split("/")[0]}` : "";
    return [
      name(object),
      owner === undefined ? "<none>" : `${owner.kind.toLowerCase()}${group}/${owner.name}`,
      String(object["revision"]),
      ageOf(object, nowMs),
    ];
  }),
  "jobs.batch": columns(`Name:string:name|Status|Completions|Duration|Age${templated}`, jobCells),
  "cronjobs.batch": columns(
    `Name:string:name|Schedule|Timezone|Suspend:boolean|Active:integer|Last Schedule|Age${templated}`,
    (object, nowMs) => {
      const template = fieldsOf(fieldsOf(spec(object)["jobTemplate"])["spec"])["template"];
      const last = textOf(status(object)["lastScheduleTime"]);
      return [
        name(object),
        textOf(spec(object)["schedule"]),
        or(spec(object)["timeZone"], "<none>"),
        spec(object)["suspend"] === true,
        itemsOf(status(object)["active"]).length,
        last === "" ? "<none>" : age(last, nowMs),
        ageOf(object, nowMs),
        containerNames(template),
        images(template),
        "<none>",
      ];
    },
  ),
  "poddisruptionbudgets.policy": columns(
    "Name:string:name|Min Available|Max Unavailable|Allowed Disruptions:integer|Age",
    (object, nowMs) => [
      name(object),
      String(spec(object)["minAvailable"] ?? "N/A"),
      String(spec(object)["maxUnavailable"] ?? "N/A"),
      count(status(object)["disruptionsAllowed"]),
      ageOf(object, nowMs),
    ],
  ),
  "leases.coordination.k8s.io": columns("Name:string:name|Holder|Age", (object, nowMs) => [
    name(object),
    textOf(spec(object)["holderIdentity"]),
    ageOf(object, nowMs),
  ]),
  "priorityclasses.scheduling.k8s.io": columns(
    "Name:string:name|Value:integer|Global-Default:boolean|Age|PreemptionPolicy",
    (object, nowMs) => [
      name(object),
      count(object["value"]),
      object["globalDefault"] === true,
      ageOf(object, nowMs),
      or(object["preemptionPolicy"], "PreemptLowerPriority"),
    ],
  ),
  "storageclasses.storage.k8s.io": columns(
    "Name:string:name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age",
    (object, nowMs) => [
      object.metadata.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true" ? `${name(object)} (default)` : name(object),
      textOf(object["provisioner"]),
      or(object["reclaimPolicy"], "Delete"),
      or(object["volumeBindingMode"], "Immediate"),
      String(object["allowVolumeExpansion"] === true),
      ageOf(object, nowMs),
    ],
  ),
  "mutatingwebhookconfigurations.admissionregistration.k8s.io": webhookColumns,
  "validatingwebhookconfigurations.admissionregistration.k8s.io": webhookColumns,
  "clusterrolebindings.rbac.authorization.k8s.io": bindingColumns,
  "rolebindings.rbac.authorization.k8s.io": bindingColumns,
  resourcequotas: columns("Name:string:name|Request|Limit|Age", (object, nowMs) => {
    const { hard, used } = status(object);
    const shown = (limits: boolean) =>
      Object.keys(fieldsOf(hard))
        .sort()
        .filter((key) => key.startsWith("limits") === limits)
        .map((key) => `${key}: ${fieldsOf(used)[key]}/${fieldsOf(hard)[key]}`)
        .join(", ");
    return [name(object), shown(false), shown(true), ageOf(object, nowMs)];
  }),
  "endpointslices.discovery.k8s.io": columns("Name:string:name|AddressType|Ports|Endpoints|Age", (object, nowMs) => [
    name(object),
    textOf(object["addressType"]),
    itemsOf(object["ports"])
      .map((port) => String(fieldsOf(port)["port"] ?? "*"))
      .join(",") || "<unset>",
    itemsOf(object["endpoints"])
      .flatMap((endpoint) => itemsOf(fieldsOf(endpoint)["addresses"]))
      .slice(0, 3)
      .join(",") || "<unset>",
    ageOf(object, nowMs),
  ]),
  "horizontalpodautoscalers.autoscaling": columns("Name:string:name|Reference|Targets|MinPods|MaxPods|Replicas|Age", (object, nowMs) => {
    const target = fieldsOf(spec(object)["scaleTargetRef"]);
    return [
      name(object),
      `${textOf(target["kind"])}/${textOf(target["name"])}`,
      "<unknown>",
      String(spec(object)["minReplicas"] ?? "<unset>"),
      String(spec(object)["maxReplicas"]),
      String(count(status(object)["currentReplicas"])),
      ageOf(object, nowMs),
    ];
  }),
  "networkpolicies.networking.k8s.io": columns("Name:string:name|Pod-Selector|Age", (object, nowMs) => [
    name(object),
    selector(spec(object)["podSelector"]),
    ageOf(object, nowMs),
  ]),
  "ingresses.networking.k8s.io": columns("Name:string:name|Class|Hosts|Address|Ports|Age", (object, nowMs) => [
    name(object),
    or(spec(object)["ingressClassName"], "<none>"),
    itemsOf(spec(object)["rules"])
      .map((rule) => or(fieldsOf(rule)["host"], "*"))
      .join(",") || "*",
    "",
    itemsOf(spec(object)["tls"]).length > 0 ? "80, 443" : "80",
    ageOf(object, nowMs),
  ]),
  "ingressclasses.networking.k8s.io": columns("Name:string:name|Controller|Parameters|Age", (object, nowMs) => [
    name(object),
    textOf(spec(object)["controller"]),
    "<none>",
    ageOf(object, nowMs),
  ]),
};

/** @param resource "pods", "deployments.apps" */
export function builtinColumns(resource: string): Columns {
  return byResource[resource] ?? plainColumns;
}
