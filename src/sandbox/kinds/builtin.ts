/** Kubernetes' own resources that the sandbox serves, as one table. */
import { type Kind, resourceName } from "../../kube/kind.ts";
import type { KubeObject } from "../../kube/types.ts";
import { builtinType } from "../schema/builtin.ts";
import { autoscalerFromV1, autoscalerToV1 } from "./autoscaler-shapes.ts";
import { builtinColumns } from "./builtin-columns.ts";
import type { Columns } from "./columns.ts";
import { eventFromCore, eventToCore } from "./event-shapes.ts";
import { allVerbs, type Resource, type Rules, type Version } from "./resource.ts";
import { coreRules } from "./rules/core.ts";
import { definitionRules } from "./rules/definitions.ts";
import { otherRules } from "./rules/others.ts";
import { podRules } from "./rules/pods.ts";
import { workloadRules } from "./rules/workloads.ts";

/**
 * Group/version, then a line a resource: plural, Kind, short names or "-", flags: N namespaced, S status, R scale by spec.replicas,
 * A in "all", X in "api-extensions"; then its other subresources. The group's name in type names, where it differs, follows the version.
 */
const table = `
v1 core
pods Pod po NSA attach,binding,ephemeralcontainers,eviction,exec,log,portforward,proxy,resize
namespaces Namespace ns S finalize
nodes Node no S proxy
configmaps ConfigMap cm N
secrets Secret - N
services Service svc NSA proxy
serviceaccounts ServiceAccount sa N token
endpoints Endpoints ep N
events Event ev N
persistentvolumeclaims PersistentVolumeClaim pvc NS
persistentvolumes PersistentVolume pv S
replicationcontrollers ReplicationController rc NSRA
limitranges LimitRange limits N
resourcequotas ResourceQuota quota NS
podtemplates PodTemplate - N
apps/v1 apps
deployments Deployment deploy NSRA
replicasets ReplicaSet rs NSRA
statefulsets StatefulSet sts NSRA
daemonsets DaemonSet ds NSA
controllerrevisions ControllerRevision - N
events.k8s.io/v1 events
events Event ev N
autoscaling/v2 autoscaling
horizontalpodautoscalers HorizontalPodAutoscaler hpa NSA
batch/v1 batch
jobs Job - NSA
cronjobs CronJob cj NSA
networking.k8s.io/v1 networking
ingresses Ingress ing NS
ingressclasses IngressClass - -
networkpolicies NetworkPolicy netpol N
policy/v1 policy
poddisruptionbudgets PodDisruptionBudget pdb NS
rbac.authorization.k8s.io/v1 rbac
clusterroles ClusterRole - -
clusterrolebindings ClusterRoleBinding - -
roles Role - N
rolebindings RoleBinding - N
storage.k8s.io/v1 storage
storageclasses StorageClass sc -
admissionregistration.k8s.io/v1 admissionregistration
mutatingwebhookconfigurations MutatingWebhookConfiguration - X
validatingwebhookconfigurations ValidatingWebhookConfiguration - X
apiextensions.k8s.io/v1 apiextensions
customresourcedefinitions CustomResourceDefinition crd,crds SX
scheduling.k8s.io/v1 scheduling
priorityclasses PriorityClass pc -
coordination.k8s.io/v1 coordination
leases Lease - N
node.k8s.io/v1 node
runtimeclasses RuntimeClass - -
discovery.k8s.io/v1 discovery
endpointslices EndpointSlice - N
`;

const ruleSets: Readonly<Record<string, Rules>> = {
  ...coreRules,
  ...workloadRules,
  ...otherRules,
  pods: podRules,
  "customresourcedefinitions.apiextensions.k8s.io": definitionRules,
};

const singulars: Readonly<Record<string, string>> = { endpoints: "endpoints" };

export function builtinResources(): readonly Resource[] {
  const resources: Resource[] = [];
  let group = "";
  let version = "";
  let types = "";
  for (const line of table.trim().split("\n")) {
    const parts = line.split(" ");
    if (parts.length === 2) {
      const [groupVersion = "", typeGroup = ""] = parts;
      const slash = groupVersion.indexOf("/");
      group = slash < 0 ? "" : groupVersion.slice(0, slash);
      version = slash < 0 ? groupVersion : groupVersion.slice(slash + 1);
      types = typeGroup;
    } else resources.push(resourceOf(group, version, types, parts));
  }
  return resources;
}

function resourceOf(group: string, version: string, types: string, parts: readonly string[]): Resource {
  const [plural = "", kindName = "", shortNames = "-", flags = "", subresources = ""] = parts;
  const kind: Kind<KubeObject> = { group, version, kind: kindName, plural, namespaced: flags.includes("N") };
  const id = resourceName(kind);
  const isNewEvent = id === "events.events.k8s.io";
  return {
    kind,
    storage: isNewEvent ? "events" : id,
    listKind: `${kindName}List`,
    singular: singulars[plural] ?? kindName.toLowerCase(),
    shortNames: shortNames === "-" ? [] : shortNames.split(","),
    categories: flags.includes("A") ? ["all"] : flags.includes("X") ? ["api-extensions"] : [],
    versions: [
      {
        name: version,
        schema: builtinType(`${types}.${version}.${kindName}`),
        columns: builtinColumns(id),
        status: flags.includes("S"),
        ...(flags.includes("R") ? { scale: builtinScale } : {}),
        ...(isNewEvent ? { fromStorage: eventFromCore, toStorage: eventToCore } : {}),
      },
      ...(id === "horizontalpodautoscalers.autoscaling" ? [autoscalerV1(builtinColumns(id))] : []),
    ],
    subresources: subresources === "" ? [] : subresources.split(","),
    verbs: plural === "namespaces" ? allVerbs.filter((verb) => verb !== "deletecollection") : allVerbs,
    rules: ruleSets[id] ?? {},
  };
}

/** Kubectl still makes them in their first version. */
function autoscalerV1(columns: Columns): Version {
  const schema = builtinType("autoscaling.v1.HorizontalPodAutoscaler");
  return { name: "v1", schema, columns, status: true, fromStorage: autoscalerToV1, toStorage: autoscalerFromV1 };
}

const builtinScale = { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas", labelSelectorPath: ".spec.selector" };
