/** ASN.1 in its distinguished encoding, as much of it as a certificate needs. */

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function encoded(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  const lengthBytes: number[] = [];
  for (let rest = body.length; rest > 0; rest >>>= 8) lengthBytes.unshift(rest & 0xff);
  const head = body.length < 0x80 ? [body.length] : [0x80 | lengthBytes.length, ...lengthBytes];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

export const der = {
  sequence: (...items: readonly Uint8Array[]) => encoded(tags.sequence, ...items),
  set: (...items: readonly Uint8Array[]) => encoded(tags.set, ...items),
  octets: (bytes: Uint8Array) => encoded(tags.octetString, bytes),
  bits: (bytes: Uint8Array) => encoded(tags.bitString, Buffer.of(0), bytes),
  text: (value: string) => encoded(tags.utf8String, Buffer.from(value)),
  true: () => encoded(tags.boolean, Buffer.of(0xff)),
  null: () => encoded(tags.null),

  /** Flags, most significant bit first: `[1, 0, 1]` is bits 0 and 2. Ends with the last one that is set, as the encoding wants it. */
  flags(values: readonly (0 | 1)[]): Buffer {
    const set = values.slice(0, values.lastIndexOf(1) + 1);
    const bytes = Buffer.alloc(Math.ceil(set.length / 8));
    for (const [index, value] of set.entries()) if (value === 1) bytes[index >> 3] = (bytes[index >> 3] as number) | (0x80 >> (index & 7));
    return encoded(tags.bitString, Buffer.of(bytes.length * 8 - set.length), bytes);
  },

  /** @param bytes big-endian, not negative */
  integer(bytes: Uint8Array): Buffer {
    let start = 0;
    while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
    const rest = bytes.subarray(start);
    return encoded(tags.integer, (rest[0] ?? 0) & 0x80 ? Buffer.of(0) : Buffer.alloc(0), rest);
  },

  /** "2.5.29.17" */
  oid(text: string): Buffer {
    const [first = 0, second = 0, ...arcs] = text.split(".").map(Number);
    const bytes: number[] = [];
    for (const arc of [first * 40 + second, ...arcs]) {
      const groups = [arc & 0x7f];
      for (let rest = arc >>> 7; rest > 0; rest >>>= 7) groups.unshift((rest & 0x7f) | 0x80);
      bytes.push(...groups);
    }
    return encoded(tags.objectIdentifier, Buffer.from(bytes));
  },

  /** To the second. RFC 5280: two digits of the year until 2049, four from then on. */
  time(ms: number): Buffer {
    const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "");
    const year = Number(digits.slice(0, 4));
    return year < 2050 ? encoded(tags.utcTime, Buffer.from(digits.slice(2))) : encoded(tags.generalizedTime, Buffer.from(digits));
  },

  /** A context-specific tag: `explicit` wraps a whole item, else `content` are the bytes of one whose own tag it replaces. */
  tagged: (number: number, content: Uint8Array, explicit = false) => encoded((explicit ? 0xa0 : 0x80) | number, content),
};

export interface Item {
  readonly tag: number;
  /** Tag and length included. */
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
}

/** The items that follow each other in `bytes`. @throws RangeError when they are cut off */
export function itemsIn(bytes: Uint8Array): readonly Item[] {
  const items: Item[] = [];
  for (let start = 0; start < bytes.length; ) {
    const tag = bytes[start] as number;
    let length = bytes[start + 1] ?? 0;
    let body = start + 2;
    if (length & 0x80) {
      const count = length & 0x7f;
      length = 0;
      for (let index = 0; index < count; index += 1) length = length * 256 + (bytes[body + index] ?? 0);
      body += count;
    }
    const end = body + length;
    if (end > bytes.length) throw new RangeError("the encoding is cut off");
    items.push({ tag, whole: bytes.subarray(start, end), content: bytes.subarray(body, end) });
    start = end;
  }
  return items;
}
