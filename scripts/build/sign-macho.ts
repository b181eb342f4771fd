/**
 * An ad-hoc signature for a Mach-O program, as a linker gives it: hashes of its pages, and nobody's name.
 *
 * Bun signs what it compiles for Macs with ARM. For Intel it leaves the signature of its own runtime in the file, which is not of these
 * bytes any more, and which asks for the hardened runtime: macOS ends such a program when it comes to a page that is not the one signed.
 */
const loadCommand = { segment64: 0x19, codeSignature: 0x1d };
const magic = { embeddedSignature: 0xfa_de_0c_c0, codeDirectory: 0xfa_de_0c_02 };
/** CS_ADHOC and CS_LINKER_SIGNED. */
const flags = 0x2_00_02;
/** The first with the executable segment in it. */
const version = 0x2_04_00;
const headerBytes = { superBlob: 20, codeDirectory: 88 };
const pageShift = 12;
const pageBytes = 2 ** pageShift;
const sha256 = { id: 2, bytes: 32 };
const mainBinary = 1n;
/** Pages of memory, as large as they are on any Mac. */
const segmentAlign = 16_384n;

/** @param bytes a 64-bit Mach-O program whose last part is a signature, whole or not. @throws Error when there is no place for one */
export function signedAdhoc(bytes: Uint8Array, identifier: string): Uint8Array {
  const found = placesIn(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const end = found.codeEnd;
  const pages = Math.ceil(end / pageBytes);
  const name = Buffer.from(`${identifier}\0`);
  const directoryBytes = headerBytes.codeDirectory + name.length + pages * sha256.bytes;
  const signed = new Uint8Array(end + headerBytes.superBlob + directoryBytes);
  signed.set(bytes.subarray(0, end));
  const view = new DataView(signed.buffer);
  const signatureBytes = signed.length - end;

  // First what the headers say of it: the first page, which holds them, is among those that are hashed.
  view.setUint32(found.codeSignature + 12, signatureBytes, true);
  const linkEditBytes = BigInt(signed.length) - view.getBigUint64(found.linkEdit + 40, true);
  view.setBigUint64(found.linkEdit + 48, linkEditBytes, true);
  // It is the last segment: in memory nothing is behind it.
  if (view.getBigUint64(found.linkEdit + 32, true) < linkEditBytes)
    view.setBigUint64(found.linkEdit + 32, ((linkEditBytes + segmentAlign - 1n) / segmentAlign) * segmentAlign, true);

  const words = (at: number, values: readonly number[]) => {
    for (const [index, value] of values.entries()) view.setUint32(at + 4 * index, value);
  };
  words(end, [magic.embeddedSignature, signatureBytes, 1, 0, headerBytes.superBlob]);
  const directory = end + headerBytes.superBlob;
  const hashesAt = headerBytes.codeDirectory + name.length;
  words(directory, [magic.codeDirectory, directoryBytes, version, flags, hashesAt, headerBytes.codeDirectory, 0, pages, end]);
  signed.set([sha256.bytes, sha256.id, 0, pageShift], directory + 36);
  // The executable segment; what is between is for scattered and larger programs.
  view.setBigUint64(directory + 64, found.text.offset);
  view.setBigUint64(directory + 72, found.text.bytes);
  view.setBigUint64(directory + 80, mainBinary);
  signed.set(name, directory + headerBytes.codeDirectory);
  for (let page = 0; page < pages; page += 1) {
    const content = signed.subarray(page * pageBytes, Math.min(end, (page + 1) * pageBytes));
    signed.set(new Bun.CryptoHasher("sha256").update(content).digest(), directory + hashesAt + page * sha256.bytes);
  }
  return signed;
}

interface Places {
  /** Offsets of load commands. */
  readonly codeSignature: number;
  readonly linkEdit: number;
  readonly text: { readonly offset: bigint; readonly bytes: bigint };
  /** Where what is signed ends and the signature begins. */
  readonly codeEnd: number;
}

function placesIn(view: DataView): Places {
  let codeSignature = 0;
  const segments = new Map<string, number>();
  let command = 32;
  for (let left = view.getUint32(16, true); left > 0; left -= 1) {
    const kind = view.getUint32(command, true);
    if (kind === loadCommand.codeSignature) codeSignature = command;
    if (kind === loadCommand.segment64) segments.set(segmentName(view, command), command);
    command += view.getUint32(command + 4, true);
  }
  const [text, linkEdit] = [segments.get("__TEXT"), segments.get("__LINKEDIT")];
  if (codeSignature === 0 || text === undefined || linkEdit === undefined) throw new Error("no place for a signature in this program");
  const codeEnd = view.getUint32(codeSignature + 8, true);
  if (codeEnd + view.getUint32(codeSignature + 12, true) !== view.byteLength) throw new Error("the signature is not the last of the file");
  return {
    codeSignature,
    linkEdit,
    text: { offset: view.getBigUint64(text + 40, true), bytes: view.getBigUint64(text + 48, true) },
    codeEnd,
  };
}

function segmentName(view: DataView, command: number): string {
  return Buffer.from(view.buffer, view.byteOffset + command + 8, 16)
    .toString()
    .replace(/\0+$/, "");
}
