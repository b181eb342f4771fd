/** Every fidelity case. */
import type { Case } from "./bench.ts";
import { applyCases } from "./cases/apply.ts";
import { boundCases } from "./cases/bounds.ts";
import { clusterCases } from "./cases/cluster.ts";
import { controllerCases } from "./cases/controllers.ts";
import { customCases } from "./cases/custom.ts";
import { customRuleCases } from "./cases/custom-rules.ts";
import { defaultCases } from "./cases/defaults.ts";
import { deletionCases } from "./cases/deletion.ts";
import { listCases } from "./cases/lists.ts";
import { objectCases } from "./cases/objects.ts";
import { patchCases } from "./cases/patches.ts";
import { serverCases } from "./cases/server.ts";
import { subresourceCases } from "./cases/subresources.ts";
import { unchangeableCases } from "./cases/unchangeable.ts";
import { validationCases } from "./cases/validation.ts";
import { watchCases } from "./cases/watches.ts";
import { webhookCases } from "./cases/webhooks.ts";

export const groups: Readonly<Record<string, readonly Case[]>> = {
  objects: objectCases,
  patches: patchCases,
  apply: applyCases,
  deletion: deletionCases,
  lists: listCases,
  watches: watchCases,
  validation: validationCases,
  unchangeable: unchangeableCases,
  defaults: defaultCases,
  bounds: boundCases,
  subresources: subresourceCases,
  custom: customCases,
  customRules: customRuleCases,
  webhooks: webhookCases,
  controllers: controllerCases,
  cluster: clusterCases,
  server: serverCases,
};
