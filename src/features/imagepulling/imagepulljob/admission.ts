/** Admission of ImagePullJobs, in both versions, which have one shape. */
import { mutating, validating } from "../../../admission/registration.ts";
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict, type Webhook } from "../../../admission/webhook.ts";
import { type ImagePullJob, imagePullJobDefinition } from "../../../api/imagepulljob.ts";
import { finalizer } from "../../../api/names.ts";
import { type Fields, fieldsOf, isFields, itemsOf, textOf, withFields } from "../../../kube/json.ts";
import { aggregateText, FieldErrors } from "../../../kube/validate/field-error.ts";
import { familiarImage } from "../../../workload/images/reference.ts";
import { checkTemplate, defaultTemplate, gateRefusal, samePullSecrets, templateDefaults } from "../template.ts";

type Request = Pick<AdmissionRequest<ImagePullJob>, "operation" | "resource" | "object" | "oldObject">;

export const imagePullJobWebhooks: readonly Webhook[] = [
  mutating<ImagePullJob>({
    name: "mimagepulljob-v1beta1.kb.io",
    definition: imagePullJobDefinition,
    fill: (object, request) => fillImagePullJob(object, request),
  }),
  validating<ImagePullJob>({ name: "vimagepulljob-v1beta1.kb.io", definition: imagePullJobDefinition, validate: validateImagePullJob }),
];

export function fillImagePullJob(job: Readonly<ImagePullJob>, { operation, resource }: Request): ImagePullJob {
  const spec: Fields = fieldsOf(job.spec);
  const policy = spec["imagePullPolicy"];
  const filled = withFields(defaultTemplate(spec), {
    imagePullPolicy: policy === undefined || policy === null || policy === "" ? templateDefaults.imagePullPolicy : policy,
  });
  // Through v1beta1 the controller adds it: a job that was never worked on has nothing to give back.
  const wantsFinalizer = operation === "CREATE" && resource.version === "v1alpha1";
  return withFields(job, {
    spec: isFields(job.spec) || job.spec === undefined ? filled : job.spec,
    metadata: wantsFinalizer ? withFinalizer(job.metadata) : job.metadata,
  });
}

function withFinalizer<M extends object>(metadata: M): M {
  const finalizers = itemsOf(fieldsOf(metadata)["finalizers"]);
  return finalizers.includes(finalizer.imagePullJob)
    ? metadata
    : withFields(metadata, { finalizers: [...finalizers, finalizer.imagePullJob] });
}

export function validateImagePullJob(request: Request, { settings }: Pick<AdmissionContext, "settings">): Verdict {
  const refusal = gateRefusal(settings, "KruiseDaemon", "ImagePullJobGate");
  if (refusal !== undefined) return refusal;
  if (request.operation === "DELETE") return allow;
  if (!isFields(request.object)) return deny(400, "the request carries no ImagePullJob");
  const spec = fieldsOf(request.object["spec"]);
  if (request.operation === "UPDATE" && !samePullSecrets(spec["pullSecrets"], fieldsOf(fieldsOf(request.oldObject)["spec"])["pullSecrets"]))
    return deny(403, "spec.pullSecrets: Forbidden: cannot be changed once the job exists; delete the job and create another one");
  const errors = new FieldErrors();
  const image = textOf(spec["image"]);
  if (image === "") errors.required("spec.image", "an image to pull");
  else if (familiarImage(image) === undefined) errors.invalid("spec.image", image, "must be an image reference such as nginx:1.25");
  checkTemplate(errors, spec);
  return errors.any ? deny(400, aggregateText(errors.list)) : allow;
}
