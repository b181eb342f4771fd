/** What the server serves, in both forms: a document a group version, or all in one. */
import type { Fields } from "../../kube/json.ts";
import type { Resource, Version } from "../kinds/resource.ts";
import type { Registry } from "./registry.ts";

/** Resources that are asked, not stored: group/version, plural, Kind, namespaced. */
export const reviewResources = [
  ["authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false],
  ["authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", false],
  ["authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", true],
  ["authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false],
  ["authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false],
  ["authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false],
  ["", "v1", "bindings", "Binding", true],
] as const;

/** @returns undefined for other paths */
export function discoveryDocument(registry: Registry, path: string, accept: string): Fields | undefined {
  const aggregated = /as=APIGroupDiscoveryList/.test(accept);
  const clean = path.replace(/\/$/, "");
  if (clean === "/api")
    return aggregated ? aggregatedList(registry, true, accept) : { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
  if (clean === "/apis")
    return aggregated
      ? aggregatedList(registry, false, accept)
      : { kind: "APIGroupList", apiVersion: "v1", groups: groupNames(registry).map((group) => groupDocument(registry, group)) };
  const parts = clean.split("/").slice(1);
  if (parts[0] === "api" && parts.length === 2 && parts[1] === "v1") return resourceList(registry, "", "v1");
  if (parts[0] !== "apis") return undefined;
  const [, group = "", version = ""] = parts;
  if (parts.length === 2 && groupNames(registry).includes(group))
    return { kind: "APIGroup", apiVersion: "v1", ...groupDocument(registry, group) };
  if (parts.length === 3 && versionsOf(registry, group).includes(version)) return resourceList(registry, group, version);
  return undefined;
}

function groupNames(registry: Registry): readonly string[] {
  return [...new Set([...registry.groups().keys(), ...reviewResources.map(([group]) => group)])].filter((group) => group !== "");
}

function versionsOf(registry: Registry, group: string): readonly string[] {
  const served = registry.groups().get(group) ?? [];
  const asked = reviewResources.filter((entry) => entry[0] === group).map((entry) => entry[1]);
  return [...new Set([...served, ...asked])];
}

function groupDocument(registry: Registry, group: string): Fields {
  const versions = versionsOf(registry, group).map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

interface Served {
  readonly resource: Resource;
  readonly version: Version;
}

function servedIn(registry: Registry, group: string, version: string): readonly Served[] {
  return registry
    .all()
    .filter(({ kind }) => kind.group === group)
    .flatMap((resource) => resource.versions.filter(({ name }) => name === version).map((found) => ({ resource, version: found })));
}

/** Status and scale of the version, and the resource's own. */
export function subresourcesOf({ resource, version }: Served): readonly string[] {
  return [...resource.subresources, ...(version.scale === undefined ? [] : ["scale"]), ...(version.status ? ["status"] : [])].sort();
}

interface SubresourceFacts {
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

function subresourceFacts(resource: Resource, name: string): SubresourceFacts {
  const changed = ["get", "patch", "update"];
  switch (name) {
    case "scale":
      return { kind: "Scale", group: "autoscaling", version: "v1", verbs: changed };
    case "eviction":
      return { kind: "Eviction", group: "policy", version: "v1", verbs: ["create"] };
    case "binding":
      return { kind: "Binding", verbs: ["create"] };
    case "token":
      return { kind: "TokenRequest", group: "authentication.k8s.io", version: "v1", verbs: ["create"] };
    case "log":
      return { kind: resource.kind.kind, verbs: ["get"] };
    case "finalize":
      return { kind: resource.kind.kind, verbs: ["update"] };
    case "attach":
    case "exec":
    case "portforward":
      return {
        kind: `Pod${name === "portforward" ? "PortForward" : name[0]?.toUpperCase() + name.slice(1)}Options`,
        verbs: ["create", "get"],
      };
    case "proxy":
      return { kind: `${resource.kind.kind}ProxyOptions`, verbs: ["create", "delete", "get", "patch", "update"] };
    default:
      return { kind: resource.kind.kind, verbs: changed };
  }
}

function resourceList(registry: Registry, group: string, version: string): Fields {
  const resources = servedIn(registry, group, version).flatMap((served) => {
    const { resource } = served;
    const { kind } = resource;
    const main = {
      name: kind.plural,
      singularName: resource.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs: resource.verbs,
      ...(resource.shortNames.length > 0 ? { shortNames: resource.shortNames } : {}),
      ...(resource.categories.length > 0 ? { categories: resource.categories } : {}),
    };
    const others = subresourcesOf(served).map((name) => {
      const { kind: subKind, group: subGroup, version: subVersion, verbs } = subresourceFacts(resource, name);
      return {
        name: `${kind.plural}/${name}`,
        singularName: "",
        namespaced: kind.namespaced,
        ...(subGroup === undefined ? {} : { group: subGroup, version: subVersion }),
        kind: subKind,
        verbs,
      };
    });
    return [main, ...others];
  });
  const asked = reviewResources
    .filter(([askedGroup, askedVersion]) => askedGroup === group && askedVersion === version)
    .map(([, , plural, kind, namespaced]) => ({ name: plural, singularName: kind.toLowerCase(), namespaced, kind, verbs: ["create"] }));
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: group === "" ? version : `${group}/${version}`,
    resources: [...resources, ...asked],
  };
}

function aggregatedList(registry: Registry, core: boolean, accept: string): Fields {
  const groups = core ? [""] : groupNames(registry);
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: /v=v2(?!beta)/.test(accept) ? "apidiscovery.k8s.io/v2" : "apidiscovery.k8s.io/v2beta1",
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === "" ? {} : { name: group },
      versions: versionsOf(registry, group).map((version) => ({
        version,
        resources: [
          ...servedIn(registry, group, version).map((served) => aggregatedResource(served)),
          ...aggregatedReviews(group, version),
        ],
        freshness: "Current",
      })),
    })),
  };
}

function aggregatedResource(served: Served): Fields {
  const { resource, version } = served;
  const { kind } = resource;
  const subresources = subresourcesOf(served).map((subresource) => {
    const facts = subresourceFacts(resource, subresource);
    return { subresource, responseKind: { group: facts.group ?? "", version: facts.version ?? "", kind: facts.kind }, verbs: facts.verbs };
  });
  return {
    resource: kind.plural,
    responseKind: { group: kind.group, version: version.name, kind: kind.kind },
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(resource.shortNames.length > 0 ? { shortNames: resource.shortNames } : {}),
    ...(resource.categories.length > 0 ? { categories: resource.categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}

function aggregatedReviews(group: string, version: string): readonly Fields[] {
  return reviewResources
    .filter(([askedGroup, askedVersion]) => askedGroup === group && askedVersion === version)
    .map(([, , plural, kind, namespaced]) => ({
      resource: plural,
      responseKind: { group, version, kind },
      scope: namespaced ? "Namespaced" : "Cluster",
      singularResource: kind.toLowerCase(),
      verbs: ["create"],
    }));
}
