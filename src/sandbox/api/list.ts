/** GET of a collection: whole, in pages, or as it was at a version. */
import type { Stored } from "../storage/store.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { badRequest, expired, Refusal } from "./refusal.ts";
import type { Selection } from "./select.ts";

export interface Page {
  /** In the version of the request. */
  readonly objects: readonly Stored[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

interface Token {
  readonly v: "meta.k8s.io/v1";
  /** The version of the first page. */
  readonly rv: number;
  /** The key to go on from. */
  readonly start: string;
}

export async function listObjects(api: Api, call: Call, selection: Selection, query: URLSearchParams): Promise<Page> {
  const { resource } = call;
  const token = readToken(query.get("continue"));
  const asked = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch");
  if (match !== null && match !== "Exact" && match !== "NotOlderThan")
    throw invalidMatch(`Unsupported value: "${match}": supported values: "Exact", "NotOlderThan"`, "FieldValueNotSupported");
  if (match !== null && asked === "" && token === undefined)
    throw invalidMatch("Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
  if (token !== undefined && asked !== "" && asked !== "0")
    throw badRequest("specifying resource version is not allowed when using continue");
  if (asked !== "" && !/^\d+$/.test(asked))
    throw badRequest(`Invalid value: "${asked}": strconv.ParseUint: parsing "${asked}": invalid syntax`);
  if (Number(asked) > api.store.version) throw tooLarge(asked, api.store.version);
  const exact = match === "Exact" ? Number(asked) : undefined;
  const at = token?.rv ?? exact ?? api.store.version;
  const namespace = resource.kind.namespaced && call.namespace !== "" ? call.namespace : undefined;
  const all = api.store.listAt(resource.storage, namespace, at);
  if (all === undefined)
    throw token === undefined
      ? expired(`The resourceVersion for the provided list is too old.`)
      : expired(
          "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
        );
  const limit = Number(query.get("limit") ?? 0);
  const { found, next, remaining } = pageOf(all, selection, token?.start, limit);
  const selective = (query.get("labelSelector") ?? "") !== "" || (query.get("fieldSelector") ?? "") !== "";
  return {
    objects: await api.converter.showAll(resource, call.version, found),
    metadata: {
      resourceVersion: String(at),
      ...(next === undefined ? {} : { continue: writeToken({ v: "meta.k8s.io/v1", rv: at, start: next }) }),
      ...(next === undefined || selective ? {} : { remainingItemCount: remaining }),
    },
  };
}

function pageOf(all: readonly Stored[], selection: Selection, start: string | undefined, limit: number) {
  const found: Stored[] = [];
  let index = start === undefined ? 0 : all.findIndex((object) => keyOf(object) >= start);
  if (index < 0) index = all.length;
  for (; index < all.length; index += 1) {
    const object = all[index] as Stored;
    if (!selection(object)) continue;
    if (limit > 0 && found.length === limit) break;
    found.push(object);
  }
  const next = index < all.length ? keyOf(all[index] as Stored) : undefined;
  return { found, next, remaining: all.length - index };
}

const keyOf = ({ metadata }: Stored): string => `${metadata.namespace ?? ""}/${metadata.name}`;

function readToken(text: string | null): Token | undefined {
  if (!text) return undefined;
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString()) as Partial<Token>;
    if (token.v === "meta.k8s.io/v1" && typeof token.rv === "number" && typeof token.start === "string") return token as Token;
  } catch {
    // Told below.
  }
  throw badRequest("continue key is not valid: unable to decode the continue token");
}

function writeToken(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function invalidMatch(message: string, reason = "FieldValueForbidden"): Refusal {
  return new Refusal(422, "Invalid", `ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: ${message}`, {
    group: "meta.k8s.io",
    kind: "ListOptions",
    causes: [{ reason, message, field: "resourceVersionMatch" }],
  });
}

function tooLarge(version: string, current: number): Refusal {
  return new Refusal(504, "Timeout", `Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}
