/** What the server serves, in one pass: two requests where it aggregates discovery (1.27 and later), one a group version where not. */
import type { KubeClient } from "./client.ts";
import type { Kind } from "./kind.ts";
import { resourceName } from "./kind.ts";
import type { Failure, Written } from "./outcome.ts";
import { parseServerVersion, type ServerVersion } from "./version.ts";

export interface ServedResource {
  readonly kind: Kind;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  /** "scale", "status" … */
  readonly subresources: readonly string[];
}

/** The served resources at one moment. */
export class Discovery {
  private readonly byName = new Map<string, ServedResource[]>();

  constructor(
    /** In the server's order of preference: for each group its preferred version first. */
    readonly resources: readonly ServedResource[],
    /** Group versions that exist but did not answer ("metrics.k8s.io/v1beta1"): what they serve is not known. */
    readonly silent: readonly string[],
  ) {
    for (const resource of resources) {
      const name = resourceName(resource.kind);
      const versions = this.byName.get(name);
      if (versions) versions.push(resource);
      else this.byName.set(name, [resource]);
    }
  }

  /** Whether "clonesets.apps.kruise.io" is served in any version. */
  serves(resource: string): boolean {
    return this.byName.has(resource);
  }
  /** Whether this very version is. */
  servesVersion(kind: Kind): boolean {
    return this.byName.get(resourceName(kind))?.some((resource) => resource.kind.version === kind.version) ?? false;
  }
  /** The preferred version of "clonesets.apps.kruise.io". */
  resource(name: string): ServedResource | undefined {
    return this.byName.get(name)?.[0];
  }
  /** By the `apiVersion` group and `kind` that objects carry; that version when given and served, else the preferred one. */
  byKind(group: string, kind: string, version?: string): ServedResource | undefined {
    const served = this.resources.filter((resource) => resource.kind.group === group && resource.kind.kind === kind);
    return served.find((resource) => resource.kind.version === version) ?? served[0];
  }
  /** What a person may have typed: "cloneset", "clone", "clonesets.apps.kruise.io", "deploy.apps"; the best match first. */
  lookup(typed: string): readonly ServedResource[] {
    const text = typed.toLowerCase();
    const dot = text.indexOf(".");
    const word = dot < 0 ? text : text.slice(0, dot);
    const group = dot < 0 ? undefined : text.slice(dot + 1);
    return this.resources.filter(({ kind, singular, shortNames }) => {
      if (group !== undefined && kind.group !== group && `${kind.version}.${kind.group}` !== group) return false;
      return kind.plural === word || singular === word || kind.kind.toLowerCase() === word || shortNames.includes(word);
    });
  }
}

export async function discover(client: KubeClient): Promise<Written<Discovery>> {
  const resources: ServedResource[] = [];
  const silent: string[] = [];
  const answers = await Promise.all(["/api", "/apis"].map((path) => client.raw<AnyDiscovery>("GET", path, { accept: aggregatedAccept })));
  for (const [index, answer] of answers.entries()) {
    if (!answer.ok) return answer;
    if (answer.object.kind === "APIGroupDiscoveryList") readAggregated(answer.object, resources, silent);
    else {
      const failure = await readPlain(client, index === 0 ? corePaths(answer.object) : groupPaths(answer.object), resources, silent);
      if (failure) return failure;
    }
  }
  return { ok: true, object: new Discovery(resources, silent) };
}

export interface ServerInfo {
  readonly gitVersion: string;
  readonly version: ServerVersion | undefined;
}

export async function serverInfo(client: KubeClient): Promise<Written<ServerInfo>> {
  const answer = await client.raw<{ gitVersion?: string }>("GET", "/version");
  if (!answer.ok) return answer;
  const gitVersion = answer.object.gitVersion ?? "";
  return { ok: true, object: { gitVersion, version: parseServerVersion(gitVersion) } };
}

const aggregatedAccept = [
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
  "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
  "application/json",
].join(",");

interface AnyDiscovery {
  readonly kind?: string;
  readonly items?: readonly AggregatedGroup[];
  readonly versions?: readonly string[];
  readonly groups?: readonly {
    readonly versions?: readonly { readonly groupVersion: string }[];
    readonly preferredVersion?: { readonly groupVersion: string };
  }[];
}
interface AggregatedGroup {
  readonly metadata?: { readonly name?: string };
  readonly versions?: readonly {
    readonly version: string;
    readonly freshness?: string;
    readonly resources?: readonly AggregatedResource[];
  }[];
}
interface AggregatedResource {
  readonly resource: string;
  readonly responseKind?: { readonly group?: string; readonly version?: string; readonly kind?: string } | null;
  readonly scope?: string;
  readonly singularResource?: string;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly subresources?: readonly { readonly subresource: string }[];
}
interface PlainResource {
  readonly name: string;
  readonly singularName?: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly verbs?: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

function readAggregated(answer: AnyDiscovery, resources: ServedResource[], silent: string[]): void {
  for (const item of answer.items ?? []) {
    const group = item.metadata?.name ?? "";
    for (const { version, freshness, resources: served } of item.versions ?? []) {
      if (freshness === "Stale" && !served?.length) silent.push(group === "" ? version : `${group}/${version}`);
      for (const resource of served ?? []) {
        // Without a kind it only carries subresources.
        if (!resource.responseKind?.kind) continue;
        resources.push({
          kind: { group, version, kind: resource.responseKind.kind, plural: resource.resource, namespaced: resource.scope !== "Cluster" },
          singular: resource.singularResource ?? "",
          shortNames: resource.shortNames ?? [],
          categories: resource.categories ?? [],
          verbs: resource.verbs ?? [],
          subresources: resource.subresources?.map(({ subresource }) => subresource) ?? [],
        });
      }
    }
  }
}

function corePaths(answer: AnyDiscovery): readonly string[] {
  return (answer.versions ?? []).map((version) => `/api/${version}`);
}
function groupPaths(answer: AnyDiscovery): readonly string[] {
  return (answer.groups ?? []).flatMap(({ versions = [], preferredVersion }) => {
    const names = versions.map(({ groupVersion }) => groupVersion);
    const first = preferredVersion?.groupVersion;
    return [...names.filter((name) => name === first), ...names.filter((name) => name !== first)].map((name) => `/apis/${name}`);
  });
}

/** A group version that fails is silent, not fatal: an aggregated API server may be down for months. */
async function readPlain(
  client: KubeClient,
  paths: readonly string[],
  resources: ServedResource[],
  silent: string[],
): Promise<Failure | undefined> {
  const answers = await Promise.all(paths.map((path) => client.raw<{ resources?: readonly PlainResource[] }>("GET", path)));
  for (const [index, answer] of answers.entries()) {
    const path = paths[index] as string;
    const groupVersion = path.replace(/^\/apis?\//, "");
    if (!answer.ok) {
      if (answer.why === "denied") return answer;
      silent.push(groupVersion);
      continue;
    }
    const slash = groupVersion.indexOf("/");
    const group = slash < 0 ? "" : groupVersion.slice(0, slash);
    const version = slash < 0 ? groupVersion : groupVersion.slice(slash + 1);
    const served = answer.object.resources ?? [];
    for (const resource of served) {
      if (resource.name.includes("/")) continue;
      const prefix = `${resource.name}/`;
      resources.push({
        kind: { group, version, kind: resource.kind, plural: resource.name, namespaced: resource.namespaced },
        singular: resource.singularName ?? "",
        shortNames: resource.shortNames ?? [],
        categories: resource.categories ?? [],
        verbs: resource.verbs ?? [],
        subresources: served.filter(({ name }) => name.startsWith(prefix)).map(({ name }) => name.slice(prefix.length)),
      });
    }
  }
  return undefined;
}
