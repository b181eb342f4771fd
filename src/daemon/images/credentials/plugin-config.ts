/** The kubelet's CredentialProviderConfig: which plugins there are, and for which images. */

import { fieldsOf, isFields, itemsOf, textOf } from "../../../kube/json.ts";
import { parseDuration } from "../../../kube/time.ts";

export interface PluginConfig {
  /** Of the binary in the plugin directory. */
  readonly name: string;
  readonly matchImages: readonly string[];
  readonly defaultCacheMs: number;
  /** The version of the protocol: "credentialprovider.kubelet.k8s.io/v1". */
  readonly apiVersion: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

export type ParsedPlugins =
  | { readonly ok: true; readonly plugins: readonly PluginConfig[] }
  | { readonly ok: false; readonly problem: string };

const configGroup = "kubelet.config.k8s.io";
const protocolGroup = "credentialprovider.kubelet.k8s.io";
const versions = ["v1", "v1beta1", "v1alpha1"];
const isVersionOf = (group: string, apiVersion: string) => versions.some((version) => apiVersion === `${group}/${version}`);

/** @param config as parsed from YAML or JSON */
export function parsePluginConfig(config: unknown): ParsedPlugins {
  if (!isFields(config)) return { ok: false, problem: "it is not an object" };
  if (config["kind"] !== "CredentialProviderConfig" || !isVersionOf(configGroup, textOf(config["apiVersion"])))
    return { ok: false, problem: `want kind CredentialProviderConfig of apiVersion ${configGroup}/v1` };
  const plugins: PluginConfig[] = [];
  for (const [index, item] of itemsOf(config["providers"]).entries()) {
    const plugin = pluginOf(fieldsOf(item));
    if (typeof plugin === "string") return { ok: false, problem: `providers[${index}].${plugin}` };
    if (plugins.some(({ name }) => name === plugin.name))
      return { ok: false, problem: `providers[${index}].name: ${plugin.name} is there twice` };
    plugins.push(plugin);
  }
  return { ok: true, plugins };
}

function pluginOf(fields: Readonly<Record<string, unknown>>): PluginConfig | string {
  const name = textOf(fields["name"]);
  // It becomes a path: it must stay in the plugin directory.
  if (name === "" || name === "." || name === ".." || /[\s/\\]/.test(name)) return "name: want the name of a file in the plugin directory";
  const matchImages = itemsOf(fields["matchImages"]).map(textOf);
  if (matchImages.length === 0 || matchImages.includes("")) return "matchImages: want at least one pattern such as *.example.com";
  const defaultCacheMs = parseDuration(textOf(fields["defaultCacheDuration"]));
  if (defaultCacheMs === undefined || defaultCacheMs < 0) return "defaultCacheDuration: want a duration such as 10m";
  const apiVersion = textOf(fields["apiVersion"]);
  if (!isVersionOf(protocolGroup, apiVersion)) return `apiVersion: want ${protocolGroup}/v1`;
  const env = itemsOf(fields["env"]).map((item) => ({ name: textOf(fieldsOf(item)["name"]), value: textOf(fieldsOf(item)["value"]) }));
  return { name, matchImages, defaultCacheMs, apiVersion, args: itemsOf(fields["args"]).map(textOf), env };
}
