/** What ImagePullJob and ImageListPullJob share. */
import { labelSelector, sandboxConfig, selectorWith } from "./common.ts";
import { about, fields, int32, int64, intOrString, known, list, type Output, text } from "./kit.ts";

const completionPolicy = about(
  "When the job is done.",
  fields({
    type: about("Always (the default): once all pulls have ended. Never: it goes on for new nodes.", known("Always", "Never")),
    activeDeadlineSeconds: about("Seconds after which the job ends, whatever is still missing.", int64),
    ttlSecondsAfterFinished: about("The job is deleted so many seconds after it ended.", int32),
  }),
);
const pullPolicy = fields({
  timeoutSeconds: about("Seconds one attempt may take; 600 when absent.", int32),
  backoffLimit: about("Further attempts after the first; 3 when absent.", int32),
});
const nodeSelector = selectorWith({ names: about("Nodes by name.", list(text)) });

export const pullJobRequired = { completionPolicy };
export const pullJobOptional = {
  imagePullPolicy: about("Always or IfNotPresent (the default).", known("Always", "IfNotPresent")),
  parallelism: about("How many nodes pull at a time; 1 when absent.", intOrString),
  selector: about("Which nodes; all when absent.", nodeSelector),
  podSelector: about("The nodes where these pods run. Not together with selector.", labelSelector),
  pullPolicy,
  pullSecrets: about("Names of secrets in the job's namespace.", list(text)),
  sandboxConfig,
};

export type PullJobCompletionPolicy = Output<typeof completionPolicy>;
export type PullJobPullPolicy = Output<typeof pullPolicy>;
export type PullJobNodeSelector = Output<typeof nodeSelector>;
