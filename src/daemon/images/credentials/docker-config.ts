/** Docker's configuration in its forms: `.dockerconfigjson` and `config.json` with `auths`, and the older `.dockercfg` without. */

import { fieldsOf, isFields, textOf } from "../../../kube/json.ts";
import type { Secret } from "../../../kube/types.ts";
import type { Keyring } from "./keyring.ts";

/** Why a configuration cannot be used; undefined: it was added. Never shows any of its content. */
type Problem = string | undefined;

/** @param form "json": entries are in `auths`. "cfg": entries are the file */
export function addDockerConfig(keyring: Keyring, text: string, form: "json" | "cfg"): Problem {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  if (!isFields(parsed)) return "it is not a JSON object";
  const entries = form === "json" ? parsed["auths"] : parsed;
  if (entries === undefined || entries === null) return undefined;
  if (!isFields(entries)) return "auths is not a JSON object";
  for (const registry of Object.keys(entries)) {
    const problem = addEntry(keyring, registry, entries[registry]);
    if (problem !== undefined) return `the entry of ${registry}: ${problem}`;
  }
  return undefined;
}

function addEntry(keyring: Keyring, registry: string, entry: unknown): Problem {
  if (!isFields(entry)) return "it is not a JSON object";
  const auth = textOf(entry["auth"]);
  if (auth === "") {
    const [username, password] = [textOf(entry["username"]), textOf(entry["password"])];
    if (username !== "" || password !== "") keyring.add(registry, { username, password });
    return undefined;
  }
  const decoded = decode(auth);
  if (decoded === undefined) return "auth is not base64";
  const colon = decoded.indexOf(":");
  if (colon < 0) return "auth is not user:password";
  // Docker fills the password up with zero bytes.
  keyring.add(registry, { username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, "") });
  return undefined;
}

/** With or without padding. */
function decode(text: string): string | undefined {
  const trimmed = text.trim().replace(/=+$/, "");
  if (!/^[A-Za-z0-9+/]+$/.test(trimmed) || trimmed.length % 4 === 1) return undefined;
  return Buffer.from(trimmed, "base64").toString("utf8");
}

/** Secrets of other types hold no credentials for registries. */
export function addSecret(keyring: Keyring, secret: Readonly<Secret>): Problem {
  switch (secret.type) {
    case "kubernetes.io/dockerconfigjson":
      return addData(keyring, secret, ".dockerconfigjson", "json");
    case "kubernetes.io/dockercfg":
      return addData(keyring, secret, ".dockercfg", "cfg");
    default:
      return undefined;
  }
}

function addData(keyring: Keyring, { metadata, data }: Readonly<Secret>, key: string, form: "json" | "cfg"): Problem {
  const encoded = fieldsOf(data)[key];
  if (typeof encoded !== "string") return undefined;
  const problem = addDockerConfig(keyring, Buffer.from(encoded, "base64").toString("utf8"), form);
  return problem === undefined ? undefined : `pull secret ${metadata.namespace}/${metadata.name}: ${key} cannot be read: ${problem}`;
}
