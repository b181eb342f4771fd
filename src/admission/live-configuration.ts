/**
 * What a live webhook configuration should look like: its remembered template, with what belongs to this manager filled in. Pure.
 * The manager owns `clientConfig` and which entries are there; everything else is the administrator's, as the template has it.
 */
import { deepEqual, fieldsOf, isFields, itemsOf, textOf, withFields } from "../kube/json.ts";
import { type ClientConfig, templateAnnotation, type WebhookConfiguration, type WebhookEntry } from "./configuration.ts";
import { narrowEntry, narrowingOf } from "./narrow-state.ts";

/** How the API server reaches the webhooks: through the Service, or, for a manager outside the cluster, at a host. */
export type Address =
  | { readonly by: "service"; readonly namespace: string; readonly name: string }
  | { readonly by: "url"; readonly host: string; readonly port: number };

export interface Wanted {
  /** Base64. */
  readonly caBundle: string;
  readonly address: Address;
  handles(path: string): boolean;
  /** The template as this process applied it last, if it did: a template that changed since is taken to the letter. */
  readonly appliedTemplate?: string;
}

export type Healed =
  | {
      readonly ok: true;
      /** The same reference: nothing to write. */
      readonly object: WebhookConfiguration;
      readonly template: string;
      /** Left out: nobody handles their path. */
      readonly dropped: readonly { readonly name: string; readonly path: string }[];
    }
  | { readonly ok: false; readonly message: string };

export function heal(live: WebhookConfiguration, wanted: Wanted): Healed {
  const remembered = live.metadata.annotations?.[templateAnnotation] ?? "";
  // What narrowing has put there follows from what exists, and is nobody's wish.
  const template = remembered === "" ? JSON.stringify((live.webhooks ?? []).map((entry) => narrowEntry(entry, undefined))) : remembered;
  const entries = parseTemplate(template);
  if (!entries) {
    const message = `${live.metadata.name}: metadata.annotations[${templateAnnotation}] is not a list of webhooks as JSON; set it to "" to take over the live list`;
    return { ok: false, message };
  }
  const liveByName = new Map((live.webhooks ?? []).map((entry) => [entry.name, entry]));
  const dropped: { name: string; path: string }[] = [];
  const webhooks: WebhookEntry[] = [];
  const toTheLetter = remembered === "" || (wanted.appliedTemplate !== undefined && wanted.appliedTemplate !== template);
  for (const entry of entries) {
    const path = pathOf(entry.clientConfig);
    if (!wanted.handles(path)) dropped.push({ name: entry.name, path });
    else {
      const found = liveByName.get(entry.name);
      const healed = healEntry(narrowEntry(entry, undefined), toTheLetter ? undefined : found, path, wanted);
      webhooks.push(found === undefined ? healed : narrowEntry(healed, narrowingOf(found)));
    }
  }
  const object = withFields(live, {
    metadata:
      remembered === template
        ? live.metadata
        : withFields(live.metadata, { annotations: { ...live.metadata.annotations, [templateAnnotation]: template } }),
    webhooks: sameList(live.webhooks ?? [], webhooks) ? live.webhooks : webhooks,
  });
  return { ok: true, object, template, dropped };
}

function parseTemplate(template: string): WebhookEntry[] | undefined {
  try {
    const entries: unknown = JSON.parse(template);
    return Array.isArray(entries) && entries.every((entry) => isFields(entry) && typeof entry["name"] === "string") ? entries : undefined;
  } catch {
    return undefined;
  }
}

/** "" where the entry says neither a service nor a URL that can be read. */
export function pathOf(config: ClientConfig | undefined): string {
  if (config?.service) return config.service.path ?? "/";
  try {
    return config?.url ? new URL(config.url).pathname : "";
  } catch {
    return "";
  }
}

function healEntry(entry: WebhookEntry, live: WebhookEntry | undefined, path: string, wanted: Wanted): WebhookEntry {
  const healed = withFields(entry, { clientConfig: clientConfigFor(entry.clientConfig, path, wanted) });
  return live ? withNarrowerScope(healed, live) : healed;
}

export function clientConfigFor(
  config: ClientConfig | undefined,
  path: string,
  { address, caBundle }: Pick<Wanted, "address" | "caBundle">,
): ClientConfig {
  if (address.by === "url") {
    const host = address.host.includes(":") ? `[${address.host}]` : address.host;
    return { caBundle, url: `https://${host}:${address.port}${path}` };
  }
  // A URL of the administrator's stays: it leads to where this manager is reached.
  if (!config?.service) return { ...config, caBundle };
  const { namespace, name } = address;
  return { caBundle, service: { ...config.service, namespace, name } };
}

/**
 * Managed clusters narrow the scope of every webhook (AKS keeps its own namespaces out), and put it back when somebody takes it away.
 * A requirement added to a selector only takes requests away from this entry, so it stays: two controllers would fight over it.
 */
function withNarrowerScope(entry: WebhookEntry, live: WebhookEntry): WebhookEntry {
  return withFields(entry, {
    ...("namespaceSelector" in live && { namespaceSelector: narrower(entry["namespaceSelector"], live["namespaceSelector"]) }),
    ...("objectSelector" in live && { objectSelector: narrower(entry["objectSelector"], live["objectSelector"]) }),
  });
}

function narrower(selector: unknown, live: unknown): unknown {
  const wanted = fieldsOf(selector);
  const found = fieldsOf(live);
  const labels = fieldsOf(wanted["matchLabels"]);
  const liveLabels = fieldsOf(found["matchLabels"]);
  const expressions = itemsOf(wanted["matchExpressions"]);
  const liveExpressions = itemsOf(found["matchExpressions"]);
  const holdsLabels = Object.keys(labels).every((key) => liveLabels[key] === labels[key]);
  const holdsExpressions = expressions.every((expression) => liveExpressions.some((other) => deepEqual(expression, other)));
  if (holdsLabels && holdsExpressions) return live;
  const matchLabels = { ...liveLabels, ...labels };
  const added = liveExpressions.filter((other) => !expressions.some((expression) => deepEqual(expression, other)));
  const matchExpressions = [...expressions, ...added];
  return {
    ...(matchExpressions.length > 0 && { matchExpressions }),
    ...(Object.keys(matchLabels).length > 0 && { matchLabels }),
  };
}

/** Equal once the server's defaults are filled in: a template written by hand need not have them. */
function sameList(live: readonly WebhookEntry[], wanted: readonly WebhookEntry[]): boolean {
  return live.length === wanted.length && live.every((entry, index) => deepEqual(withDefaults(entry), withDefaults(wanted[index])));
}

function withDefaults(entry: unknown): unknown {
  const fields = fieldsOf(entry);
  const config = fieldsOf(fields["clientConfig"]);
  const service = config["service"];
  return {
    matchPolicy: "Equivalent",
    timeoutSeconds: 10,
    failurePolicy: "Fail",
    // Of mutating entries; a validating one has no such field, so both sides gain the same.
    reinvocationPolicy: "Never",
    ...fields,
    namespaceSelector: fields["namespaceSelector"] ?? {},
    objectSelector: fields["objectSelector"] ?? {},
    clientConfig: isFields(service) ? { ...config, service: { port: 443, ...service } } : config,
    rules: itemsOf(fields["rules"]).map((rule) => ({ scope: "*", ...fieldsOf(rule) })),
  };
}

/** In external mode: which handled entries do not carry exactly this CA. */
export function entriesWithoutCa(live: WebhookConfiguration, caPem: string, handles: (path: string) => boolean): readonly string[] {
  return (live.webhooks ?? [])
    .filter((entry) => handles(pathOf(entry.clientConfig)) && !carriesCa(entry.clientConfig?.caBundle, caPem))
    .map((entry) => entry.name);
}

export function carriesCa(caBundle: unknown, caPem: string): boolean {
  return Buffer.from(textOf(caBundle), "base64").toString("utf8").trim() === caPem.trim();
}
