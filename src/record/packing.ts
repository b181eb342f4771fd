/** Objects as compact bytes. Objects of a kind share their shapes, which are written once. */
import { Packr } from "msgpackr";
import { isFields } from "../kube/json.ts";
import type { KubeObject } from "../kube/types.ts";
import { recordLimits } from "./limits.ts";

const plain = new Packr({ useRecords: false });

export function packValue(value: unknown): Uint8Array {
  return plain.pack(value);
}

/** @throws when the bytes are not what `packValue` made */
export function unpackValue(bytes: Uint8Array): unknown {
  return plain.unpack(bytes);
}

export class Packing {
  readonly #packr: Packr;
  #shapes: unknown[];

  /** @param shapes as `shapes()` returned them, or none for a kind that begins */
  constructor(shapes?: Uint8Array) {
    const known = shapes === undefined || shapes.length === 0 ? [] : plain.unpack(shapes);
    this.#shapes = Array.isArray(known) ? known : [];
    this.#packr = new Packr({
      useRecords: true,
      maxSharedStructures: recordLimits.sharedShapesMax,
      getStructures: () => this.#shapes as never,
      saveStructures: (structures) => {
        this.#shapes = [...(structures as unknown as unknown[][])].map((shape) => (Array.isArray(shape) ? [...shape] : shape));
      },
    });
  }

  /** What `unpack` needs to know besides the bytes. */
  shapes(): Uint8Array {
    return packValue(this.#shapes);
  }

  pack(object: KubeObject): Uint8Array {
    return this.#packr.pack(object);
  }

  /** @throws when the bytes are not an object */
  unpack(bytes: Uint8Array): KubeObject {
    const object: unknown = this.#packr.unpack(bytes);
    if (!isFields(object) || !isFields(object["metadata"])) throw new Error("not an object");
    return object as unknown as KubeObject;
  }
}
