/** Admission of ImageListPullJobs, in both versions, which have one shape. */
import { mutating, validating } from "../../../admission/registration.ts";
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict, type Webhook } from "../../../admission/webhook.ts";
import { type ImageListPullJob, imageListPullJobDefinition } from "../../../api/imagelistpulljob.ts";
import { fieldsOf, isFields, itemsOf, textOf, withFields } from "../../../kube/json.ts";
import { aggregateText, type FieldError, FieldErrors } from "../../../kube/validate/field-error.ts";
import { familiarImage } from "../../../workload/images/reference.ts";
import { checkTemplate, defaultTemplate, gateRefusal } from "../template.ts";

export const imagesMax = 255; // images in one list: one ImagePullJob each

export const imageListPullJobWebhooks: readonly Webhook[] = [
  mutating<ImageListPullJob>({
    name: "mimagelistpulljob-v1beta1.kb.io",
    definition: imageListPullJobDefinition,
    fill: fillImageListPullJob,
  }),
  validating<ImageListPullJob>({
    name: "vimagelistpulljob-v1beta1.kb.io",
    definition: imageListPullJobDefinition,
    validate: validateImageListPullJob,
  }),
];

/** imagePullPolicy stays as it is: the jobs of the list get theirs. */
export function fillImageListPullJob(job: Readonly<ImageListPullJob>): ImageListPullJob {
  if (job.spec !== undefined && !isFields(job.spec)) return job;
  return withFields(job, { spec: defaultTemplate(fieldsOf(job.spec)) });
}

type Request = Pick<AdmissionRequest<ImageListPullJob>, "operation" | "object">;

export function validateImageListPullJob(request: Request, { settings }: Pick<AdmissionContext, "settings">): Verdict {
  const refusal = gateRefusal(settings, "KruiseDaemon", "ImagePullJobGate");
  if (refusal !== undefined) return refusal;
  if (request.operation === "DELETE") return allow;
  if (!isFields(request.object)) return deny(400, "the request carries no ImageListPullJob");
  const spec = fieldsOf(request.object["spec"]);
  const errors = new FieldErrors();
  checkImages(errors, spec["images"]);
  checkTemplate(errors, spec);
  const found = request.operation === "CREATE" ? errors.list : errors.list.filter((error) => !isShortDeadline(error));
  return found.length > 0 ? deny(400, aggregateText(found)) : allow;
}

/** Lists from OpenKruise may have a deadline below the timeout; they can still be changed otherwise. */
function isShortDeadline({ path, type }: FieldError): boolean {
  return path === "spec.completionPolicy.activeDeadlineSeconds" && type === "Invalid";
}

function checkImages(errors: FieldErrors, value: unknown): void {
  const images = itemsOf(value);
  if (images.length === 0) errors.required("spec.images", "at least one image");
  if (images.length > imagesMax) {
    errors.tooMany("spec.images", images.length, imagesMax);
    return;
  }
  const seen = new Set<unknown>();
  for (const [index, image] of images.entries()) {
    const at = `spec.images[${index}]`;
    if (seen.has(image)) errors.duplicate(at, image);
    seen.add(image);
    if (familiarImage(textOf(image)) === undefined) errors.invalid(at, image, "must be an image reference such as nginx:1.25");
  }
}
