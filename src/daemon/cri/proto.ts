/**
 * Protocol Buffers (proto3), as much as CRI needs: messages are tables of numbered fields (messages.ts, which is generated).
 * Fields that a table does not name are passed over; those that are missing have proto3's default.
 */

/** How the values of a field are read and written. */
export interface FieldType<T> {
  readonly wire: 0 | 2;
  initial(): T;
  /** Reads one occurrence: for lists and maps one more item. */
  take(before: T, input: Input): T;
  /** Writes nothing for the default. */
  put(output: Output, field: number, value: T): void;
}

export type FieldTable<T> = { readonly [N in keyof T]: readonly [field: number, type: FieldType<T[N]>] };

/** What one gives to be written: everything may be left out. */
export type Draft<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer I)[]
    ? readonly Draft<I>[]
    : T extends object
      ? { readonly [K in keyof T]?: Draft<T[K]> }
      : T;

export interface Message<T> {
  encode(value: Draft<T>): Uint8Array;
  /** @throws Error when the bytes are not a message */
  decode(bytes: Uint8Array): T;
  /** The message as a field of another one. */
  readonly type: FieldType<T | undefined>;
}

/** A call with one request and one answer. */
export interface UnaryCall<Q, A> {
  /** "/runtime.v1.RuntimeService/Version" */
  readonly path: string;
  readonly request: Message<Q>;
  readonly answer: Message<A>;
}

export function message<T extends object>(fields: FieldTable<T>): Message<T> {
  const known = Object.entries(fields).map(([name, entry]) => {
    const [field, type] = entry as readonly [number, FieldType<unknown>];
    return { name, field, type };
  });
  const byField = new Map(known.map((entry) => [entry.field, entry]));
  const write = (output: Output, value: Readonly<Record<string, unknown>>) => {
    for (const { name, field, type } of known) if (value[name] !== undefined) type.put(output, field, value[name]);
  };
  const read = (input: Input): T => {
    const value: Record<string, unknown> = {};
    for (const { name, type } of known) value[name] = type.initial();
    while (!input.ended) {
      const key = input.varint();
      const wire = key % 8;
      const entry = byField.get(Math.floor(key / 8));
      if (entry === undefined || entry.type.wire !== wire) input.skip(wire);
      else value[entry.name] = entry.type.take(value[entry.name], input);
    }
    return value as T;
  };
  return {
    encode: (value) => {
      const output = new Output();
      write(output, value as Record<string, unknown>);
      return output.bytes();
    },
    decode: (bytes) => read(new Input(bytes)),
    type: {
      wire: 2,
      initial: () => undefined,
      take: (_, input) => read(new Input(input.block())),
      put: (output, field, value) => {
        if (value === undefined) return;
        const inner = new Output();
        write(inner, value as Record<string, unknown>);
        output.block(field, inner.bytes());
      },
    },
  };
}

/** int32, int64, uint32, uint64, enum. Beyond 2^53 the last digits are lost. */
export const integer: FieldType<number> = {
  wire: 0,
  initial: () => 0,
  take: (_, input) => input.varint(),
  put: (output, field, value) => {
    if (value === 0) return;
    output.varint(field * 8);
    output.varint(value);
  },
};

export const boolean: FieldType<boolean> = {
  wire: 0,
  initial: () => false,
  take: (_, input) => input.varint() !== 0,
  put: (output, field, value) => integer.put(output, field, value ? 1 : 0),
};

/** int64 nanoseconds since 1970 on the wire, milliseconds (with a fraction) here. */
export const nanoseconds: FieldType<number> = {
  ...integer,
  take: (_, input) => input.varint() / 1e6,
  put: (output, field, value) => integer.put(output, field, Math.round(value * 1e6)),
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const text: FieldType<string> = {
  wire: 2,
  initial: () => "",
  take: (_, input) => decoder.decode(input.block()),
  put: (output, field, value) => {
    if (value !== "") output.block(field, encoder.encode(value));
  },
};

const noBytes = new Uint8Array(0);
export const bytes: FieldType<Uint8Array> = {
  wire: 2,
  initial: () => noBytes,
  take: (_, input) => input.block(),
  put: (output, field, value) => {
    if (value.length > 0) output.block(field, value);
  },
};

/** Of texts: an empty one is an item too. */
export const texts: FieldType<string[]> = {
  wire: 2,
  initial: () => [],
  take: (before, input) => {
    before.push(decoder.decode(input.block()));
    return before;
  },
  put: (output, field, values) => {
    for (const value of values) output.block(field, encoder.encode(value));
  },
};

export function listOf<T>(of: Message<T>): FieldType<T[]> {
  return {
    wire: 2,
    initial: () => [],
    take: (before, input) => {
      before.push(of.decode(input.block()));
      return before;
    },
    put: (output, field, values) => {
      for (const value of values) output.block(field, of.encode(value as Draft<T>));
    },
  };
}

const entry = message({ key: [1, text], value: [2, text] });

/** map<string, string> */
export const textMap: FieldType<Record<string, string>> = {
  wire: 2,
  initial: () => ({}),
  take: (before, input) => {
    const { key, value } = entry.decode(input.block());
    Object.defineProperty(before, key, { value, writable: true, enumerable: true, configurable: true });
    return before;
  },
  put: (output, field, values) => {
    for (const [key, value] of Object.entries(values)) output.block(field, entry.encode({ key, value }));
  },
};

export class Input {
  #at = 0;

  constructor(private readonly source: Uint8Array) {}

  get ended(): boolean {
    return this.#at >= this.source.length;
  }

  /** Signed, of 64 bits. */
  varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.source[this.#at];
      if (byte === undefined) throw new Error("a message ends in the middle of a number");
      this.#at += 1;
      const value = byte & 0x7f;
      if (shift < 28) low += value * 2 ** shift;
      else if (shift === 28) {
        low += (value & 0x0f) * 2 ** 28;
        high = value >> 4;
      } else high += value * 2 ** (shift - 32);
      if (byte < 0x80) return (high >= 2 ** 31 ? (high % 2 ** 32) - 2 ** 32 : high) * 2 ** 32 + low;
    }
    throw new Error("a number in a message is too long");
  }

  block(): Uint8Array {
    const length = this.varint();
    if (length < 0 || this.#at + length > this.source.length) throw new Error("a message ends in the middle of a field");
    const block = this.source.subarray(this.#at, this.#at + length);
    this.#at += length;
    return block;
  }

  skip(wire: number): void {
    switch (wire) {
      case 0:
        this.varint();
        return;
      case 1:
        this.#at += 8;
        return;
      case 2:
        this.block();
        return;
      case 5:
        this.#at += 4;
        return;
      default:
        throw new Error(`a message has a field of unknown wire type ${wire}`);
    }
  }
}

export class Output {
  readonly #parts: Uint8Array[] = [];

  /** Of integers not below 0. */
  varint(value: number): void {
    const bytes: number[] = [];
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
    this.#parts.push(Uint8Array.from(bytes));
  }

  block(field: number, block: Uint8Array): void {
    this.varint(field * 8 + 2);
    this.varint(block.length);
    this.#parts.push(block);
  }

  bytes(): Uint8Array {
    const whole = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
