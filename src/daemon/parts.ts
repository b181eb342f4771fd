/** Everything the daemon does, in the order in which it starts. */
import type { MakePart } from "./frame.ts";
import { imagesPart } from "./images/index.ts";
import { metaPart } from "./meta/index.ts";
import { recreatePart } from "./recreate/index.ts";

export const parts: readonly MakePart[] = [imagesPart, recreatePart, metaPart];
