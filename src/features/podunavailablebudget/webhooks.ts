/** Admission of budgets. Refusals are 400: OpenKruise's clients know no other code here. */
import { validating } from "../../admission/registration.ts";
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict, type Webhook } from "../../admission/webhook.ts";
import { type PodUnavailableBudget, podUnavailableBudgetDefinition, podUnavailableBudgets } from "../../api/podunavailablebudget.ts";
import type { Fields } from "../../kube/json.ts";
import { withFields } from "../../kube/json.ts";
import { failureText } from "../../kube/outcome.ts";
import { aggregateText, type FieldError } from "../../kube/validate/field-error.ts";
import { isEnabled } from "./gates.ts";
import { validateBudget } from "./validate.ts";

const validation = validating<PodUnavailableBudget>({
  name: "vpodunavailablebudget.kb.io",
  definition: podUnavailableBudgetDefinition,
  validate,
});

export const webhooks: readonly Webhook[] = [
  {
    ...validation,
    // Never spelled with a version.
    aliases: [],
    review: (request, context) => refusedAtAll(request, context) ?? validation.review(request, context),
  },
];

const served: ReadonlySet<string> = new Set(podUnavailableBudgetDefinition.versions.map(({ name }) => name));

function refusedAtAll({ resource }: AdmissionRequest, { settings }: AdmissionContext): Verdict | undefined {
  if (!isEnabled(settings)) {
    return deny(
      400,
      "feature gates PodUnavailableBudgetDeleteGate and PodUnavailableBudgetUpdateGate are both off: no budget would be kept",
    );
  }
  if (served.has(resource.version)) return undefined;
  return deny(400, `unsupported version ${resource.version} of podunavailablebudgets: use v1beta1 or v1alpha1`);
}

/** Others are asked of the server: two budgets in one file come faster than the cache shows the first. */
async function validate(
  { object, oldObject, namespace, name }: AdmissionRequest<PodUnavailableBudget>,
  { read }: AdmissionContext,
): Promise<Verdict> {
  if (object === undefined) return deny(400, "the request carries no PodUnavailableBudget");
  const named = withFields(object, { metadata: withFields(object.metadata, { namespace, name: object.metadata.name || name }) });
  const others = await read.live.list(podUnavailableBudgets, { namespace });
  const errors = validateBudget(named as unknown as Fields, oldObject as unknown as Fields | undefined, others.ok ? others.object : []);
  const unlisted: FieldError = { type: "Internal", path: "", detail: others.ok ? "" : failureText(others) };
  const all = others.ok ? errors : [...errors, unlisted];
  return all.length === 0 ? allow : deny(400, aggregateText(all));
}
