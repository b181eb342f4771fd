/** Admission of NodeImages, in both versions, which have one shape. */
import { mutating, validating } from "../../../admission/registration.ts";
import { type AdmissionContext, type AdmissionRequest, allow, deny, type Verdict, type Webhook } from "../../../admission/webhook.ts";
import { type NodeImage, nodeImageDefinition } from "../../../api/nodeimage.ts";
import {
  compareUtf8,
  type Fields,
  fieldsOf,
  isAbsent,
  isFields,
  itemsOf,
  mapShared,
  setOwn,
  textOf,
  withFields,
} from "../../../kube/json.ts";
import { formatTime } from "../../../kube/time.ts";
import { aggregateText, FieldErrors, keyPath } from "../../../kube/validate/field-error.ts";
import { gateRefusal, pullPolicyOf } from "../template.ts";

export const imagesMax = 256; // image names on one node

export const nodeImageWebhooks: readonly Webhook[] = [
  mutating<NodeImage>({
    name: "mnodeimage.kb.io",
    definition: nodeImageDefinition,
    fill: (object, _, context) => fillNodeImage(object, context.nowMs()),
  }),
  validating<NodeImage>({ name: "vnodeimage.kb.io", definition: nodeImageDefinition, validate: validateNodeImage }),
];

export function fillNodeImage(nodeImage: Readonly<NodeImage>, nowMs: number): NodeImage {
  const object: Fields = fieldsOf(nodeImage);
  const spec = withMapped(object["spec"], "images", (image) => withTags(image, (tag) => fillTag(tag, nowMs)));
  const status = withMapped(object["status"], "imageStatuses", (image) => withTags(image, (tag) => tag));
  return withFields(nodeImage, { ...(spec === undefined ? {} : { spec }), ...(status === undefined ? {} : { status }) });
}

function fillTag(tag: unknown, nowMs: number): unknown {
  if (!isFields(tag)) return tag;
  return withFields(tag, {
    createdAt: isAbsent(tag["createdAt"]) ? formatTime(nowMs) : tag["createdAt"],
    pullPolicy: pullPolicyOf(tag["pullPolicy"]),
  });
}

/** `parent` with each value of the map in `field` changed; the same reference when nothing is. */
function withMapped(parent: unknown, field: string, change: (value: unknown) => unknown): unknown {
  if (!isFields(parent)) return parent;
  const map = parent[field];
  if (!isFields(map)) return parent;
  let changed: Record<string, unknown> | undefined;
  for (const key of Object.keys(map)) {
    const value = change(map[key]);
    if (value === map[key]) continue;
    changed ??= { ...map };
    setOwn(changed, key, value);
  }
  return changed === undefined ? parent : withFields(parent, { [field]: changed });
}

/** Sorted by tag, as everybody who writes them keeps them. */
function withTags(image: unknown, change: (tag: unknown) => unknown): unknown {
  if (!isFields(image) || !Array.isArray(image["tags"])) return image;
  const tags = mapShared<unknown>(image["tags"], change);
  const nameOf = (tag: unknown) => textOf(fieldsOf(tag)["tag"]);
  const isSorted = tags.every((tag, index) => index === 0 || compareUtf8(nameOf(tags[index - 1]), nameOf(tag)) <= 0);
  return withFields(image, { tags: isSorted ? tags : [...tags].sort((a, b) => compareUtf8(nameOf(a), nameOf(b))) });
}

type Request = Pick<AdmissionRequest<NodeImage>, "operation" | "object">;

export function validateNodeImage(request: Request, { settings }: Pick<AdmissionContext, "settings">): Verdict {
  const refusal = gateRefusal(settings, "KruiseDaemon");
  if (refusal !== undefined) return refusal;
  if (request.operation === "DELETE") return allow;
  if (!isFields(request.object)) return deny(400, "the request carries no NodeImage");
  const errors = new FieldErrors();
  const images = fieldsOf(fieldsOf(request.object["spec"])["images"]);
  const names = Object.keys(images);
  if (names.length > imagesMax) errors.tooMany("spec.images", names.length, imagesMax);
  for (const name of names.slice(0, imagesMax)) {
    const path = keyPath("spec.images", name);
    if (name === "") errors.required(path, "the name of an image");
    checkTags(errors, fieldsOf(images[name])["tags"], `${path}.tags`);
  }
  return errors.any ? deny(400, aggregateText(errors.list)) : allow;
}

function checkTags(errors: FieldErrors, tags: unknown, path: string): void {
  const seen = new Set<string>();
  for (const [index, item] of itemsOf(tags).entries()) {
    const at = `${path}[${index}]`;
    const { tag, createdAt, version, pullPolicy } = fieldsOf(item);
    const name = textOf(tag);
    if (name === "") errors.required(`${at}.tag`, "a tag or a digest");
    else if (seen.has(name)) errors.duplicate(`${at}.tag`, name);
    seen.add(name);
    if (isAbsent(createdAt)) errors.required(`${at}.createdAt`);
    if (typeof version === "number" && version < 0) errors.invalid(`${at}.version`, version, "must be greater than or equal to 0");
    if (isAbsent(pullPolicy)) errors.required(`${at}.pullPolicy`);
    else if (isAbsent(fieldsOf(pullPolicy)["ttlSecondsAfterFinished"]))
      errors.required(`${at}.pullPolicy.ttlSecondsAfterFinished`, "seconds after which the finished task is removed");
  }
}
