/** The hashes that name revisions and tell container versions apart. All are 32-bit FNV, of bytes that encode.ts or the caller made. */
import { type Fields, fieldsOf, itemsOf, textOf, utf8Bytes } from "../json.ts";
import { encodeAs, quote } from "./encode.ts";

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;
/** Kubernetes' alphabet for generated names: no vowels, so no words; no digits that look like letters. */
const safeAlphabet = "bcdfghjklmnpqrstvwxz2456789";
const parentNameBytesMax = 223; // bytes; leaves room for "-" and a hash in a name of 253

/** FNV-1: multiply, then xor. */
export function fnv1(bytes: Uint8Array, start: number = fnvOffset): number {
  let hash = start;
  for (let index = 0; index < bytes.length; index += 1) hash = Math.imul(hash, fnvPrime) ^ (bytes[index] as number);
  return hash >>> 0;
}

/** FNV-1a: xor, then multiply. */
export function fnv1a(bytes: Uint8Array, start: number = fnvOffset): number {
  let hash = start;
  for (let index = 0; index < bytes.length; index += 1) hash = Math.imul(hash ^ (bytes[index] as number), fnvPrime);
  return hash >>> 0;
}

/** Each character replaced by one that is safe in a name. */
export function safeEncode(text: string): string {
  let encoded = "";
  for (let index = 0; index < text.length; index += 1) encoded += safeAlphabet[text.charCodeAt(index) % safeAlphabet.length];
  return encoded;
}

/**
 * @param data revision data, as canonical text
 * @param collisionCount raised when the name is taken by other data; workloads always pass it, missing means 0 to them
 */
export function revisionHash(data: string, collisionCount?: number): string {
  const hash = fnv1(utf8Bytes(data));
  return safeEncode(String(collisionCount === undefined ? hash : fnv1(utf8Bytes(String(collisionCount)), hash)));
}

/** An Advanced DaemonSet's hash differs from the others': FNV-1a, and the count as eight little-endian bytes. */
export function daemonSetRevisionHash(data: string, collisionCount?: number): string {
  const hash = fnv1a(utf8Bytes(data));
  if (collisionCount === undefined) return safeEncode(String(hash));
  const count = new Uint8Array(8);
  new DataView(count.buffer).setInt32(0, collisionCount, true);
  return safeEncode(String(fnv1a(count, hash)));
}

export function revisionName(parentName: string, hash: string): string {
  const bytes = utf8Bytes(parentName);
  const prefix = bytes.length <= parentNameBytesMax ? parentName : new TextDecoder().decode(bytes.subarray(0, parentNameBytesMax));
  return `${prefix}-${hash}`;
}

const zeroCharacter = "0".charCodeAt(0);

/**
 * FNV-1a over the text that Go prints for a byte slice: `([]uint8)[1 22 255]`. Kubernetes and OpenKruise hash JSON that way, so
 * the detour is part of the wire.
 */
export function byteTextHash(json: string): number {
  const bytes = utf8Bytes(json);
  let hash = fnv1a(utf8Bytes("([]uint8)["));
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index] as number;
    if (index > 0) hash = Math.imul(hash ^ 32, fnvPrime);
    if (byte >= 100) hash = Math.imul(hash ^ (zeroCharacter + Math.trunc(byte / 100)), fnvPrime);
    if (byte >= 10) hash = Math.imul(hash ^ (zeroCharacter + (Math.trunc(byte / 10) % 10)), fnvPrime);
    hash = Math.imul(hash ^ (zeroCharacter + (byte % 10)), fnvPrime);
  }
  return fnv1a(utf8Bytes("]"), hash >>> 0);
}

/** The hash of a CloneSet's volumeClaimTemplates by name and spec, whatever their order; "" without any. */
export function volumeClaimTemplatesHash(templates: unknown): string {
  const reduced = itemsOf(templates).map((template) => {
    const { metadata, spec } = fieldsOf(template);
    return { metadata: { name: textOf(fieldsOf(metadata)["name"]) }, spec };
  });
  if (reduced.length === 0) return "";
  reduced.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0));
  return String(byteTextHash(encodeAs("[]PersistentVolumeClaim", reduced, { sorted: false })));
}

/** The kubelet's container hash since 1.31: only name and image count. */
export function nameAndImageHash(container: Fields | { readonly name: string; readonly image?: string }): number {
  const { image, name } = container;
  return byteTextHash(`{"image":${quote(textOf(image))},"name":${quote(textOf(name))}}`);
}

/** The kubelet's container hash up to 1.30: the whole container counts. */
export function wholeContainerHash(container: unknown): number {
  return byteTextHash(encodeAs("Container", container, { sorted: false }));
}

/** Whether a hash reported by a kubelet, of either kind, is that of this container. */
export function isPlainContainerHash(hash: number, container: { readonly name: string; readonly image?: string }): boolean {
  return hash === nameAndImageHash(container) || hash === wholeContainerHash(container);
}

/** The hash of the env entries that a container reads from pod metadata, in any order. An empty value is left out. */
export function envHash(entries: readonly { readonly name: string; readonly value: string }[]): number {
  if (entries.length === 0) return byteTextHash("null");
  const sorted = [...entries].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const items = sorted.map(({ name, value }) => `{"name":${quote(name)}${value === "" ? "" : `,"value":${quote(value)}`}}`);
  return byteTextHash(`[${items.join(",")}]`);
}
