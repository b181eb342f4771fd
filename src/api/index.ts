/** Every kind that Kruiser defines. A kind's schema, versions and conversion are in the file of its name. */
import { cloneSetDefinition } from "./cloneset.ts";
import { containerRecreateRequestDefinition } from "./containerrecreaterequest.ts";
import type { KindDefinition } from "./definition.ts";
import { imageListPullJobDefinition } from "./imagelistpulljob.ts";
import { imagePullJobDefinition } from "./imagepulljob.ts";
import { nodeImageDefinition } from "./nodeimage.ts";
import { podUnavailableBudgetDefinition } from "./podunavailablebudget.ts";
import { sidecarSetDefinition } from "./sidecarset.ts";

export const definitions: readonly KindDefinition[] = [
  cloneSetDefinition,
  containerRecreateRequestDefinition,
  imageListPullJobDefinition,
  imagePullJobDefinition,
  nodeImageDefinition,
  podUnavailableBudgetDefinition,
  sidecarSetDefinition,
];
