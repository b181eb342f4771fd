/** `set`: single features of objects. What only Kubernetes' own kinds have is kubectl's. */
import { group } from "../command.ts";
import { kubectl } from "../delegate.ts";
import { env } from "./env.ts";
import { image } from "./image.ts";
import { resources, serviceAccount } from "./resources.ts";

const byKubectl = (summary: string) => ({
  summary,
  run: (args: readonly string[], path: string) => kubectl([...path.split(" "), ...args]),
});

export const set = group(
  "Change single features of objects",
  {
    env,
    image,
    resources,
    serviceaccount: serviceAccount,
    sa: serviceAccount,
    selector: byKubectl("Change the selector of a service"),
    subject: byKubectl("Change who a role binding is for"),
  },
  { helpOn: "stderr" },
);
