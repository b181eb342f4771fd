/** Values as compact bytes: what a row holds beside its columns. */
import { Packr } from "msgpackr";

const packr = new Packr({ useRecords: false });

export function packValue(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** @throws when the bytes are not what `packValue` made */
export function unpackValue(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}
